"""Erasing goes on where it was, whoever is killed in it, and two processes do it as one does. Final periods hold."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.rewards.audits import boards as audit_boards
from services.rewards.handlers import decaying
from services.rewards.handlers.erasing import boards as lines
from services.rewards.handlers.erasing import entries as piecewise
from services.rewards.handlers.erasing.running import erase_some
from services.rewards.store import erasures, shown
from services.rewards.tables.boards import board_periods, board_scores
from services.rewards.tables.erasures import closed_owners
from services.rewards.tables.erasures import erasures as table
from services.rewards.tables.ledger import transactions
from tests.rewards.boards.support import make_board, page, rows_of
from tests.rewards.boards.test_decay import decay
from tests.rewards.boards.test_finalising import AT_LAST, finalize, set_clock
from tests.rewards.erasing.support import faults, finish, forms, hear, naming, pseudonyms, steps
from tests.rewards.ledger.killing import died, killing, replica
from tests.rewards.ledger.support import NOON, Place, check_books, make_place
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def test_whoever_is_killed_in_it_leaves_it_to_the_next(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piecewise, "PIECE", 2)
    ann = place.members[0]
    await place.give(*[place.grant(ann, n + 1) for n in range(5)], place.grant(place.members[1], 9))
    await hear(place, ann)
    deaths = 0
    for at in [*range(1, 20), *range(1, 20)]:
        with killing(place.db, at):
            deaths += await died(erase_some(place.db, asyncio.Event()))
        await check_books(place.db)
    assert deaths > 10
    await finish(place)
    assert len(await pseudonyms(place)) == 1
    assert await naming(place.db, *forms([ann])) == []
    assert [await place.balance(member) for member in place.members[:2]] == [0, 9]
    async with place.db.read() as tx:
        kinds = [row.kind for row in await tx.all(select(transactions.c.kind))]
    # Five grants and what closed them, two at a time.
    assert (kinds.count("erasure"), kinds.count("erasure_record")) == (1, 3)
    assert await faults(place) == []


async def test_two_processes_erase_as_one_does(place: Place, clock: ManualClock) -> None:
    other = replica(place.db, clock)
    await place.give(*[place.grant(member, 5) for member in place.members])
    await asyncio.gather(hear(place, *place.members[:2]), hear(place, *place.members[:2]))
    for _ in range(2):
        while any(await asyncio.gather(*[erase_some(db, asyncio.Event()) for db in (place.db, other)])):
            pass
        clock.advance(timedelta(minutes=11))
    await other.close()
    assert len(await pseudonyms(place)) == 2
    async with place.db.read() as tx:
        assert await erasures.open_ones(tx) == []
        kinds = [row.kind for row in await tx.all(select(transactions.c.kind))]
    assert kinds.count("erasure") == 2
    assert await faults(place) == []


async def test_when_it_is_done_nothing_leads_from_one_to_the_other(place: Place) -> None:
    await place.give(place.grant(place.members[0], 5))
    await hear(place, place.members[0])
    await finish(place)
    async with place.db.read() as tx:
        (row,) = await tx.all(select(table))
        (closed,) = await tx.all(select(closed_owners))
    assert (row.pseudonym, row.asked_at, row.again_at) == (None, None, None)
    assert closed._fields == ("community_id", "member_id")


async def periods(place: Place) -> list[Any]:
    async with place.db.read() as tx:
        return await tx.all(select(board_periods).where(board_periods.c.finalized_at.is_not(None)))


async def test_a_final_period_keeps_its_hash_and_has_one_of_what_is_left(place: Place) -> None:
    await make_board(place, periods=("week", "all"))
    await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])
    set_clock(place, AT_LAST)
    assert await finalize(place) == 1
    (before,) = await periods(place)
    await hear(place, place.members[2])
    await finish(place)
    (after,) = await periods(place)
    assert (after.hash, after.members) == (before.hash, before.members)
    assert after.erased_hash not in (None, before.hash)
    assert await faults(place) == []
    (pseudonym,) = await pseudonyms(place)
    async with place.db.read() as tx:
        there = await shown.standings(tx, place.id, [pseudonym])
    assert sorted((one.closed, one.hidden) for one in there) == [(False, shown.ABSENT), (True, shown.GONE)]
    async with place.db.begin() as tx:
        where = board_scores.c.slot == after.slot, board_scores.c.member_id == pseudonym
        await tx.execute(update(board_scores).where(*where).values(negated=-100))
    async with place.db.read() as tx:
        assert [one for one in await audit_boards(tx) if "was changed after it was finalised" in one] != []


async def test_a_period_that_was_changed_before_is_not_made_good_by_erasing(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])
    set_clock(place, AT_LAST)
    assert await finalize(place) == 1
    async with place.db.begin() as tx:
        where = board_scores.c.member_id == place.members[0]
        await tx.execute(update(board_scores).where(where).values(negated=-100))
    await hear(place, place.members[2])
    await finish(place)
    async with place.db.read() as tx:
        assert [one for one in await audit_boards(tx) if "was changed after it was finalised" in one] != []


async def test_a_period_that_is_being_hashed_is_waited_for(place: Place) -> None:
    await make_board(place, periods=("week",))
    await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])
    set_clock(place, AT_LAST)
    async with place.db.begin() as tx:
        await tx.execute(update(board_periods).values(closed_at=tx.now))
    await hear(place, place.members[2])
    await steps(place.db)
    async with place.db.read() as tx:
        (one,) = await erasures.open_ones(tx)
    assert one.state == "working"
    assert await finalize(place) == 1
    await finish(place)
    assert await faults(place) == []


async def test_a_board_that_decays_and_is_made_anew_meanwhile_names_nobody_either(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = place.members[0]
    await make_board(place, periods=("day",))
    await decay(place)
    await place.give(*[place.grant(ann, 9, NOON - n * timedelta(days=1)) for n in range(3)])
    await place.give(place.grant(place.members[1], 5))
    replace_line, anew = lines._replace, iter([25])

    async def replace_and_renew(tx: Any, one: Any, slot: Any) -> None:
        await replace_line(tx, one, slot)
        if keep := next(anew, None):
            # In the same transaction, or it would wait for this one.
            await decaying.put(tx, place.id, "b", keep)

    monkeypatch.setattr(lines, "_replace", replace_and_renew)
    await hear(place, ann)
    await finish(place)
    assert await naming(place.db, *forms([ann])) == []
    assert rows_of(place, await page(place, kind="decay")) == [(1, 1, 5)]
    assert await faults(place) == []
