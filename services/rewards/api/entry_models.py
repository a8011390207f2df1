"""How an entry reads from outside, and pages of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from kit.database import Tx
from kit.http import Page, Paging
from services.rewards.api.paging import page_of, place_of
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
    place = place_of(paging, datetime, UUID)
    units = [unit] if unit else [row.unit for row in await store.accounts_of(tx, community_id, owner_id)]
    rows = await store.entries_page(
        tx,
        community_id,
        owner_id=owner_id,
        unit_ids=units,
        since=since,
        until=until,
        limit=paging.limit + 1,
        after=place.after,
        before=place.before,
    )
    return page_of(rows, paging, place, _place, entry_out)


def _place(row: Any) -> list[Any]:
    return [row.effective_at.isoformat(), str(row.transaction_id)]
