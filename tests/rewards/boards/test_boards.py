"""Boards: who is where, by which policy, reached when, in which period."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from kit import copies
from kit.contracts.rewards import BoardLed
from kit.errors import BadRequest, Conflict, GuildhallError, NotFound, Unprocessable
from services.rewards.handlers import boards
from services.rewards.handlers.adjusting import post_many, reverse
from services.rewards.store import filling
from tests.rewards.boards.support import around, entry_ids, make_board, page, rank_of, rows_of, shown
from tests.rewards.ledger.support import NOON, Place, announced, community_changed, make_place, wish
from tests.support.databases import MakeDatabase

HOUR = timedelta(hours=1)


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 6)


async def give(place: Place, *scores: tuple[int, int, datetime]) -> None:
    """(number of the member, amount, when) as one batch."""
    await place.give(*[place.grant(place.members[n], amount, at) for n, amount, at in scores])


async def take_back(place: Place, member: int, latest: int = 0, amount: int | None = None) -> None:
    """Reverse the member's entry; 0 is the latest effective one."""
    found = (await entry_ids(place.db, place, place.members[member]))[latest]
    async with place.db.begin() as tx:
        await reverse(tx, place.id, found, amount=amount, reason="mistake", actor="operator:o")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("competition", [1, 2, 2, 4, 4, 6]), ("dense", [1, 2, 2, 3, 3, 4]), ("ordinal", [1, 2, 3, 4, 5, 6])],
)
async def test_ties_rank_by_the_policy_and_stand_in_the_order_they_got_there(
    place: Place, policy: str, expected: list[int]
) -> None:
    await make_board(place, policy=policy)
    at = [NOON - n * HOUR for n in range(6)]
    await give(place, (0, 1, at[0]), (1, 5, at[1]), (2, 5, at[2]), (3, 9, at[3]), (4, 3, at[4]), (5, 3, at[5]))
    lines = await page(place)
    assert [line.rank for line in lines.items] == expected
    assert [place.members.index(line.member_id) for line in lines.items] == [3, 2, 1, 5, 4, 0]
    assert (lines.total, lines.above, lines.below) == (6, False, False)
    for line in lines.items:
        assert await rank_of(place, line.member_id) == line.rank


async def test_who_tie_to_the_microsecond_stand_by_id_and_that_is_the_last_word(place: Place) -> None:
    await make_board(place, policy="ordinal")
    await give(place, *[(n, 5, NOON) for n in (5, 3, 4, 0, 1, 2)])
    assert await shown(place) == [(n + 1, n, 5) for n in range(6)]


async def test_the_order_in_which_entries_arrive_does_not_matter(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 2, NOON), (1, 4, NOON - HOUR))
    # Late: it brings the first to the same score, but that was reached at noon.
    await give(place, (0, 2, NOON - 5 * HOUR))
    lines = await page(place)
    assert rows_of(place, lines) == [(1, 1, 4), (1, 0, 4)]
    assert [line.reached_at for line in lines.items] == [NOON - HOUR, NOON]


async def test_a_reversal_takes_reached_at_back_to_what_is_left(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON - 9 * HOUR), (0, 3, NOON), (1, 5, NOON - 4 * HOUR))
    assert await shown(place) == [(1, 0, 8), (2, 1, 5)]
    await take_back(place, 0)
    lines = await page(place)
    assert rows_of(place, lines) == [(1, 0, 5), (1, 1, 5)]
    assert lines.items[0].reached_at == NOON - 9 * HOUR


async def test_a_reversal_in_part_keeps_when_it_was_reached(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON - 9 * HOUR), (0, 3, NOON), (1, 7, NOON - HOUR))
    await take_back(place, 0, amount=1)
    lines = await page(place)
    assert rows_of(place, lines) == [(1, 1, 7), (1, 0, 7)]
    assert lines.items[1].reached_at == NOON
    await take_back(place, 0)
    assert (await page(place)).items[1].reached_at == NOON - 9 * HOUR


async def test_who_has_nothing_left_is_on_no_board(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON), (1, 5, NOON))
    await take_back(place, 0)
    assert await shown(place) == [(1, 1, 5)]
    assert await shown(place, kind="day") == [(1, 1, 5)]
    assert await rank_of(place, place.members[0]) is None
    await give(place, (0, 7, NOON))
    assert await shown(place) == [(1, 0, 7), (2, 1, 5)]


async def test_a_reversal_changes_the_board_of_the_originals_day_not_of_today(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON - 3 * 24 * HOUR), (0, 2, NOON))
    await take_back(place, 0, latest=1)
    assert await shown(place, kind="day", key="2026-11-20") == []
    assert await shown(place, kind="day") == [(1, 0, 2)]
    assert await shown(place) == [(1, 0, 2)]


async def test_a_late_event_changes_the_periods_of_its_own_day(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 1, NOON))
    await give(place, (1, 4, NOON - 24 * HOUR), (2, 9, datetime.fromisoformat("2026-10-31T23:59:59Z")))
    assert await shown(place, kind="day") == [(1, 0, 1)]
    assert await shown(place, kind="day", key="2026-11-22") == [(1, 1, 4)]
    # The 23rd is a Monday.
    assert await shown(place, kind="week") == [(1, 0, 1)]
    assert await shown(place, kind="week", key="2026-W47") == [(1, 1, 4)]
    assert await shown(place, kind="month") == [(1, 1, 4), (2, 0, 1)]
    assert await shown(place, kind="month", key="2026-10") == [(1, 2, 9)]
    assert await shown(place) == [(1, 2, 9), (2, 1, 4), (3, 0, 1)]


async def test_a_zone_changed_later_moves_no_entry_to_another_day(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 1, NOON.replace(hour=23)))
    async with place.db.begin() as tx:
        await copies.apply(tx, [community_changed(place.id, zone="Asia/Shanghai", version=2)])
    assert await shown(place, kind="day", key="2026-11-23") == [(1, 0, 1)]
    await give(place, (1, 1, NOON.replace(hour=23)))
    assert await shown(place, kind="day", key="2026-11-24") == [(1, 1, 1)]


async def test_a_period_says_when_it_began_when_it_ends_and_when_the_present_one_does(place: Place) -> None:
    await make_board(place)
    for kind, key, start, end, reset in (
        ("day", "2026-11-20", "2026-11-20", "2026-11-21", "2026-11-24"),
        ("week", "2026-W47", "2026-11-16", "2026-11-23", "2026-11-30"),
        ("month", "2026-10", "2026-10-01", "2026-11-01", "2026-12-01"),
    ):
        window = (await page(place, kind=kind, key=key)).window
        told = (window.period.start, window.period.end, window.next_reset_at)
        assert told == tuple(datetime.fromisoformat(f"{day}T00:00:00Z") for day in (start, end, reset))
    everything = (await page(place)).window
    assert (everything.period.start, everything.period.end, everything.next_reset_at) == (None, None, None)


@pytest.mark.parametrize("key", ["", "yesterday", "2026-13-01", "2026-W54", "9999-12-31", "\u0662026-11-23"])
async def test_a_key_that_names_no_day_is_a_bad_request(place: Place, key: str) -> None:
    await make_board(place)
    with pytest.raises(BadRequest) as refused:
        await shown(place, kind="day", key=key)
    assert refused.value.code == "period_key_invalid"


async def test_pages_go_through_ties_in_both_directions_with_the_right_ranks(place: Place) -> None:
    many = await make_place(place.db, 60)
    await make_board(many)
    await give(many, *[(n, 1 + n // 20, NOON - n * HOUR / 60) for n in range(60)])
    whole = await shown(many)
    assert [rank for rank, _, _ in whole] == [1] * 20 + [21] * 20 + [41] * 20
    forwards, last = [], None
    pages = []
    while True:
        lines = await page(many, limit=7, after=last)
        forwards += rows_of(many, lines)
        pages.append(lines)
        if not lines.below:
            break
        last = lines.items[-1]
    assert forwards == whole
    backwards, first = rows_of(many, pages[-1]), pages[-1].items[0]
    while True:
        lines = await page(many, limit=7, before=first)
        backwards = rows_of(many, lines) + backwards
        if not lines.above:
            break
        first = lines.items[0]
    assert backwards == whole


async def test_around_a_member_there_are_fewer_at_the_edges_and_never_others_instead(place: Place) -> None:
    await make_board(place)
    await give(place, *[(n, 10 - n, NOON) for n in range(6)])
    for member, above, below, expected, more in (
        (0, 2, 2, [0, 1, 2], (False, True)),
        (1, 2, 2, [0, 1, 2, 3], (False, True)),
        (3, 1, 1, [2, 3, 4], (True, True)),
        (5, 2, 2, [3, 4, 5], (True, False)),
        (3, 0, 0, [3], (True, True)),
    ):
        lines = await around(place, place.members[member], above, below)
        assert [n for _, n, _ in rows_of(place, lines)] == expected
        assert [rank for rank, _, _ in rows_of(place, lines)] == [n + 1 for n in expected]
        assert (lines.above, lines.below) == more
    with pytest.raises(NotFound):
        await around(await make_place(place.db), place.members[0], 1, 1, id="xp")


async def test_what_is_spent_does_not_count_and_what_is_adjusted_does(place: Place) -> None:
    await make_board(place)
    async with place.db.begin() as tx:
        a = place.members[0]
        await post_many(tx, place.id, [wish(a, 9), wish(a, -4, kind="spend"), wish(a, -2)], "operator:o")
    assert await shown(place) == [(1, 0, 7)]


async def test_scores_below_nothing_are_on_the_board_too(place: Place) -> None:
    await make_board(place, policy="dense")
    await give(place, (0, -5, NOON), (1, 3, NOON), (2, -5, NOON - HOUR), (3, -900_000, NOON))
    assert await shown(place) == [(1, 1, 3), (2, 2, -5), (2, 0, -5), (3, 3, -900_000)]


async def test_a_board_made_later_is_the_same_as_one_that_was_there_all_along(place: Place) -> None:
    await make_board(place, "early")
    await give(place, (0, 5, NOON - 9 * HOUR), (0, 3, NOON), (1, 5, NOON - 40 * HOUR), (2, 4000, NOON), (3, 1, NOON))
    await take_back(place, 0)
    await take_back(place, 3)
    await make_board(place, "late")
    for kind, key in (("all", None), ("month", None), ("week", "2026-W47"), ("week", None), ("day", None)):
        early, late = await page(place, "early", kind, key), await page(place, "late", kind, key)
        assert (late.items, late.total) == (early.items, early.total)
    await give(place, (3, 5000, NOON), (1, 3995, NOON + HOUR))
    assert await shown(place, "late") == await shown(place, "early")


async def test_a_board_made_again_under_its_id_shows_nothing_but_what_the_entries_say(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON))
    with pytest.raises(Conflict):
        await make_board(place)
    async with place.db.begin() as tx:
        await boards.delete(tx, place.id, "b")
    with pytest.raises(NotFound):
        await shown(place)
    await take_back(place, 0)
    await make_board(place)
    assert await shown(place) == []
    async with place.db.begin() as tx:
        while await filling.purge(tx):
            pass
    await give(place, (1, 5, NOON))
    assert await shown(place) == [(1, 1, 5)]


async def test_what_makes_no_board_is_refused(place: Place) -> None:
    with pytest.raises(Unprocessable):
        await make_board(place, unit="gold")
    await make_board(place, "days", periods=("day",))
    with pytest.raises(GuildhallError) as refused:
        await shown(place, "days", "week")
    assert refused.value.code == "period_not_kept"


async def test_the_leader_of_a_week_is_announced_once_each_time_somebody_new_leads(place: Place) -> None:
    await make_board(place)
    await give(place, (0, 5, NOON))
    await give(place, (1, 6, NOON))
    await give(place, (0, 2, NOON))
    await give(place, (0, 2, NOON - 7 * 24 * HOUR))
    led = await announced(place.db, BoardLed)
    told = [(e.period_key, place.members.index(e.member_id), e.score) for e in led]
    assert told == [("2026-W48", 0, 5), ("2026-W48", 1, 6), ("2026-W47", 0, 2)]


async def test_names_are_those_of_the_community(place: Place) -> None:
    await make_board(place)
    stranger = UUID(int=7)
    await place.give(place.grant(stranger, 9), place.grant(place.members[0], 5))
    lines = await page(place, limit=10, member=stranger)
    assert lines.me == lines.items[0]
    assert [line.display_name for line in lines.items] == ["", "member 0"]
