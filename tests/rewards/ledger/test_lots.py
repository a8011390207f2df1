"""Points that expire: which lots are made, taken from, given back to (R70)."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from kit.errors import Unprocessable
from services.rewards.domain.ledger import ALLOW_NEGATIVE, RECORD_DEBT
from services.rewards.domain.lots import NEVER, Account, Part
from services.rewards.handlers.adjusting import post_one, reverse
from services.rewards.tables.lots import lot_parts, lots
from tests.rewards.ledger.support import NOON, Place, Statements, change_unit, check_books, make_place, wish
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

TODAY = date(2026, 11, 23)


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    """Points expire ten days after they came."""
    place = await make_place(await make_database("rewards"))
    await change_unit(place, expires_after_days=10)
    return place


async def lots_of(place: Place, member: UUID, unit: str = "points") -> dict[int, int]:
    """How many days each lot still lasts after today → how much is in it."""
    async with place.db.read() as tx:
        where = lots.c.community_id == place.id, lots.c.owner_id == member, lots.c.unit == unit
        rows = await tx.all(select(lots).where(*where))
    return {(row.last_day - TODAY).days: row.amount for row in rows}


async def post(place: Place, member: UUID, amount: int, *, ago: int = 0, **more: Any) -> UUID:
    """An entry by hand that counts for a day so many days ago."""
    at = place.db.clock() - timedelta(days=ago)
    async with place.db.begin() as tx:
        outcome = await post_one(tx, place.id, wish(member, amount, effective_at=at, **more), "operator:o")
    assert outcome.id is not None
    return outcome.id


async def take_back(place: Place, entry: UUID, amount: int | None = None) -> None:
    async with place.db.begin() as tx:
        await reverse(tx, place.id, entry, amount=amount, reason="because", actor="operator:o")


async def test_what_comes_in_lasts_from_the_day_it_counts_for(place: Place) -> None:
    member = place.members[0]
    await place.give(place.grant(member, 3), place.grant(member, 4), place.grant(member, 5, NOON - timedelta(days=2)))
    await post(place, member, 6, ago=2)
    assert await lots_of(place, member) == {10: 7, 8: 11}
    await check_books(place.db)


async def test_spending_takes_what_expires_first(place: Place) -> None:
    member = place.members[0]
    for ago in (1, 3, 2):
        await post(place, member, 5, ago=ago)
    await post(place, member, -7, kind="spend")
    assert await lots_of(place, member) == {8: 3, 9: 5}
    await post(place, member, -8)
    assert await lots_of(place, member) == {}


async def test_what_was_there_before_never_expires_and_is_spent_last(make_database: MakeDatabase) -> None:
    place = await make_place(await make_database("rewards"))
    member = place.members[0]
    await post(place, member, 10)
    await change_unit(place, expires_after_days=10)
    await post(place, member, 4)
    spent = await post(place, member, -6, kind="spend")
    assert await lots_of(place, member) == {}
    await take_back(place, spent, 3)
    assert await lots_of(place, member) == {10: 1}
    await check_books(place.db)


async def test_another_term_holds_for_what_comes_from_then_on(place: Place) -> None:
    member = place.members[0]
    await post(place, member, 1)
    await change_unit(place, expires_after_days=30)
    await post(place, member, 2)
    await change_unit(place, expires_after_days=None)
    await post(place, member, 4)
    assert await lots_of(place, member) == {10: 1, 30: 2}
    await post(place, member, -2, kind="spend")
    assert await lots_of(place, member) == {30: 1}


async def test_a_spend_that_comes_back_goes_where_it_was_taken_from_the_last_first(place: Place) -> None:
    member = place.members[0]
    await post(place, member, 5, ago=3)
    await post(place, member, 5, ago=1)
    spent = await post(place, member, -8, kind="spend")
    assert await lots_of(place, member) == {9: 2}
    await take_back(place, spent, 4)
    assert await lots_of(place, member) == {9: 5, 7: 1}
    await take_back(place, spent)
    assert await lots_of(place, member) == {9: 5, 7: 5}
    async with place.db.read() as tx:
        assert await tx.all(select(lot_parts).where(lot_parts.c.transaction_id == spent)) == []
    await check_books(place.db)


async def test_what_comes_back_after_its_time_lasts_a_week(place: Place, clock: ManualClock) -> None:
    member = place.members[0]
    await post(place, member, 5)
    spent = await post(place, member, -5, kind="spend")
    clock.advance(timedelta(days=40))
    await take_back(place, spent)
    assert await lots_of(place, member) == {47: 5}


async def test_a_grant_that_is_taken_back_goes_from_its_own_lot(place: Place) -> None:
    member = place.members[0]
    await post(place, member, 5, ago=5)
    late = await post(place, member, 5, ago=1)
    await take_back(place, late, 2)
    assert await lots_of(place, member) == {5: 5, 9: 3}
    await take_back(place, late)
    assert await lots_of(place, member) == {5: 5}


async def test_of_a_grant_that_was_spent_the_rest_goes_from_the_oldest(place: Place) -> None:
    member = place.members[0]
    first = await post(place, member, 5, ago=5)
    await post(place, member, 5, ago=3)
    await post(place, member, 5, ago=1)
    await post(place, member, -7, kind="spend")
    await take_back(place, first)
    assert await lots_of(place, member) == {9: 3}


async def test_what_is_below_zero_makes_no_lot_and_is_filled_up_first(place: Place) -> None:
    member = place.members[0]
    prize = await post(place, member, 10)
    await post(place, member, -10, kind="spend")
    await take_back(place, prize)
    assert await place.balance(member) == -10
    await place.give(place.grant(member, 4), place.grant(member, 9))
    assert await place.balance(member) == 3
    assert await lots_of(place, member) == {10: 3}
    await check_books(place.db)


async def test_what_was_taken_from_nothing_comes_back_as_new(place: Place) -> None:
    member = place.members[0]
    await post(place, member, 4, ago=6)
    fine = await post(place, member, -10, allow_negative=True)
    await post(place, member, 6)
    assert await lots_of(place, member) == {}
    await take_back(place, fine)
    assert await lots_of(place, member) == {4: 4, 10: 6}
    await check_books(place.db)


async def test_a_debt_is_paid_off_before_anything_lasts(place: Place) -> None:
    await change_unit(place, expires_after_days=10, clawback=RECORD_DEBT)
    member = place.members[0]
    prize = await post(place, member, 10)
    await post(place, member, -7, kind="spend")
    await take_back(place, prize)
    await place.give(place.grant(member, 4), place.grant(member, 9, NOON - timedelta(days=3)))
    assert await place.balance(member) == 6
    assert await lots_of(place, member) == {10: 4, 7: 2}
    await check_books(place.db)


async def test_one_batch_that_brings_and_spends_is_as_two(place: Place) -> None:
    member, other = place.members[:2]
    grants = [place.grant(member, amount, NOON - timedelta(days=ago)) for amount, ago in ((5, 2), (-6, 0), (4, 4))]
    await place.give(*grants, place.grant(other, -3))
    assert await place.balance(member) == 3
    assert sum((await lots_of(place, member)).values()) == 3
    assert await lots_of(place, other) == {}
    await check_books(place.db)


async def test_another_members_and_another_communitys_lots_are_left_alone(place: Place) -> None:
    there = await make_place(place.db)
    await change_unit(there, expires_after_days=5)
    member, other = place.members[:2]
    for where, who in ((place, member), (place, other), (there, there.members[0])):
        await post(where, who, 5)
    await post(place, member, -5, kind="spend")
    assert await lots_of(place, other) == {10: 5}
    assert await lots_of(there, there.members[0]) == {5: 5}


async def test_a_spend_that_is_refused_leaves_the_lots(place: Place) -> None:
    member = place.members[0]
    await post(place, member, 5)
    with pytest.raises(Unprocessable):
        await post(place, member, -6, kind="spend")
    assert await lots_of(place, member) == {10: 5}


@pytest.mark.parametrize("size", [1, 50, 400])
async def test_units_without_expiry_pay_nothing_and_others_a_fixed_number_of_statements(
    make_database: MakeDatabase, size: int
) -> None:
    place = await make_place(await make_database("rewards"), 40)
    counted = []
    for days in (None, 10):
        await change_unit(place, expires_after_days=days)
        await place.give(*[place.grant(m, 50) for m in place.members])
        many = [place.grant(place.members[n % 40], -1 if n % 3 else 2, NOON - timedelta(hours=n)) for n in range(size)]
        with Statements(place.db) as statements:
            await place.give(*many)
        counted.append((len(statements.texts), [t for t in statements.texts if "lot" in t.split("RETURNING")[0]]))
    (without, none), (with_lots, some) = counted
    assert none == []
    assert with_lots - without == len(some) <= 4
    await check_books(place.db)


@given(balance=st.integers(-9, 9), moves=st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 9))))
def test_an_accounts_lots_are_its_balance_where_everything_expires(
    balance: int, moves: list[tuple[bool, int, int]]
) -> None:
    account = Account(balance, {TODAY: balance} if balance > 0 else {})
    for gives, day, amount in moves:
        before = account.balance
        if gives:
            account.give([Part(TODAY + timedelta(days=day), amount)])
            assert account.balance == before + amount
        else:
            taken = account.take(amount)
            assert sum(part.amount for part in taken) == amount
            assert [part.last_day for part in taken] == sorted(part.last_day for part in taken)
        assert sum(account.lots.values()) == max(account.balance, 0)
        assert all(left >= 0 for left in account.lots.values())


@given(
    free=st.integers(0, 9), moves=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9))), amount=st.integers(1, 90)
)
def test_what_never_expires_is_taken_when_all_that_does_is_gone(
    free: int, moves: list[tuple[int, int]], amount: int
) -> None:
    account = Account(free)
    account.give([Part(TODAY + timedelta(days=day), n) for day, n in moves])
    before = dict(account.lots)
    taken = dict(account.take(amount))
    if NEVER in taken:
        assert {day: n for day, n in taken.items() if day in before} == before


async def test_a_unit_that_allows_it_goes_below_zero_and_comes_back(place: Place) -> None:
    await change_unit(place, expires_after_days=10, clawback=ALLOW_NEGATIVE)
    member = place.members[0]
    await place.give(place.grant(member, 5), place.grant(member, -8))
    assert (await place.balance(member), await lots_of(place, member)) == (-3, {})
    await place.give(place.grant(member, 2))
    assert (await place.balance(member), await lots_of(place, member)) == (-1, {})
    await place.give(place.grant(member, 2))
    assert (await place.balance(member), await lots_of(place, member)) == (1, {10: 1})
    await check_books(place.db)
