"""Leagues: who plays against whom, who goes up and down, whoever is late, killed, away or at it at the same time."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from kit import outbox
from kit.contracts.rewards import LeagueChanged
from kit.database import Database
from kit.errors import NotFound, Unprocessable
from services.rewards.domain.leagues import DEMOTE, STAY, League
from services.rewards.handlers import boards, divisions, leagues
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.adjusting import reverse
from services.rewards.handlers.ranking import Asked
from services.rewards.store import filling
from services.rewards.store.shown import BY_MEMBER, EVERY_BOARD
from services.rewards.tables.leagues import league_periods, league_seats, league_tallies, league_tiers
from tests.rewards.boards.support import entry_ids, make_board
from tests.rewards.boards.test_finalising import AT_LAST, SUNDAY_NIGHT, Killed, finalize, place, replica, set_clock
from tests.rewards.ledger.support import Place, Statements, announced, check_books

assert place
assert replica
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
MONDAY = SUNDAY_NIGHT
"""The league's first week begins when the one is over that the tests' clock is in."""
OVER = AT_LAST + WEEK
BRONZE, SILVER, GOLD = range(3)


def league(size: int = 4, promote: int = 1, demote: int = 1, **fields: Any) -> League:
    tiers = fields.pop("tiers", ("bronze", "silver", "gold"))
    each = len(tiers)
    return League("week", tiers, size, (promote,) * each, (demote,) * each, fields.pop("inactive", DEMOTE))


async def start(place: Place, one: League | None = None) -> None:
    await make_board(place, periods=("all", "week"))
    await play_by(place, one or league())
    set_clock(place, MONDAY)


async def play_by(place: Place, one: League | None) -> None:
    async with place.db.begin() as tx:
        await leagues.put(tx, place.id, "b", one)


async def score(place: Place, *scores: int | None, at: datetime = MONDAY) -> None:
    """By the number of the member, a minute after each other; None: nothing."""
    grants = [
        place.grant(place.members[n], amount, at + n * timedelta(minutes=1))
        for n, amount in enumerate(scores)
        if amount is not None
    ]
    await place.give(*grants)


async def play(place: Place, db: Database | None = None) -> int:
    return await leagues.play_some(db or place.db, asyncio.Event())


async def end(place: Place, at: datetime = OVER) -> None:
    """The week ends, and the next one's divisions are drawn."""
    set_clock(place, at)
    await finalize(place)
    await play(place)
    await play(place)


async def standing(place: Place, number: int, key: str | None = None) -> divisions.Standing:
    async with place.db.read() as tx:
        return await divisions.standing(tx, Asked(place.id, "b", "", key), place.members[number])


async def table(place: Place, key: str | None = None) -> list[list[list[int]]]:
    """By tier and division, the numbers of the members in their order."""
    async with place.db.read() as tx:
        found = await divisions.overview(tx, Asked(place.id, "b", "", key))
        out: list[list[list[int]]] = [[] for _ in found.window.league.tiers]
        for tier, number, _ in found.divisions:
            lines = (await divisions.division(tx, Asked(place.id, "b", "", key), tier, number)).lines
            out[tier].append([place.members.index(line.member_id) for line in lines])
    return out


async def tiers(place: Place) -> list[int | None]:
    return [(await standing(place, n)).tier for n in range(len(place.members))]


async def told(place: Place) -> list[tuple[int, str, str, bool]]:
    """(number of the member, what happened, tier, whether they played)."""
    events = await announced(place.db, LeagueChanged)
    return sorted((place.members.index(e.member_id), e.outcome, e.tier, e.played) for e in events)


async def test_divisions_fill_in_the_order_of_first_scores_and_the_best_go_up(place: Place) -> None:
    await start(place)
    await score(place, 1, 5, 3, 9, 2, -1)
    assert await table(place) == [[], [], []]
    await play(place)
    assert await table(place) == [[[3, 1, 2, 0], [4, 5]], [], []]
    mine = await standing(place, 4)
    assert mine.table is not None
    assert (mine.tier, mine.table.division, mine.table.up, mine.table.down) == (BRONZE, 1, 1, 0)
    assert [(line.rank, line.score, line.zone) for line in mine.table.lines] == [(1, 2, "promotion"), (2, -1, "stays")]
    await end(place)
    assert await tiers(place) == [BRONZE, BRONZE, BRONZE, SILVER, SILVER, BRONZE]
    assert [step for step in await told(place) if step[1] != "stayed"] == [
        (3, "promoted", "silver", True), (4, "promoted", "silver", True),
    ]  # fmt: skip
    assert len(await told(place)) == 6


async def test_who_comes_later_goes_on_where_the_last_division_ends(place: Place) -> None:
    await start(place, league(2))
    await score(place, 1, None, 1)
    await play(place)
    await score(place, None, 5, None, None, 1)
    await score(place, 9, at=MONDAY + HOUR)
    assert await table(place) == [[[0, 2], [1, 4]], [], []]
    # Of one batch who scored first is first, whatever their ids.
    await place.give(place.grant(place.members[5], 1, MONDAY + HOUR), place.grant(place.members[3], 1, MONDAY))
    assert await table(place) == [[[0, 2], [1, 4], [3, 5]], [], []]


async def test_up_and_down_through_the_tiers_for_weeks_and_past_weeks_stay_readable(place: Place) -> None:
    await start(place, league(3))
    for week, scores in enumerate([(9, 5, 1, 8, 4, -1), (9, 1, 2, 8, 3, 1), (1, 2, -1, 5, 4, 1)]):
        at = MONDAY + week * WEEK
        await score(place, *scores, at=at)
        await play(place)
        await end(place, AT_LAST + (week + 1) * WEEK)
    # 0 and 3 went up at once, met in silver, where the first went to gold; and so on.
    assert await table(place, "2026-W49") == [[[0, 1, 2], [3, 4, 5]], [], []]
    assert await table(place, "2026-W50") == [[[4, 2, 1], [5]], [[0, 3]], []]
    assert await table(place, "2026-W51") == [[[3, 1, 2], [5]], [[4]], [[0]]]
    lines = (await standing(place, 3, "2026-W50")).table
    assert lines is not None
    assert [line.zone for line in lines.lines] == ["promotion", "demotion"]
    assert ((await standing(place, 3, "2026-W50")).tier_after, await tiers(place)) == (BRONZE, [2, 0, 0, 1, 1, 0])


async def test_a_week_is_drawn_when_the_week_before_is_final_and_late_events_still_count_for_that(place: Place) -> None:
    await start(place, league(3))
    await score(place, 3, 2, 1)
    await play(place)
    late = MONDAY + WEEK + 10 * HOUR
    set_clock(place, late)
    await play(place)
    await score(place, 1, 1, 1, at=MONDAY + WEEK)
    assert await table(place) == [[], [], []]
    waiting = await standing(place, 1)
    assert (waiting.tier, waiting.table, waiting.window.state.drawn_at) == (BRONZE, None, None)
    # Somebody new, and somebody who overtakes, both of last week.
    await score(place, None, 5, None, 4, at=MONDAY + HOUR)
    assert await table(place, "2026-W49") == [[[1, 0, 2], [3]], [], []]
    await end(place)
    assert await tiers(place) == [BRONZE, SILVER, BRONZE, BRONZE, BRONZE, BRONZE]
    assert await table(place) == [[[0, 2]], [[1]], []]
    drawn = (await standing(place, 1)).window.state.drawn_at
    assert drawn == OVER


async def test_a_reversal_ranks_a_division_anew_until_the_period_is_final_and_then_nothing_changes(
    place: Place,
) -> None:
    await start(place)
    await score(place, 9, 5, 3)
    await play(place)

    async def take(number: int) -> None:
        (id, *_) = await entry_ids(place.db, place, place.members[number])
        async with place.db.begin() as tx:
            await reverse(tx, place.id, id, amount=None, reason="r", actor="operator:o")

    await take(0)
    assert await table(place) == [[[1, 2]], [], []]
    await score(place, 1, at=MONDAY + HOUR)
    assert await table(place) == [[[1, 2, 0]], [], []]
    await end(place)
    await take(1)
    assert (await tiers(place))[:3] == [BRONZE, SILVER, BRONZE]
    assert await table(place, "2026-W49") == [[[1, 2, 0]], [], []]
    assert sum(step[1] == "promoted" for step in await told(place)) == 1


async def test_who_is_on_no_board_takes_no_place_and_whoever_leaves_it_keeps_the_tier(place: Place) -> None:
    await start(place, league(2, inactive=STAY))

    async def away(number: int, gone: bool) -> None:
        async with place.db.begin() as tx:
            await change(tx, place.id, [Change(place.members[number], EVERY_BOARD, BY_MEMBER, gone, "", "")])

    await away(1, True)
    await score(place, 1, 9, 2, 3)
    await play(place)
    assert await table(place) == [[[2, 0], [3]], [], []]
    await away(2, True)
    assert await table(place) == [[[0], [3]], [], []]
    await away(1, False)
    assert await table(place) == [[[0], [1, 3]], [], []]
    await end(place)
    await away(2, False)
    # Alone against nobody, and nobody's rival: they stay.
    assert (await tiers(place))[:4] == [BRONZE, SILVER, BRONZE, BRONZE]


async def test_who_does_not_play_goes_down_or_stays_as_the_league_says(place: Place) -> None:
    await start(place, league(2))
    for week in range(2):
        await score(place, 1, 2, at=MONDAY + week * WEEK)
        await score(place, None, None, 1, 2 if week == 0 else None, at=MONDAY + week * WEEK)
        await play(place)
        await end(place, AT_LAST + (week + 1) * WEEK)
    # In the second week member 3 did not play, and 0 went up.
    assert (await tiers(place))[:4] == [SILVER, SILVER, BRONZE, BRONZE]
    # A week that nobody plays in moves nobody, however many there are.
    await end(place, AT_LAST + 4 * WEEK)
    assert (await tiers(place))[:4] == [SILVER, SILVER, BRONZE, BRONZE]
    set_clock(place, MONDAY + 5 * WEEK)
    await score(place, None, None, None, None, 1, 2, at=MONDAY + 5 * WEEK)
    await play(place)
    await end(place, AT_LAST + 6 * WEEK)
    assert (await tiers(place))[:4] == [BRONZE] * 4
    assert [step for step in await told(place) if not step[3]] == [(n, "demoted", "bronze", False) for n in (0, 1, 3)]
    assert (await standing(place, 1, "2027-W01")).tier_after == BRONZE


async def test_new_terms_hold_from_the_next_period_on_and_no_league_ends_it(place: Place) -> None:
    await start(place, league(2))
    await score(place, 1, 2, 3)
    await play(place)
    await play_by(place, league(3, tiers=("low", "high")))
    await score(place, None, None, None, 4)
    assert await table(place) == [[[1, 0], [3, 2]], [], []]
    await end(place)
    await score(place, 1, 2, 3, 4, at=MONDAY + WEEK)
    await play(place)
    assert await table(place) == [[[2, 0]], [[3, 1]]]
    await play_by(place, None)
    await end(place, OVER + WEEK)
    await score(place, 1, at=MONDAY + 2 * WEEK)
    assert await play(place) == 0
    with pytest.raises(NotFound) as refused:
        await table(place)
    assert (refused.value.code, await table(place, "2026-W50")) == ("no_league", [[[2, 0]], [[3, 1]]])


async def test_a_league_that_cannot_be_played_is_refused_with_where_and_why(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    for wrong, pointer in (
        (replace(league(), period="month"), "/league/period"),
        (replace(league(), promote=(1,)), "/league/promote"),
        (league(2, 2, 1), "/league/size"),
        (league(tiers=("a", "a")), "/league/tiers"),
    ):
        with pytest.raises(Unprocessable) as refused:
            await play_by(place, wrong)
        assert (refused.value.code, [e.pointer for e in refused.value.errors]) == ("league_invalid", [pointer])


@pytest.mark.parametrize("after", [1, 3])
async def test_a_process_killed_while_it_settles_repeats_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    await start(place, league(2))
    await score(place, 1, 2, 3, 4, 5, 6)
    await play(place)
    set_clock(place, OVER)
    await finalize(place)
    monkeypatch.setattr(leagues, "STEP", 3)
    add, told_already = outbox.add, 0
    with monkeypatch.context() as patch:

        def kill(tx: Any, event: Any, **more: Any) -> Any:
            nonlocal told_already
            told_already += 1
            if told_already > after:
                raise Killed
            return add(tx, event, **more)

        patch.setattr(outbox, "add", kill)
        with pytest.raises(Killed):
            await play(place)
    assert len(await told(place)) == after // 2 * 2
    await play(place)
    assert [n for n, *_ in await told(place)] == list(range(6))
    assert await tiers(place) == [BRONZE, SILVER] * 3


async def test_two_replicas_place_everybody_once_while_others_post_and_settle_once(
    place: Place, replica: Database
) -> None:
    await start(place, league(2))
    other = replace(place, db=replica)
    await score(place, 1)

    async def post(one: Place, numbers: range) -> None:
        for n in numbers:
            await one.give(one.grant(place.members[n], n + 1, MONDAY + n * HOUR))

    await asyncio.gather(play(place), play(other), post(place, range(1, 6)), post(other, range(5, 0, -1)))
    await play(place)
    found = await table(place)
    assert sorted(n for division in found[0] for n in division) == list(range(6))
    assert [len(division) for division in found[0]] == [2, 2, 2]
    set_clock(place, OVER)
    await finalize(place)
    await asyncio.gather(play(place), play(place, replica), play(place))
    assert sum(step[1] == "promoted" for step in await told(place)) == 3
    assert len(await told(place)) == 6
    await check_books(place.db)


async def test_a_period_that_begins_late_is_not_drawn_before_and_one_behind_the_running_one_not_at_all(
    place: Place,
) -> None:
    await start(place)
    await score(place, None, 1, at=MONDAY + 3 * WEEK)
    await play(place)
    set_clock(place, MONDAY + WEEK)
    await score(place, 1, at=MONDAY + WEEK)
    await play(place)
    await score(place, None, None, 7, at=MONDAY + HOUR)
    await end(place)
    assert (await table(place), await table(place, "2026-W49")) == ([[[0]], [], []], [[], [], []])
    await end(place, OVER + WEEK)
    set_clock(place, MONDAY + 3 * WEEK)
    await play(place)
    assert await table(place) == [[[1]], [], []]
    assert [n for n, *_ in await told(place)] == [0]


async def test_nothing_is_left_of_a_board_that_is_gone(place: Place) -> None:
    await start(place)
    await score(place, 1, 2)
    await play(place)
    async with place.db.begin() as tx:
        await boards.delete(tx, place.id, "b")
    await play(place)
    while await purge(place):
        pass
    async with place.db.read() as tx:
        for some in (league_periods, league_seats, league_tallies, league_tiers):
            assert await tx.all(select(some)) == []


async def purge(place: Place) -> int:
    async with place.db.begin() as tx:
        return await filling.purge(tx)


async def test_a_board_without_a_league_asks_nothing_more(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    with Statements(place.db) as statements:
        await score(place, 1, 2, 3)
        await play(place)
    assert not [text for text in statements.texts if "league_seats" in text or "league_tiers" in text]
