"""The ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.database import Tx


@dataclass(frozen=True, slots=True)
class Grant:
    """`amount` of `unit` that a rule gives `member_id` for an event; minus takes. Never 0. `idem_key` is the 32
    bytes of R1: the same key is paid once, whatever the amount says the second time."""

    community_id: UUID
    member_id: UUID
    unit: str
    amount: int
    rule_id: str
    rule_version: int
    source_event_id: UUID
    effective_at: datetime
    idem_key: bytes
    reason: str = ""


async def post_grants(tx: Tx, grants: Sequence[Grant], *, history: Mapping[UUID, bool]) -> dict[bytes, UUID]:
    """Post what is not there yet; idem_key → transaction id of the newly posted ones.

    `history` says by source event whether it is imported history (missing: no).
    """
    return {}


async def ensure_defaults(tx: Tx, community_ids: Iterable[UUID]) -> None:
    """Units, level table and board of communities that have none yet."""
