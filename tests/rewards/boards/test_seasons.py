"""Quarters and seasons: in the community's zone, filled, finalised, and which of them runs."""

from datetime import date, datetime, timedelta

import pytest

from kit.errors import Conflict, GuildhallError, NotFound, Unprocessable
from services.rewards.domain.seasons import Season
from services.rewards.handlers import boards
from tests.rewards.boards.support import make_board, page, shown
from tests.rewards.boards.test_finalising import finalize, set_clock, told
from tests.rewards.ledger.support import NOON, Place, make_place
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)
AUTUMN = Season("autumn", date(2026, 11, 1), date(2026, 11, 30))
WINTER = Season("winter", date(2026, 12, 1), date(2027, 2, 28))


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 4, zone="Asia/Shanghai", day_start=240)


async def add(place: Place, season: Season, id: str = "b") -> bool:
    async with place.db.begin() as tx:
        return (await boards.add_season(tx, place.id, id, season))[1]


async def test_the_season_that_runs_is_shown_and_says_when_it_ends_in_the_communitys_time(place: Place) -> None:
    await make_board(place, periods=("season",))
    assert [await add(place, WINTER), await add(place, AUTUMN), await add(place, AUTUMN)] == [True, True, False]
    # Before the first day begins at four in the morning in Shanghai, and at that moment.
    begins = datetime.fromisoformat("2026-11-30T20:00:00Z")
    await place.give(
        place.grant(place.members[0], 5, begins - timedelta(microseconds=1)), place.grant(place.members[1], 7, begins)
    )
    lines = await page(place, kind="season")
    assert (lines.window.period.key, lines.window.period.end, lines.window.next_reset_at) == ("autumn", begins, begins)
    assert await shown(place, kind="season") == [(1, 0, 5)]
    assert await shown(place, kind="season", key="winter") == [(1, 1, 7)]
    assert (await page(place, kind="season", key="winter")).window.next_reset_at == begins
    set_clock(place, begins)
    assert await shown(place, kind="season") == [(1, 1, 7)]


async def test_a_season_added_later_is_filled_from_the_entries_of_its_days(place: Place) -> None:
    await make_board(place, "early", periods=("season",))
    await add(place, AUTUMN, "early")
    for day, (member, amount) in enumerate(((0, 5), (1, 9), (0, 4), (2, 100))):
        await place.give(place.grant(place.members[member], amount, NOON + 7 * day * DAY))
    await make_board(place, "late", periods=("season", "all"))
    await add(place, AUTUMN, "late")
    await add(place, WINTER, "late")
    await add(place, Season("before", date(2026, 1, 1), date(2026, 10, 31)), "late")
    assert await shown(place, "late", "season") == await shown(place, "early", "season") == [(1, 1, 9), (2, 0, 5)]
    assert await shown(place, "late", "season", "winter") == [(1, 2, 100), (2, 0, 4)]
    assert await shown(place, "late", "season", "before") == []
    await place.give(place.grant(place.members[3], 6))
    assert await shown(place, "late", "season") == await shown(place, "early", "season")


async def test_a_season_is_finalised_like_any_period_and_late_events_are_filed_into_it(place: Place) -> None:
    await make_board(place, periods=("season", "quarter"))
    await add(place, AUTUMN)
    await place.give(place.grant(place.members[0], 5))
    ends = datetime.fromisoformat("2026-11-30T20:00:00Z") + 2 * DAY
    set_clock(place, ends - timedelta(seconds=1))
    await place.give(place.grant(place.members[1], 6))
    assert await finalize(place) == 0
    set_clock(place, ends)
    assert await finalize(place) == 1
    set_clock(place, datetime.fromisoformat("2027-01-02T20:00:00Z"))
    assert await finalize(place) == 1
    first = [(1, 1, 6), (2, 0, 5)]
    assert await told(place) == [("b", "autumn", first), ("b", "2026-Q4", first)]


async def test_a_season_that_was_over_when_the_board_was_made_is_not_finalised(place: Place) -> None:
    await make_board(place, periods=("season",))
    await place.give(place.grant(place.members[0], 5, NOON - 30 * DAY))
    await add(place, Season("past", date(2026, 10, 1), date(2026, 10, 31)))
    set_clock(place, NOON + 60 * DAY)
    assert await finalize(place) == 0


async def test_what_makes_no_season_is_refused(place: Place) -> None:
    await make_board(place, periods=("season",))
    await make_board(place, "all", periods=("all",))
    await add(place, AUTUMN)
    refused: list[tuple[str, Season, type[GuildhallError], str]] = [
        ("all", AUTUMN, NotFound, "period_not_kept"),
        ("none", AUTUMN, NotFound, "board_unknown"),
        ("b", Season("autumn", date(2027, 1, 1), date(2027, 1, 2)), Conflict, "season_taken"),
        ("b", Season("other", date(2026, 11, 30), date(2026, 12, 1)), Conflict, "season_taken"),
        ("b", Season("other", date(2027, 1, 2), date(2027, 1, 1)), Unprocessable, "season_ends_early"),
    ]
    for id, season, error, code in refused:
        with pytest.raises(error) as refusal:
            await add(place, season, id)
        assert refusal.value.code == code
    for key in ("winter", ""):
        with pytest.raises(NotFound) as unknown:
            await shown(place, kind="season", key=key)
        assert unknown.value.code == "no_season"
    set_clock(place, NOON + 60 * DAY)
    with pytest.raises(NotFound) as none:
        await shown(place, kind="season")
    assert none.value.code == "no_season"
