"""Boards that decay, against a plain model that adds up what is left of each day; and the night, killed or twice."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from kit.database import Database
from kit.errors import NotFound, Unprocessable
from services.rewards.audits import boards as audit_boards
from services.rewards.domain.decay import FORGOTTEN, KEEP_LEAST, KEEP_MOST, WHOLE, left_of, weights
from services.rewards.domain.ledger import MOST
from services.rewards.handlers import decaying, narrowing, ranking
from services.rewards.handlers.adjusting import reverse
from services.rewards.handlers.ranking import Asked, Lines
from services.rewards.tables.boards import board_periods, board_scores
from tests.rewards.boards.support import entry_ids, make_board, ranked, rows_of
from tests.rewards.boards.test_finalising import Killed, finalize, place, replica, set_clock
from tests.rewards.boards.test_model import MEMBERS, Model, Reader, check, home, play
from tests.rewards.ledger.support import NOON, Place, Statements, make_place

assert home
assert place
assert replica
DAY, MIDNIGHT = timedelta(days=1), datetime.fromisoformat("2026-11-24T00:00:00Z")
KEEP = 50

_who = st.integers(0, MEMBERS - 1)
_grant = st.tuples(st.just("grant"), _who, st.sampled_from([1, 2, 3, -3, 7, 300]), st.integers(0, 300))
_take = st.tuples(st.just("take"), st.integers(0, 40), st.none() | st.just(1))
_away = st.tuples(st.just("away"), _who, st.booleans())
_steps = st.lists(_grant | _grant | _grant | _take | _away, min_size=1, max_size=12)


async def decay(place: Place, keep: int | None = KEEP) -> None:
    async with place.db.begin() as tx:
        await decaying.put(tx, place.id, "b", keep)


async def renew(place: Place, db: Database | None = None) -> int:
    return await decaying.renew_some(db or place.db, asyncio.Event())


async def shown(place: Place) -> list[tuple[int, int, int]]:
    return rows_of(place, await page(place))


async def page(place: Place) -> Lines:
    return await ranking.page(place.db, Asked(place.id, "b", "decay"), 100)


def left(model: Model, place: Place, keep: int, today: date) -> list[Any]:
    """(rank, member, score, reached_at) by the model: of each day of each member what is left of it."""
    lines = []
    for number, member in enumerate(place.members):
        days = defaultdict(list)
        for g in model.given:
            if g.member == number:
                days[g.at.date()].append(g)
        score, times = 0, []
        for day, some in days.items():
            age = (today - day).days
            weight = WHOLE * keep**age // 100**age
            if weight >= FORGOTTEN and any(g.stands for g in some):
                whole = sum(g.left for g in some)
                score += (abs(whole) * weight // WHOLE) * (1 if whole >= 0 else -1)
                times += [g.at for g in some if g.stands]
        if times and number not in model.away:
            lines.append((score, max(times), member))
    return ranked(lines, "competition")


@settings(max_examples=6)
@given(first=_steps, then=_steps, last=_steps, keep=st.sampled_from([KEEP_LEAST, KEEP, 90]), days=st.integers(0, 4))
async def test_a_score_is_what_is_left_of_each_day_whenever_it_came_and_whatever_was_taken_back(
    home: Place, first: list[Any], then: list[Any], last: list[Any], keep: int, days: int
) -> None:
    place = await make_place(home.db, MEMBERS)
    await make_board(place, periods=("day",))
    model = await play(place, first)
    await decay(place, keep)
    await play(place, then, model)
    reader = Reader(place, "b", "decay", None)
    await check(reader, left(model, place, keep, place.db.clock().date()), 3)
    began = place.db.clock()
    set_clock(place, began + days * DAY)
    await renew(place)
    await play(place, last, model)
    await check(reader, left(model, place, keep, place.db.clock().date()), 3)
    async with place.db.read() as tx:
        assert [fault for fault in await audit_boards(tx) if str(place.id) in fault] == []
    await check(replace(reader, labels=()), left(model, place, keep, place.db.clock().date()), 3)
    set_clock(place, began)


def test_what_is_left_falls_every_day_and_is_forgotten_within_a_year() -> None:
    assert weights(50)[:4] == (WHOLE, 500_000, 250_000, 125_000)
    for keep in range(KEEP_LEAST, KEEP_MOST + 1):
        known = weights(keep)
        assert known == tuple(sorted(known, reverse=True))
        assert (known[-1] >= FORGOTTEN, len(known) <= 365) == (True, True)
    assert (left_of(7, 500_000), left_of(-7, 500_000), left_of(MOST, WHOLE)) == (3, -3, MOST)


async def test_scores_fall_at_the_end_of_the_communitys_day_and_one_day_alone_is_kept(place: Place) -> None:
    await make_board(place, periods=("day", "week"))
    await decay(place)
    await place.give(place.grant(place.members[0], 8), place.grant(place.members[1], 5, NOON - DAY))
    assert await shown(place) == [(1, 0, 8), (2, 1, 2)]
    assert (await page(place)).window.next_reset_at == MIDNIGHT
    assert await renew(place) == 0
    set_clock(place, MIDNIGHT)
    assert [await renew(place), await renew(place)] == [1, 0]
    assert await shown(place) == [(1, 0, 4), (2, 1, 1)]
    # Late, of a day whose scores are not kept any more for themselves.
    await place.give(place.grant(place.members[2], 40, NOON - DAY))
    assert await shown(place) == [(1, 2, 10), (2, 0, 4), (3, 1, 1)]
    async with place.db.read() as tx:
        kinds = await tx.all(select(board_periods.c.key).where(board_periods.c.kind == "decay50"))
    assert [row.key for row in kinds] == ["2026-11-24"]
    window = (await page(place)).window
    assert (window.period.key, window.period.end) == ("2026-11-24", MIDNIGHT + DAY)


async def test_the_largest_scores_decay_exactly_on_both_databases(place: Place) -> None:
    await make_board(place, periods=("day",))
    await place.give(place.grant(place.members[0], MOST), place.grant(place.members[1], -MOST))
    await decay(place, 97)
    set_clock(place, MIDNIGHT)
    await renew(place)
    rest = MOST * 970_000 // WHOLE
    assert [row[2] for row in await shown(place)] == [rest, -rest]


async def test_two_replicas_renew_a_board_once_while_others_post(place: Place, replica: Database) -> None:
    await make_board(place, periods=("day",))
    await decay(place)
    await place.give(place.grant(place.members[0], 8))
    set_clock(place, MIDNIGHT)
    other = replace(place, db=replica)

    async def post(one: Place) -> None:
        for _ in range(5):
            await one.give(one.grant(place.members[1], 2, MIDNIGHT), one.grant(place.members[0], 2))

    done = await asyncio.gather(renew(place), renew(place, replica), post(place), post(other))
    assert sum(n for n in done if n) == 1
    # What came after midnight counts whole, what came late of the day before by half of that day's sum.
    assert await shown(place) == [(1, 1, 20), (2, 0, 14)]


async def test_a_process_killed_while_it_renews_leaves_the_day_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_board(place, periods=("day",))
    await decay(place)
    await place.give(place.grant(place.members[0], 8))
    set_clock(place, MIDNIGHT)

    async def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(decaying.store, "fill", kill)
        with pytest.raises(Killed):
            await renew(place)
    assert await shown(place) == [(1, 0, 8)]
    assert await renew(place) == 1
    assert await shown(place) == [(1, 0, 4)]


async def test_the_audit_finds_a_decayed_score_that_is_not_what_the_days_say(place: Place) -> None:
    await make_board(place, periods=("day",))
    await place.give(place.grant(place.members[0], 8))
    await decay(place)
    async with place.db.begin() as tx:
        kept = select(board_periods.c.slot).where(board_periods.c.kind == "decay50").scalar_subquery()
        await tx.execute(update(board_scores).where(board_scores.c.slot == kept).values(negated=-9))
        (fault,) = await audit_boards(tx)
    assert fault == f"board b of {place.id}, decayed to 2026-11-23: scores sum to 9, its days to 8"


async def test_a_day_that_was_finalised_counts_as_it_was(place: Place) -> None:
    await make_board(place, periods=("day",))
    await decay(place)
    await place.give(place.grant(place.members[0], 32))
    set_clock(place, MIDNIGHT + 3 * DAY)
    await finalize(place)
    await renew(place)
    (id,) = await entry_ids(place.db, place, place.members[0])
    async with place.db.begin() as tx:
        await reverse(tx, place.id, id, amount=None, reason="r", actor="operator:o")
    await place.give(place.grant(place.members[1], 80))
    assert await shown(place) == [(1, 0, 2)]


async def test_another_percentage_and_none_leave_nothing_of_the_one_before(place: Place) -> None:
    await make_board(place, periods=("day",))
    await place.give(place.grant(place.members[0], 8, NOON - DAY))
    for keep, expected in ((50, [(1, 0, 4)]), (25, [(1, 0, 2), (1, 1, 2)]), (50, [(1, 0, 4), (1, 1, 4)])):
        await decay(place, keep)
        assert await shown(place) == expected
        await place.give(place.grant(place.members[1], 2))
    await decay(place, None)
    with pytest.raises(NotFound) as refused:
        await page(place)
    assert refused.value.code == "period_not_kept"
    async with place.db.read() as tx:
        slots = {row.slot for row in await tx.all(select(board_scores.c.slot).distinct())}
        kept = {row.slot for row in await tx.all(select(board_periods.c.slot).where(board_periods.c.kind == "day"))}
    assert slots <= kept


async def test_what_cannot_decay_is_refused(place: Place) -> None:
    await make_board(place, periods=("week",))
    with pytest.raises(Unprocessable) as refused:
        await decay(place)
    assert refused.value.code == "days_not_kept"
    await make_board(place, "c", periods=("day",))
    async with place.db.begin() as tx:
        await decaying.put(tx, place.id, "c", KEEP)
    for asked, code in ((Asked(place.id, "c", "decay", "2026-11-22"), "period_not_kept"),):
        with pytest.raises(NotFound) as gone:
            await ranking.page(place.db, asked, 9)
        assert gone.value.code == code
    with pytest.raises(NotFound) as improved:
        await narrowing.page(place.db, Asked(place.id, "c", "decay"), [], 9, improvement=True)
    assert improved.value.code == "no_period_before"


async def test_decay_takes_no_statement_more_to_post(place: Place) -> None:
    await make_board(place, periods=("day",))
    counts = []
    for keep in (None, KEEP):
        await decay(place, keep)
        await place.give(*[place.grant(member, 1) for member in place.members])
        with Statements(place.db) as statements:
            await place.give(*[place.grant(member, 1) for member in place.members[:2]])
        # A score that nobody has any more goes from the histogram, with or without decay.
        counts.append(sum(not text.startswith("DELETE") for text in statements.texts))
    assert counts[0] == counts[1]
