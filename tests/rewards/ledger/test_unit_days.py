"""What a unit's economy came to, day by day: added up behind the chain, each sealed transaction once (R83)."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from kit.errors import BadRequest, NotFound
from services.rewards.domain.ledger import MOST
from services.rewards.domain.unit_days import Day, Flow, days_of, inflation
from services.rewards.handlers import unit_days
from services.rewards.handlers.unit_days import add_up_some, economy
from services.rewards.store import unit_days as store
from services.rewards.tables.ledger import accounts
from services.rewards.tables.unit_days import unit_days as table
from tests.rewards.ledger.support import NOON, Place, check_books, make_place
from tests.rewards.ledger.test_chain import sealed
from tests.rewards.ledger.test_holds import hold
from tests.rewards.ledger.test_lots import post, take_back
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

MONDAY = date(2026, 11, 23)


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def added_up(place: Place, clock: ManualClock) -> None:
    await sealed(place.db, clock)
    while await add_up_some(place.db):
        pass


async def shown(place: Place, first: date = MONDAY, last: date = MONDAY, unit: str = "points") -> list[Day]:
    async with place.db.read() as tx:
        return (await economy(tx, place.id, unit, first, last)).days


async def check_sums(place: Place) -> None:
    """What went through each system account comes to its balance."""
    async with place.db.read() as tx:
        rows = await tx.all(select(table).where(table.c.community_id == place.id))
        where = accounts.c.community_id == place.id, accounts.c.system == 1, accounts.c.balance != 0
        kept = {(r.unit, r.name): r.balance for r in await tx.all(select(accounts).where(*where))}
    nets: dict[tuple[str, str], int] = {}
    for row in rows:
        nets[row.unit, row.account] = nets.get((row.unit, row.account), 0) + row.came - row.went
    assert {key: net for key, net in nets.items() if net} == kept


async def test_a_day_says_what_was_issued_spent_held_and_is_about(place: Place, clock: ManualClock) -> None:
    ann = place.members[0]
    await place.give(place.grant(ann, 50), place.grant(place.members[1], 30, NOON - timedelta(days=1)))
    gift = await post(place, ann, 20)
    await post(place, ann, -15, kind="spend")
    await hold(place, 5)
    await take_back(place, gift, 8)
    await added_up(place, clock)
    sunday, monday = await shown(place, MONDAY - timedelta(days=1))
    assert (sunday.issued, sunday.balances) == (30, 30)
    assert monday == Day(MONDAY, 50, 0, 12, 15, 0, balances=72, held=5, owed=0)
    await check_sums(place)
    await check_books(place.db)


async def test_what_is_taken_back_changes_the_day_it_counted_for(place: Place, clock: ManualClock) -> None:
    gift = await post(place, place.members[0], 20, ago=3)
    await added_up(place, clock)
    clock.advance(timedelta(days=1))
    await take_back(place, gift)
    await added_up(place, clock)
    first = (await shown(place, MONDAY - timedelta(days=3)))[0]
    assert (first.by_hand, first.balances) == (0, 0)
    await check_sums(place)


async def test_nothing_is_added_up_before_it_is_sealed_and_nothing_twice(place: Place, clock: ManualClock) -> None:
    await place.give(place.grant(place.members[0], 5))
    assert await add_up_some(place.db) == 0
    async with place.db.read() as tx:
        assert (await economy(tx, place.id, "points", None, None)).through is None
    await sealed(place.db, clock)
    assert await add_up_some(place.db) == 1
    assert await add_up_some(place.db) == 0
    assert (await shown(place))[0].issued == 5
    async with place.db.read() as tx:
        assert (await economy(tx, place.id, "points", None, None)).through is not None


async def test_several_at_once_and_one_that_dies_before_its_commit_count_each_transaction_once(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await make_place(place.db)
    for one in (place, other):
        for _ in range(3):
            await one.give(*(one.grant(one.members[0], 1) for _ in range(400)))
            await sealed(place.db, clock)
    monkeypatch.setattr(unit_days, "MOST", 500)

    async def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(store, "move_on", dies)
        with pytest.raises(RuntimeError):
            await add_up_some(place.db)
    while sum(await asyncio.gather(*(add_up_some(place.db) for _ in range(4)))):
        pass
    for one in (place, other):
        assert [day.issued for day in await shown(one)] == [1200]
        await check_sums(one)


async def test_days_on_which_nothing_happened_say_what_is_about(place: Place, clock: ManualClock) -> None:
    await place.give(place.grant(place.members[0], 5, NOON - timedelta(days=40)))
    await added_up(place, clock)
    async with place.db.read() as tx:
        found = await economy(tx, place.id, "points", None, None)
    assert [day.day for day in found.days] == [MONDAY - timedelta(days=n) for n in reversed(range(30))]
    assert {(day.issued, day.balances) for day in found.days} == {(0, 5)}
    assert found.inflation == 0.0


async def test_sums_beyond_a_column_stay_at_the_most_it_holds(place: Place, clock: ManualClock) -> None:
    ann = place.members[0]
    for _ in range(3):
        await post(place, ann, MOST)
        await post(place, ann, -MOST)
    await added_up(place, clock)
    async with place.db.read() as tx:
        row = (await store.before(tx, place.id, "points", MONDAY + timedelta(days=1)))["adjust"]
    assert row == Flow(MOST, MOST)


async def test_a_unit_that_there_is_not_and_too_many_days_are_refused(place: Place) -> None:
    async with place.db.read() as tx:
        with pytest.raises(NotFound):
            await economy(tx, place.id, "gold", None, None)
        for since, until in ((date(2025, 11, 22), MONDAY), (MONDAY + timedelta(days=1), MONDAY)):
            with pytest.raises(BadRequest):
                await economy(tx, place.id, "points", since, until)


def test_inflation_is_of_balances_and_what_is_held_together() -> None:
    before = {"mint": Flow(0, 200), "escrow": Flow(50, 0)}
    flows = {MONDAY: {"mint": Flow(0, 30), "burn": Flow(10, 0), "escrow": Flow(0, 20)}}
    (day,) = days_of(before, flows, MONDAY, MONDAY)
    assert (day.balances, day.held) == (190, 30)
    assert inflation(before, day) == 10.0
    assert inflation({}, day) is None
