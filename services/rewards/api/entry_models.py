"""How an entry reads from outside, and pages of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.auth import Principal
from kit.database import Database
from kit.http import Paging
from services.rewards.api.common import member_unknown
from services.rewards.api.paging import place_of, shown_of
from services.rewards.domain.ledger import Posting
from services.rewards.domain.recomputing import ACTOR_PREFIX
from services.rewards.store import account_pages as store


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
    return EntryOut(**_told(row))


def posted_out(posting: Posting, at: datetime, group_account: str | None) -> EntryOut:
    """An entry that was posted to a member, or to a group's account of this name, by hand in the transaction of `at`,
    as reading it gives it."""
    return EntryOut(
        id=posting.id,
        kind=posting.kind,
        account=group_account or str(posting.member_id),
        counter_account=posting.counter,
        unit=posting.unit,
        amount=posting.amount,
        reversed=0,
        effective_at=posting.effective_at.astimezone(UTC),
        created_at=at,
        reason=posting.reason,
        actor=posting.actor,
        recompute_id=None,
        approver=posting.approver,
        rule_id=posting.rule_id,
        rule_version=posting.rule_version,
        source_event_id=posting.source_event_id,
        reverses=posting.reverses,
    )


def _told(row: Any) -> dict[str, Any]:
    """The fields of an `EntryOut`."""
    by_recompute = row.actor.startswith(ACTOR_PREFIX)
    return {
        "id": row.transaction_id,
        "kind": row.kind,
        "account": row.own_name or str(row.owner_id),
        "counter_account": row.counter_name or str(row.counter_id),
        "unit": row.unit,
        "amount": row.amount,
        "reversed": row.reversed,
        "effective_at": row.effective_at,
        "created_at": row.created_at,
        "reason": row.reason,
        "actor": row.actor,
        "recompute_id": UUID(row.actor.removeprefix(ACTOR_PREFIX)) if by_recompute else None,
        "approver": row.approver,
        "rule_id": row.rule_id,
        "rule_version": row.rule_version,
        "source_event_id": row.source_event_id,
        "reverses": row.reverses,
    }


async def entry_page(
    db: Database,
    caller: Principal,
    owner_id: UUID,
    paging: Paging,
    unit: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    member: bool,
) -> Response:
    """An owner's entries, latest effective first, as a `Page[EntryOut]`: written as it is, because making and checking
    a hundred models took longer than reading them. NotFound for a member that is none (as `check_known`)."""
    place = place_of(paging, datetime, UUID)
    own = await store.whose(db, caller.community_id, owner_id)
    if member and not (own.known or own.units or caller.member_id == owner_id):
        raise member_unknown()
    rows = await store.page(
        db,
        caller.community_id,
        owner_id=owner_id,
        units=[unit] if unit else own.units,
        since=since,
        until=until,
        limit=paging.limit + 1,
        after=place.after,
        before=place.before,
    )
    shown = shown_of(rows, paging, place, _place)
    page = {"items": [_told(row) for row in shown.rows], "next": shown.next, "prev": shown.prev}
    return Response(msgspec.json.encode(page), media_type="application/json")


def _place(row: Any) -> list[Any]:
    return [row.effective_at.isoformat(), str(row.transaction_id)]
