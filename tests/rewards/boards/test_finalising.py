"""Periods that are over: frozen once, with a hash, whoever is down, killed, late or at it at the same time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from kit import copies
from kit.contracts.rewards import BoardFinalized
from kit.database import Database, open_database
from kit.errors import Conflict
from kit.log import Partition
from services.rewards.audits import boards as audit_boards
from services.rewards.handlers import boards, finalising
from services.rewards.handlers.adjusting import reverse
from services.rewards.service import SERVICE
from services.rewards.store import closing
from services.rewards.tables.boards import board_periods, board_scores
from tests.rewards.boards.support import entry_ids, make_board, page, rows_of, shown
from tests.rewards.ledger.support import NOON, Place, announced, community_changed, make_place
from tests.support.databases import MakeDatabase

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUNDAY_NIGHT = datetime.fromisoformat("2026-11-30T00:00:00Z")
"""The end of the week that the tests' clock is in."""
AT_LAST = SUNDAY_NIGHT + 48 * HOUR


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 6)


@pytest.fixture
async def replica(place: Place) -> AsyncIterator[Database]:
    db = place.db
    url = "" if db.path else db.engine.url.render_as_string(hide_password=False)
    directory = db.path.parent if db.path else None
    other = open_database(
        "rewards", db.clock, metadata=db.metadata, publishes=SERVICE.publishes, url=url, directory=directory
    )
    yield other
    await other.close()


def set_clock(place: Place, at: datetime) -> None:
    place.db.clock.advance(at - place.db.clock())  # type: ignore[attr-defined]  # the test's ManualClock


async def finalize(place: Place, db: Database | None = None, *, caught_up: datetime | None = None) -> int:
    one = db or place.db
    return await finalising.finalize_some(one, caught_up or one.clock(), asyncio.Event())


async def told(place: Place) -> list[tuple[str, str, list[tuple[int, int, int]]]]:
    """(board, key, [(rank, number of the member, score)]) of what was announced."""
    return [
        (e.board_id, e.period_key, [(p.rank, place.members.index(p.member_id), p.score) for p in e.first])
        for e in await announced(place.db, BoardFinalized)
    ]


async def test_a_period_is_finalised_when_it_is_over_and_its_late_grace_too(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    await place.give(*[place.grant(place.members[n], score) for n, score in enumerate((5, 9, 9, 1))])
    for at in (NOON, SUNDAY_NIGHT, AT_LAST - timedelta(microseconds=1)):
        set_clock(place, at)
        assert await finalize(place) == 0
    assert (await page(place, kind="week", key="2026-W48")).window.final.finalized_at is None
    set_clock(place, AT_LAST)
    assert [await finalize(place), await finalize(place)] == [1, 0]
    assert await told(place) == [("b", "2026-W48", [(1, 1, 9), (1, 2, 9), (3, 0, 5)])]
    lines = await page(place, kind="week", key="2026-W48")
    assert lines.window.final.finalized_at == AT_LAST
    assert [event.hash for event in await announced(place.db, BoardFinalized)] == [lines.window.final.hash]
    # The board without end is never over.
    assert (await page(place)).window.final.finalized_at is None


async def test_the_end_is_that_of_the_communitys_zone_as_it_is_when_it_comes(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5))
    set_clock(place, AT_LAST - 14 * HOUR)
    assert await finalize(place) == 0
    async with place.db.begin() as tx:
        await copies.apply(tx, [community_changed(place.id, zone="America/New_York", day_start=240, version=2)])
    for at, done in ((AT_LAST + 9 * HOUR - timedelta(seconds=1), 0), (AT_LAST + 9 * HOUR, 1)):
        set_clock(place, at)
        assert await finalize(place) == done


async def test_what_comes_later_changes_nothing_and_shows_as_late(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    await place.give(place.grant(place.members[0], 5), place.grant(place.members[1], 3))
    set_clock(place, AT_LAST)
    await finalize(place)
    before = await page(place, kind="week", key="2026-W48")
    await place.give(place.grant(place.members[1], 9), place.grant(place.members[2], 100))
    latest = (await entry_ids(place.db, place, place.members[0]))[0]
    async with place.db.begin() as tx:
        await reverse(tx, place.id, latest, amount=None, reason="mistake", actor="operator:o")
    after = await page(place, kind="week", key="2026-W48")
    assert rows_of(place, after) == rows_of(place, before) == [(1, 0, 5), (2, 1, 3)]
    assert after.window.final == before.window.final._replace(late_entries=3)
    # Boards that are not over have all of it.
    assert await shown(place) == [(1, 2, 100), (2, 1, 12)]
    async with place.db.read() as tx:
        assert await audit_boards(tx) == []


async def test_a_late_event_within_the_grace_is_filed_into_its_period(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5))
    set_clock(place, AT_LAST - HOUR)
    await finalize(place)
    await place.give(place.grant(place.members[1], 7, NOON))
    set_clock(place, AT_LAST)
    await finalize(place)
    assert await told(place) == [("b", "2026-W48", [(1, 1, 7), (2, 0, 5)])]


async def test_several_periods_that_ended_while_the_service_was_down_are_finalised_each_once(place: Place) -> None:
    await make_board(place, periods=("week", "day", "month"))
    for day in range(9):
        await place.give(place.grant(place.members[day % 3], 1 + day, NOON + day * DAY))
    set_clock(place, NOON + 60 * DAY)
    assert await finalize(place) == 13
    assert await finalize(place) == 0
    keys = sorted(key for _, key, _ in await told(place))
    days = [f"2026-11-{day}" for day in range(23, 31)] + ["2026-12-01"]
    assert keys == sorted([*days, "2026-W48", "2026-W49", "2026-11", "2026-12"])


async def test_what_was_over_before_the_board_was_made_is_left_as_it_is(place: Place) -> None:
    await place.give(place.grant(place.members[0], 5, NOON - 5 * DAY), place.grant(place.members[0], 5))
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[1], 7, NOON - 5 * DAY), history=True)
    set_clock(place, NOON + 60 * DAY)
    await finalize(place)
    assert [key for _, key, _ in await told(place)] == ["2026-W48"]
    await place.give(place.grant(place.members[1], 7, NOON - 5 * DAY), history=True)
    assert await shown(place, kind="week", key="2026-W47") == [(1, 1, 14), (2, 0, 5)]


async def test_two_replicas_at_it_at_the_same_time_finalise_each_period_once(place: Place, replica: Database) -> None:
    await make_board(place, periods=("week", "day"))
    await place.give(*[place.grant(member, 5) for member in place.members])
    set_clock(place, NOON + 60 * DAY)
    done = await asyncio.gather(*(finalize(place, db) for db in (place.db, replica, place.db, replica)))
    assert sum(done) == 2
    assert sorted(key for _, key, _ in await told(place)) == ["2026-11-23", "2026-W48"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", ["lines", "finalize", "best"])
async def test_a_process_killed_in_the_middle_leaves_work_to_do_and_nothing_half_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5), place.grant(place.members[1], 3))
    set_clock(place, AT_LAST)
    with monkeypatch.context() as patch:

        async def kill(*_: Any, **__: Any) -> Any:
            raise Killed

        patch.setattr(closing, at, kill)
        with pytest.raises(Killed):
            await finalize(place)
    assert await told(place) == []
    # It was closed before: what comes meanwhile is late.
    await place.give(place.grant(place.members[2], 50))
    assert await finalize(place) == 1
    assert await told(place) == [("b", "2026-W48", [(1, 0, 5), (2, 1, 3)])]
    assert (await page(place, kind="week", key="2026-W48")).window.final.late_entries == 1


async def test_nothing_is_finalised_before_what_was_on_the_log_by_then_has_been_handled(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5))
    set_clock(place, AT_LAST + 3 * DAY)
    assert await finalize(place, caught_up=AT_LAST - timedelta(seconds=1)) == 0
    async with place.db.begin() as tx:
        assert await closing.due(tx, after=finalising.FIRST_ID, limit=9)
    await place.give(place.grant(place.members[1], 7))
    assert await finalize(place, caught_up=AT_LAST) == 1
    assert await told(place) == [("b", "2026-W48", [(1, 1, 7), (2, 0, 5)])]


class LogOf:
    """A log as far as its progress goes: what is on it, and what of it was handled."""

    def __init__(self) -> None:
        self.handled, self.there = [0, 0], [0, 0]

    async def progress(self, group: str, topics: Any) -> dict[Partition, tuple[int, int]]:
        assert (group, list(topics)) == ("guildhall.rewards:guildhall.activity", ["guildhall.activity"])
        return {
            Partition("guildhall.activity", n): pair
            for n, pair in enumerate(zip(self.handled, self.there, strict=True))
        }


async def test_a_log_that_always_has_something_new_is_caught_up_with_all_the_same() -> None:
    log: Any = LogOf()
    caught_up = finalising.CaughtUp(log)
    assert await caught_up.through(NOON) == NOON
    log.there = [5, 9]
    assert await caught_up.through(NOON + HOUR) == NOON
    log.handled, log.there = [5, 8], [90, 90]
    assert await caught_up.through(NOON + 2 * HOUR) == NOON
    log.handled, log.there = [6, 10], [99, 99]
    assert await caught_up.through(NOON + 3 * HOUR) == NOON + HOUR
    log.handled = [99, 99]
    assert await caught_up.through(NOON + 4 * HOUR) == NOON + 4 * HOUR


async def test_a_posting_on_its_way_is_either_in_the_period_or_late(place: Place, replica: Database) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 1))
    set_clock(place, AT_LAST)
    other = replace(place, db=replica)

    async def post() -> None:
        for _ in range(20):
            await other.give(other.grant(place.members[0], 1))

    await asyncio.gather(post(), finalize(place), post())
    await finalize(place)
    lines = await page(place, kind="week", key="2026-W48")
    assert lines.items[0].score + lines.window.final.late_entries == 41
    assert [p.score for e in await announced(place.db, BoardFinalized) for p in e.first] == [lines.items[0].score]


async def test_a_hand_in_a_finalised_period_is_found(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(*[place.grant(member, 5) for member in place.members])
    set_clock(place, AT_LAST)
    await finalize(place)
    async with place.db.begin() as tx:
        assert await audit_boards(tx) == []
        mine = board_scores.c.member_id == place.members[2], board_scores.c.slot.in_(select(board_periods.c.slot))
        await tx.execute(update(board_scores).where(*mine).values(negated=-50))
    async with place.db.read() as tx:
        (fault,) = await audit_boards(tx)
    assert "2026-W48: was changed after it was finalised" in fault


async def test_a_deleted_board_is_not_finalised_and_one_made_again_shows_nothing_of_it(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5))
    set_clock(place, AT_LAST)
    await finalize(place)
    async with place.db.begin() as tx:
        await boards.delete(tx, place.id, "b")
    await make_board(place, periods=("week",))
    lines = await page(place, kind="week", key="2026-W48")
    # Filled from the entries, and over before this board was made.
    assert (rows_of(place, lines), lines.window.final.finalized_at) == ([(1, 0, 5)], None)
    assert await finalize(place) == 0
    with pytest.raises(Conflict):
        await make_board(place)
