"""How an entry reads from outside, and pages of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from kit.database import Tx
from kit.http import Page, Paging, encode_cursor
from services.rewards.api.common import position
from services.rewards.domain.recomputing import ACTOR_PREFIX
from services.rewards.store import entries as store


class EntryOut(BaseModel):
    """One line of the ledger and its transaction, whose `id` it has. The other line has minus the amount."""

    id: UUID
    kind: str = Field(description="grant, adjustment, spend, reversal, hold, release, capture, owed, repayment, expiry")
    account: str = Field(description="Whose line: a member's id or a system account.")
    counter_account: str = Field(description="Whose the other line is.")
    unit: str
    amount: int
    reversed: int = Field(description="How much of it was taken back so far, unsigned.")
    effective_at: datetime
    created_at: datetime
    reason: str
    actor: str = Field(description="Who posted it by hand; empty for the rules, `recompute:…` for a recompute.")
    recompute_id: UUID | None = Field(description="The recompute that posted it.")
    approver: str | None
    rule_id: str | None
    rule_version: int | None
    source_event_id: UUID | None
    reverses: UUID | None = Field(description="The entry that this one takes back.")


def entry_out(row: Any) -> EntryOut:
    same = (
        "kind", "unit", "amount", "reversed", "effective_at", "created_at", "reason", "actor", "approver", "rule_id",
        "rule_version", "source_event_id", "reverses",
    )  # fmt: skip
    return EntryOut(
        id=row.transaction_id,
        account=row.own_name or str(row.owner_id),
        counter_account=row.counter_name or str(row.counter_id),
        recompute_id=UUID(row.actor.removeprefix(ACTOR_PREFIX)) if row.actor.startswith(ACTOR_PREFIX) else None,
        **{name: getattr(row, name) for name in same},
    )


async def entry_page(
    tx: Tx,
    community_id: UUID,
    owner_id: UUID,
    paging: Paging,
    unit: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Page[EntryOut]:
    """An owner's entries, latest effective first."""
    at = position(paging.cursor, datetime, UUID)
    place = (at[1][0], at[1][1]) if at else None
    backwards = at is not None and at[0] == "p"
    units = [unit] if unit else [row.unit for row in await store.accounts_of(tx, community_id, owner_id)]
    rows = await store.entries_page(
        tx,
        community_id,
        owner_id=owner_id,
        unit_ids=units,
        since=since,
        until=until,
        limit=paging.limit + 1,
        after=None if backwards else place,
        before=place if backwards else None,
    )
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    if backwards:
        rows.reverse()
    above, below = (more, True) if backwards else (at is not None, more)
    return Page(
        items=[entry_out(row) for row in rows],
        next=encode_cursor(["n", *_place(rows[-1])]) if rows and below else None,
        prev=encode_cursor(["p", *_place(rows[0])]) if rows and above else None,
    )


def _place(row: Any) -> list[Any]:
    return [row.effective_at.isoformat(), str(row.transaction_id)]
