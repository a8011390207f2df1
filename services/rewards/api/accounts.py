"""What a member has, and how it came about."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.days import day_bounds, local_day
from kit.http import Instant, Page, PageOf, problems
from services.rewards.api.common import Db, ReaderOrMember, check_own, member_unknown
from services.rewards.api.entry_models import EntryOut, entry_page
from services.rewards.store import balances

router = APIRouter(tags=["rewards: ledger"])


DAY = timedelta(days=1)
SOON = 30 * DAY


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
    now = db.clock()
    # The days of the community are known with the answer; those of any other are at most two away.
    days = (local_day(at, "UTC", 0) for at in (now - 2 * DAY, now + SOON + 2 * DAY))
    found = await balances.having(db, caller.community_id, member_id, *days)
    if not (found.known or found.accounts or caller.member_id == member_id):
        raise member_unknown()
    expiring = _expiring(found, now)
    items = []
    for unit in found.units:
        balance, debt = found.accounts.get(unit.id, (0, 0))
        items.append(
            AccountOut(
                unit=unit.id,
                name=unit.name,
                balance=balance,
                debt=debt,
                available=max(balance - unit.minimum, 0) if unit.spendable and not debt else 0,
                held=found.held.get(unit.id, 0),
                pending=found.pending.get(unit.id, 0),
                expiring_soon=expiring.get(unit.id, []),
            )
        )
    return AccountsOut(member_id=member_id, items=items)


def _expiring(found: balances.Having, now: datetime) -> dict[str, list[ExpiringOut]]:
    """By unit, what ends within `SOON` by the community's days."""
    out: dict[str, list[ExpiringOut]] = {}
    if found.zone is None:
        return out
    first, last = (local_day(at, found.zone, found.day_start) for at in (now, now + SOON))
    for lot in found.ending:
        if first <= lot.last_day <= last:
            end = day_bounds(lot.last_day, found.zone, found.day_start)[1]
            out.setdefault(lot.unit, []).append(ExpiringOut(amount=lot.amount, expires_at=end))
    return out


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
