"""What a member has, and how it came about."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.copies import KnownCommunity, known_community
from kit.days import day_bounds, local_day
from kit.http import Instant, Page, PageOf, problems
from services.rewards.api.common import Db, ReaderOrMember, check_known, check_own
from services.rewards.api.entry_models import EntryOut, entry_page
from services.rewards.store import entries as reading
from services.rewards.store import holds, lots, reviews
from services.rewards.store import ledger as store

router = APIRouter(tags=["rewards: ledger"])


SOON = timedelta(days=30)


class ExpiringOut(BaseModel):
    amount: int
    expires_at: datetime = Field(description="From then on it cannot be spent; the entry follows within a minute.")


class AccountOut(BaseModel):
    unit: str
    name: str
    balance: int = Field(description="Whole minor units; below 0 after something was taken back that was spent.")
    debt: int = Field(description="What could not be taken back and is owed; what comes in pays it off first.")
    available: int = Field(
        description="How much of it can be spent; 0 where the unit is not for spending, or something is owed."
    )
    held: int = Field(description="Held ready for something, and no part of the balance.")
    pending: int = Field(description="Earned and under review: no part of the balance until somebody approved it.")
    expiring_soon: list[ExpiringOut] = Field(
        description="What of the balance expires within 30 days, the first to expire first. What is spent is taken "
        "from that first."
    )


class AccountsOut(BaseModel):
    member_id: UUID
    items: list[AccountOut]


@router.get("/v1/accounts/{member_id}", responses=problems(400, 404, 422), summary="A member's balances")
async def get_accounts(member_id: UUID, db: Db, caller: ReaderOrMember) -> AccountsOut:
    """Every unit of the community, with 0 where nothing was posted yet."""
    check_own(caller, member_id)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        units = await store.units_of(tx, caller.community_id)
        rows = await reading.accounts_of(tx, caller.community_id, member_id)
        ready = await holds.held_by(tx, caller.community_id, member_id)
        under_review = await reviews.pending_of(tx, caller.community_id, member_id)
        place = await known_community(tx, caller.community_id)
        days = [local_day(at, place.zone, place.day_start) for at in (tx.now, tx.now + SOON)] if place else []
        ending = await lots.soon_over(tx, caller.community_id, member_id, *days) if days else []
    held = {row.unit: (row.balance, row.debt) for row in rows}
    items = []
    for unit in units.values():
        balance, debt = held.get(unit.id, (0, 0))
        available = max(balance - unit.minimum, 0) if unit.spendable and not debt else 0
        items.append(
            AccountOut(
                unit=unit.id,
                name=unit.name,
                balance=balance,
                debt=debt,
                available=available,
                held=ready.get(unit.id, 0),
                pending=under_review.get(unit.id, 0),
                expiring_soon=_expiring([row for row in ending if row.unit == unit.id], place),
            )
        )
    return AccountsOut(member_id=member_id, items=items)


def _expiring(rows: Iterable[Any], place: KnownCommunity | None) -> list[ExpiringOut]:
    if place is None:
        return []
    ends = ((row.amount, day_bounds(row.last_day, place.zone, place.day_start)[1]) for row in rows)
    return [ExpiringOut(amount=amount, expires_at=end) for amount, end in ends]


@router.get(
    "/v1/accounts/{member_id}/entries",
    response_model=Page[EntryOut],
    responses=problems(400, 404, 422),
    summary="A member's entries, latest first",
)
async def get_account_entries(
    member_id: UUID,
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    unit: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9]{0,29}$")] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Effective at or after.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Effective before.")] = None,
) -> Response:
    check_own(caller, member_id)
    return await entry_page(db, caller, member_id, paging, unit, since, until, member=True)
