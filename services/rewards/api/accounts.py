"""What a member has, and how it came about."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.database import Database
from kit.days import day_bounds, local_day
from kit.errors import NotFound
from kit.http import Instant, Page, PageOf, problems
from services.rewards.api.common import Db, ReaderOrMember, Text, UnitId, check_own, group_account, member_unknown
from services.rewards.api.entry_models import EntryOut, entry_page
from services.rewards.api.paging import page_of, place_of
from services.rewards.domain.groups import group_of
from services.rewards.domain.ledger import Unit
from services.rewards.store import balances, groups, ledger

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


class GroupBalanceOut(BaseModel):
    group: str = Field(description="`#` and the SHA-256 of one whose id is longer than 94 characters.")
    account: str = Field(description="The name of its account, as `GET /v1/entries?account=` takes it.")
    account_id: UUID = Field(description="What stands for it where a member's id would.")
    balance: int
    available: int = Field(description="How much of it can be spent; 0 where the unit is not for spending.")


class GroupAccountsOut(BaseModel):
    group: str
    account: str
    account_id: UUID
    items: list[AccountOut]


@router.get("/v1/accounts/groups", responses=problems(400, 422), summary="Groups by their balances, the highest first")
async def list_groups(
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    unit: UnitId = "points",
) -> Page[GroupBalanceOut]:
    """All that rules or operators ever had something for in the unit; groups of one balance in an order that stays."""
    place = place_of(paging, int, UUID)
    async with db.read() as tx:
        units = await ledger.units_of(tx, caller.community_id)
        rows = await groups.page(
            tx, caller.community_id, unit, limit=paging.limit + 1, after=place.after, before=place.before
        )

    def out(row: Any) -> GroupBalanceOut:
        return GroupBalanceOut(
            group=group_of(row.name),
            account=row.name,
            account_id=row.owner_id,
            balance=row.balance,
            available=_available(units[unit], row.balance, 0),
        )

    return page_of(rows, paging, place, lambda row: [row.balance, str(row.owner_id)], out)


@router.get(
    "/v1/accounts/groups/balances", responses=problems(400, 404, 422), summary="A group's balances in every unit"
)
async def get_group(
    db: Db, caller: ReaderOrMember, group: Annotated[Text, Query(max_length=300, examples=["qq:100"])]
) -> GroupAccountsOut:
    account_id, name = group_account(caller.community_id, group)
    now = db.clock()
    found = await _having(db, caller.community_id, account_id, now)
    if not found.accounts:
        raise NotFound("nothing was ever posted to this group", code="group_unknown")
    items = _items(found, now)
    return GroupAccountsOut(group=group_of(name), account=name, account_id=account_id, items=items)


@router.get("/v1/accounts/{member_id}", responses=problems(400, 404, 422), summary="A member's balances")
async def get_accounts(member_id: UUID, db: Db, caller: ReaderOrMember) -> AccountsOut:
    """Every unit of the community, with 0 where nothing was posted yet."""
    check_own(caller, member_id)
    now = db.clock()
    found = await _having(db, caller.community_id, member_id, now)
    if not (found.known or found.accounts or caller.member_id == member_id):
        raise member_unknown()
    return AccountsOut(member_id=member_id, items=_items(found, now))


async def _having(db: Database, community_id: UUID, owner_id: UUID, now: datetime) -> balances.Having:
    # The days of the community are known with the answer; those of any other are at most two away.
    days = (local_day(at, "UTC", 0) for at in (now - 2 * DAY, now + SOON + 2 * DAY))
    return await balances.having(db, community_id, owner_id, *days)


def _items(found: balances.Having, now: datetime) -> list[AccountOut]:
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
                available=_available(unit, balance, debt),
                held=found.held.get(unit.id, 0),
                pending=found.pending.get(unit.id, 0),
                expiring_soon=expiring.get(unit.id, []),
            )
        )
    return items


def _available(unit: balances.UnitOf | Unit, balance: int, debt: int) -> int:
    return max(balance - unit.minimum, 0) if unit.spendable and not debt else 0


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
