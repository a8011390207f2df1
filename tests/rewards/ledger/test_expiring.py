"""What is over goes to the account `expired`: once, by the community's day, whoever else is at it (R70)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.rewards.handlers import expiring
from services.rewards.handlers.expiring import expire_some
from services.rewards.handlers.sealing import seal_some, verify_chains
from services.rewards.store import entries as reading
from tests.rewards.boards.support import make_board, shown
from tests.rewards.guild import make_guild, rule
from tests.rewards.ledger.support import NOON, Place, all_entries, change_unit, check_books, make_place
from tests.rewards.ledger.test_lots import lots_of, post, take_back
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    place = await make_place(await make_database("rewards"))
    await change_unit(place, expires_after_days=10)
    return place


async def expired(place: Place, member: UUID) -> list[Any]:
    """A member's entries of that kind, the oldest first."""
    async with place.db.read() as tx:
        return [row for row in reversed(await all_entries(tx, place, member)) if row.kind == "expiry"]


async def to_the_end(place: Place) -> int:
    total = 0
    while found := await expire_some(place.db):
        total += found
    return total


async def test_what_is_over_goes_by_an_ordinary_entry_of_the_moment_it_was_over(
    place: Place, clock: ManualClock
) -> None:
    member = place.members[0]
    await place.give(place.grant(member, 5), place.grant(member, 3, NOON - timedelta(days=1)))
    clock.now = datetime(2026, 12, 3, 23, 59, 59, tzinfo=UTC)
    assert await expire_some(place.db) == 1
    clock.now = datetime(2026, 12, 4, 0, 0, tzinfo=UTC)
    assert await to_the_end(place) == 1
    rows = await expired(place, member)
    assert [(row.amount, row.counter_name, row.effective_at.isoformat()) for row in rows] == [
        (-3, "expired", "2026-12-03T00:00:00+00:00"),
        (-5, "expired", "2026-12-04T00:00:00+00:00"),
    ]
    assert (await place.balance(member), await lots_of(place, member)) == (0, {})
    async with place.db.read() as tx:
        system = {r.name: r.balance for r in await reading.system_balances(tx, place.id) if r.unit == "points"}
    assert system["expired"] == 8
    await check_books(place.db)


async def test_a_day_is_over_when_it_is_in_the_communitys_zone(make_database: MakeDatabase, clock: ManualClock) -> None:
    db = await make_database("rewards")
    places = [await make_place(db, 1, zone=zone) for zone in ("Asia/Shanghai", "UTC", "America/New_York")]
    owls = await make_place(db, 1, zone="Asia/Shanghai", day_start=4 * 60)
    for place in (*places, owls):
        await change_unit(place, expires_after_days=1)
        await place.give(place.grant(place.members[0], 5))

    async def left() -> list[int]:
        await to_the_end(places[0])
        return [await place.balance(place.members[0]) for place in (*places, owls)]

    for now, want in (
        (datetime(2026, 11, 24, 15, 59, tzinfo=UTC), [5, 5, 5, 5]),
        (datetime(2026, 11, 24, 16, 0, tzinfo=UTC), [0, 5, 5, 5]),
        (datetime(2026, 11, 24, 20, 0, tzinfo=UTC), [0, 5, 5, 0]),
        (datetime(2026, 11, 25, 0, 0, tzinfo=UTC), [0, 0, 5, 0]),
        (datetime(2026, 11, 25, 5, 0, tzinfo=UTC), [0, 0, 0, 0]),
    ):
        clock.now = now
        assert await left() == want
    await check_books(db)


async def test_after_weeks_of_downtime_each_goes_on_its_own_day(place: Place, clock: ManualClock) -> None:
    member = place.members[0]
    for ago in range(5):
        await post(place, member, 1 + ago, ago=ago)
    clock.advance(timedelta(days=60))
    assert await to_the_end(place) == 5
    assert [-row.amount for row in await expired(place, member)] == [5, 4, 3, 2, 1]
    assert len({row.day for row in await expired(place, member)}) == 5
    assert await to_the_end(place) == 0
    await check_books(place.db)


async def test_two_replicas_expire_a_lot_once_and_those_who_spend_meanwhile_are_no_worse_off(
    place: Place, clock: ManualClock
) -> None:
    for member in place.members:
        await place.give(*[place.grant(member, 4, NOON - timedelta(days=n)) for n in range(8)])
    clock.advance(timedelta(days=12))
    for member in place.members:
        await place.give(place.grant(member, 10, clock.now))

    async def spends(member: UUID) -> None:
        await post(place, member, -2, kind="spend")

    work = [expire_some(place.db) for _ in range(6)] + [spends(m) for m in place.members for _ in range(3)]
    await asyncio.wait_for(asyncio.gather(*work), 60)
    await to_the_end(place)
    for member in place.members:
        gone = sum(-row.amount for row in await expired(place, member))
        # A spend that came first took what would have expired.
        assert await place.balance(member) == 8 * 4 + 10 - 6 - gone
        assert 4 <= await place.balance(member) <= 10
        assert sum((await lots_of(place, member)).values()) == await place.balance(member)
    await check_books(place.db)


async def test_a_crash_leaves_a_lot_where_it_was_or_takes_it_whole(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = place.members[0]
    await place.give(place.grant(member, 5))
    clock.advance(timedelta(days=20))
    real = expiring.record

    async def dies(*args: Any, **more: Any) -> Any:
        await real(*args, **more)
        raise RuntimeError("killed")

    monkeypatch.setattr(expiring, "record", dies)
    with pytest.raises(RuntimeError, match="killed"):
        await expire_some(place.db)
    assert (await place.balance(member), await lots_of(place, member)) == (5, {10: 5})
    monkeypatch.setattr(expiring, "record", real)
    assert await to_the_end(place) == 1
    assert await expired(place, member) != []
    await check_books(place.db)


async def test_a_transaction_expires_no_more_lots_than_it_may(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "MOST", 7)
    member = place.members[0]
    await place.give(*[place.grant(m, 1, NOON - timedelta(days=n)) for n in range(10) for m in place.members[:2]])
    clock.advance(timedelta(days=30))
    assert [await expire_some(place.db) for _ in range(4)] == [7, 7, 6, 0]
    assert await place.balance(member) == 0
    await check_books(place.db)


async def test_history_that_was_over_long_ago_expires_at_once_and_again_when_more_of_it_comes(place: Place) -> None:
    member = place.members[0]
    long_ago = NOON - timedelta(days=400)
    for _ in range(2):
        await place.give(place.grant(member, 5, long_ago), history=True)
        assert await to_the_end(place) == 1
    assert [row.amount for row in await expired(place, member)] == [-5, -5]
    assert await place.balance(member) == 0
    await check_books(place.db)


async def test_what_expires_stays_on_the_boards_and_in_the_chain(place: Place, clock: ManualClock) -> None:
    await make_board(place)
    await place.give(place.grant(place.members[0], 5))
    clock.advance(timedelta(days=20))
    await to_the_end(place)
    assert await shown(place) == [(1, 0, 5)]
    clock.advance(timedelta(minutes=1))
    assert await seal_some(place.db) == 2
    async with place.db.read() as tx:
        assert await verify_chains(tx) == []
    await check_books(place.db)


async def test_a_unit_that_expires_no_more_lets_go_what_came_before(place: Place, clock: ManualClock) -> None:
    member = place.members[0]
    await place.give(place.grant(member, 5))
    await change_unit(place, expires_after_days=None)
    await place.give(place.grant(member, 3))
    clock.advance(timedelta(days=500))
    assert await to_the_end(place) == 1
    assert await place.balance(member) == 3


@pytest.mark.parametrize(("spent", "left"), [(0, 9), (4, 5), (10, -1)])
async def test_what_expired_is_not_taken_a_second_time_when_what_brought_it_is_taken_back(
    place: Place, clock: ManualClock, spent: int, left: int
) -> None:
    """Tidying up old messages had cost people what they had earned since. What was spent of it is taken back."""
    member = place.members[0]
    old = await post(place, member, 10)
    if spent:
        await post(place, member, -spent, kind="spend")
    clock.advance(timedelta(days=20))
    await to_the_end(place)
    await post(place, member, 9)
    await take_back(place, old)
    assert await place.balance(member) == left
    assert sum((await lots_of(place, member)).values()) == max(left, 0)
    async with place.db.read() as tx:
        system = {r.name: r.balance for r in await reading.system_balances(tx, place.id) if r.unit == "points"}
    assert (system["expired"], system["adjust"], system["burn"]) == (0, -9, spent)
    await check_books(place.db)


async def test_of_two_that_expired_together_each_is_taken_back_from_what_expired_in_parts_too(
    place: Place, clock: ManualClock
) -> None:
    member = place.members[0]
    first, second = await post(place, member, 6), await post(place, member, 4)
    await post(place, member, -3, kind="spend")
    clock.advance(timedelta(days=20))
    await to_the_end(place)
    await post(place, member, 9)
    for entry, amount, left in ((first, 2, 9), (first, None, 9), (second, None, 6)):
        await take_back(place, entry, amount)
        assert await place.balance(member) == left
    await check_books(place.db)


async def test_an_inverse_event_takes_nothing_for_what_expired(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await make_guild(await make_database("rewards"))
    await change_unit(guild, "xp", expires_after_days=10)
    await guild.publish(rule(amount=10))
    await guild.score(guild.act(subject="m1"))
    clock.advance(timedelta(days=20))
    await to_the_end(guild)
    await guild.score(guild.act(subject="m2", at=clock.now))
    await guild.score(guild.act("message.deleted", at=clock.now, subject="m1"))
    assert await guild.has("ann") == 10
    await check_books(guild.db)
