"""Who does not want to be on boards is on none: no line, no rank, no total, no leader, in no period there was."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit import copies
from kit.contracts.rewards import BoardFinalized, BoardLed
from kit.database import Database
from kit.errors import NotFound
from services.rewards.audits import boards as audit_boards
from services.rewards.handlers import boards, know_members
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.adjusting import reverse
from services.rewards.store.shown import BY_MEMBER, BY_OPERATOR, EVERY_BOARD
from tests.rewards.boards.support import around, entry_ids, make_board, page, rank_of, shown
from tests.rewards.boards.test_finalising import AT_LAST, finalize, replica, set_clock
from tests.rewards.guild import envelope
from tests.rewards.ledger.support import NOON, Place, announced, make_place, member_changed
from tests.support.databases import MakeDatabase

assert replica
DAY = timedelta(days=1)


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 6)


async def leave(
    place: Place, *numbers: int, away: bool = True, board: str = EVERY_BOARD, by: str = BY_MEMBER, db: Any = None
) -> None:
    steps = [Change(place.members[n], board, by, away, "because", "operator:o") for n in numbers]
    async with (db or place.db).begin() as tx:
        await change(tx, place.id, steps)


async def give(place: Place, *scores: int) -> None:
    await place.give(*[place.grant(place.members[n], s, NOON - n * DAY / 99) for n, s in enumerate(scores) if s])


async def test_who_opted_out_is_in_no_page_near_nobody_in_no_total_and_no_rank(place: Place) -> None:
    for policy in ("competition", "dense", "ordinal"):
        await make_board(place, policy, policy=policy)
    await give(place, 9, 7, 7, 5, 5, 1)
    await leave(place, 0, 2)
    for policy, expected in (
        ("competition", [(1, 1, 7), (2, 4, 5), (2, 3, 5), (4, 5, 1)]),
        ("dense", [(1, 1, 7), (2, 4, 5), (2, 3, 5), (3, 5, 1)]),
        ("ordinal", [(1, 1, 7), (2, 4, 5), (3, 3, 5), (4, 5, 1)]),
    ):
        for kind in ("all", "week", "quarter"):
            assert await shown(place, policy, kind) == expected
        assert (await page(place, policy)).total == 4
        assert [await rank_of(place, place.members[n], policy) for n in (0, 2, 5)] == [None, None, expected[-1][0]]
        near = await around(place, place.members[1], 5, 5, policy)
        assert [place.members.index(line.member_id) for line in near.items] == [1, 4, 3, 5]
        with pytest.raises(NotFound):
            await around(place, place.members[0], 5, 5, policy)
    async with place.db.read() as tx:
        assert await audit_boards(tx) == []


async def test_points_go_on_being_counted_and_who_comes_back_stands_where_they_say(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7)
    await leave(place, 0)
    await give(place, 3, 1)
    latest = (await entry_ids(place.db, place, place.members[0]))[0]
    async with place.db.begin() as tx:
        await reverse(tx, place.id, latest, amount=1, reason="mistake", actor="operator:o")
    assert await shown(place) == [(1, 1, 8)]
    # A board made meanwhile does not know them either.
    await make_board(place, "later")
    assert await shown(place, "later") == [(1, 1, 8)]
    await leave(place, 0, away=False)
    assert await shown(place) == await shown(place, "later") == [(1, 0, 11), (2, 1, 8)]
    async with place.db.read() as tx:
        assert await audit_boards(tx) == []


async def test_who_opted_out_never_leads_in_public(place: Place) -> None:
    await make_board(place)
    await leave(place, 0)
    await give(place, 9, 7)
    assert [place.members.index(e.member_id) for e in await announced(place.db, BoardLed)] == [1]


async def test_whom_an_operator_keeps_off_one_board_is_on_the_others_and_cannot_lift_it(place: Place) -> None:
    await make_board(place, "a")
    await make_board(place, "b")
    await give(place, 9, 7)
    await leave(place, 0, board="a", by=BY_OPERATOR)
    assert (await shown(place, "a"), await shown(place, "b")) == ([(1, 1, 7)], [(1, 0, 9), (2, 1, 7)])
    await leave(place, 0)
    await leave(place, 0, away=False)
    assert (await shown(place, "a"), await shown(place, "b")) == ([(1, 1, 7)], [(1, 0, 9), (2, 1, 7)])
    # The board is made again: nobody is kept off it.
    async with place.db.begin() as tx:
        await boards.delete(tx, place.id, "a")
    await make_board(place, "a")
    assert await shown(place, "a") == [(1, 0, 9), (2, 1, 7)]


async def test_twice_the_same_wish_is_one_and_no_wish_is_none(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7)
    await leave(place, 1, away=False)
    await leave(place, 0)
    await leave(place, 0)
    assert await shown(place) == [(1, 1, 7)]
    await leave(place, 0, away=False)
    await leave(place, 0, away=False)
    assert await shown(place) == [(1, 0, 9), (2, 1, 7)]


async def test_finalised_periods_show_nobody_who_opted_out_and_keep_their_hash(place: Place) -> None:
    await make_board(place, periods=("week",))
    await give(place, 9, 7, 5)
    await leave(place, 2)
    set_clock(place, AT_LAST)
    await finalize(place)
    (event,) = await announced(place.db, BoardFinalized)
    assert ([p.score for p in event.first], event.members) == ([9, 7], 2)

    async def week() -> list[tuple[int, int, int]]:
        async with place.db.read() as tx:
            assert await audit_boards(tx) == []
        lines = await page(place, kind="week", key="2026-W48")
        assert (lines.total, lines.window.final.hash) == (len(lines.items), event.hash)
        return await shown(place, kind="week", key="2026-W48")

    await leave(place, 0)
    assert await week() == [(1, 1, 7)]
    # Who was not on it when it was finalised does not come onto it.
    await leave(place, 2, away=False)
    await leave(place, 0, away=False)
    assert await week() == [(1, 0, 9), (2, 1, 7)]


async def test_bots_and_who_was_erased_are_on_no_board_whatever_else_is_said(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7, 5)

    async def news(*told: tuple[int, str, str, int]) -> None:
        events = [
            replace(member_changed(place.id, place.members[n], "x"), kind=kind, state=state, version=version)
            for n, kind, state, version in told
        ]
        async with place.db.begin() as tx:
            await copies.apply(tx, events)
            await know_members(tx, [envelope(event) for event in events])

    await news((0, "bot", "observed", 2), (1, "person", "erased", 2), (2, "person", "active", 2))
    assert await shown(place) == [(1, 2, 5)]
    await leave(place, 0, away=False)
    assert await shown(place) == [(1, 2, 5)]
    await news((0, "bot", "active", 3))
    await news((0, "person", "active", 4))
    assert await shown(place) == [(1, 0, 9), (2, 2, 5)]


async def test_another_communitys_wish_of_the_same_member_changes_nothing_here(place: Place) -> None:
    other = await make_place(place.db, 0)
    other.members += place.members
    for one in (place, other):
        await make_board(one)
        await give(one, 9, 7)
    await leave(other, 0)
    assert (await shown(place), await shown(other)) == ([(1, 0, 9), (2, 1, 7)], [(1, 1, 7)])


async def test_somebody_who_goes_while_others_post_is_gone_afterwards(place: Place, replica: Database) -> None:
    await make_board(place, periods=("all", "day"))
    other = replace(place, db=replica)

    async def post(one: Place, who: UUID) -> None:
        for n in range(15):
            await one.give(one.grant(who, 1, NOON - n * DAY), one.grant(uuid4(), 1))

    # The first of them has no account before.
    await asyncio.gather(post(place, place.members[0]), post(other, place.members[0]), leave(other, 0), leave(place, 1))
    assert await rank_of(place, place.members[0]) is None
    assert (await page(place)).total == 30
    async with place.db.read() as tx:
        assert await audit_boards(tx) == []
