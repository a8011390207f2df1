"""A read of a board is one statement: right at every instant, by an index, and of the period that the zone says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from kit import copies
from kit.database import Database, open_database
from kit.errors import BadRequest, NotFound
from services.rewards.handlers import boards
from services.rewards.store import ranking as store
from tests.rewards.boards.support import Row, make_board, page, ranked, rows_of, shown
from tests.rewards.ledger.support import NOON, Place, community_changed, make_place
from tests.support.databases import MakeDatabase
from tests.support.plans import plan_of

LATE = NOON.replace(hour=23)


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 6)


@pytest.fixture
async def replica(place: Place) -> AsyncIterator[Database]:
    """The same database as another process has it open."""
    db = place.db
    url = "" if db.path else db.engine.url.render_as_string(hide_password=False)
    directory = db.path.parent if db.path else None
    other = open_database("rewards", db.clock, metadata=db.metadata, url=url, directory=directory)
    yield other
    await other.close()


async def test_the_period_that_runs_is_that_of_the_zone_as_it_is_now(place: Place, replica: Database) -> None:
    await make_board(place)
    await place.give(place.grant(place.members[0], 3, NOON), place.grant(place.members[1], 4, LATE))
    place.db.clock.advance(LATE - place.db.clock())  # type: ignore[attr-defined]  # the test's ManualClock

    async def day(db: Database) -> tuple[str, list[Row]]:
        lines = await page(place, kind="day", db=db)
        return lines.window.period.key, rows_of(place, lines)

    both = [(1, 1, 4), (2, 0, 3)]
    assert [await day(db) for db in (place.db, replica)] == [("2026-11-23", both)] * 2
    async with replica.begin() as tx:
        await copies.apply(tx, [community_changed(place.id, zone="Asia/Shanghai", version=2)])
    assert [await day(db) for db in (place.db, replica)] == [("2026-11-24", [])] * 2
    async with place.db.begin() as tx:
        await copies.apply(tx, [community_changed(place.id, zone="Asia/Shanghai", day_start=12 * 60, version=3)])
    lines = await page(place, kind="week", db=replica)
    assert [await day(db) for db in (place.db, replica)] == [("2026-11-23", both)] * 2
    assert lines.window.next_reset_at == NOON.replace(day=30, hour=4)


async def test_a_board_that_another_replica_made_again_is_read_as_it_is_now(place: Place, replica: Database) -> None:
    await make_board(place, periods=("all", "day"))
    await place.give(
        place.grant(place.members[0], 5), place.grant(place.members[1], 5), place.grant(place.members[2], 1)
    )
    assert [rank for rank, _, _ in await shown(place)] == [1, 1, 3]
    async with replica.begin() as tx:
        await boards.delete(tx, place.id, "b")
    with pytest.raises(NotFound) as gone:
        await page(place)
    assert gone.value.code == "board_unknown"
    await make_board(Place(replica, place.id, place.members), policy="dense", periods=("all",))
    lines = await page(place)
    assert ([line.rank for line in lines.items], lines.window.board.tie_policy) == ([1, 1, 2], "dense")
    with pytest.raises(NotFound) as kind:
        await page(place, kind="day")
    assert kind.value.code == "period_not_kept"


async def test_what_is_wrong_with_a_question_is_said_from_the_board_to_the_key(place: Place) -> None:
    await make_board(place, periods=("all", "day"))
    for id, kind, key, error, code in (
        ("none", "week", "nonsense", NotFound, "board_unknown"),
        ("b", "week", "nonsense", NotFound, "period_not_kept"),
        ("b", "day", "nonsense", BadRequest, "period_key_invalid"),
    ):
        with pytest.raises(error) as refused:
            await page(place, id, kind, key)
        assert refused.value.code == code


async def test_communities_with_a_board_of_one_name_see_their_own(place: Place) -> None:
    other = await make_place(place.db, 2)
    for one in (place, other):
        await make_board(one)
    await place.give(place.grant(place.members[0], 5))
    await other.give(other.grant(other.members[1], 7))
    assert (await shown(place), await shown(other)) == ([(1, 0, 5)], [(1, 1, 7)])
    assert (await page(place, member=other.members[1])).me is None


async def test_lines_total_and_ranks_are_of_one_instant_while_others_write(place: Place) -> None:
    await make_board(place)
    random, members = Random(3), place.members

    async def write() -> None:
        for _ in range(25):
            amounts = [(random.choice(members), random.choice([-3, -1, 1, 2, 2, 7])) for _ in range(4)]
            await place.give(*[place.grant(m, n, NOON - timedelta(minutes=random.randrange(99))) for m, n in amounts])

    async def read() -> None:
        while not writing.done():
            lines = await page(place, member=members[0])
            seen = [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]
            assert seen == ranked([(score, at, member) for _, member, score, at in seen], "competition")
            assert lines.total == len(seen)
            assert lines.me == next((line for line in lines.items if line.member_id == members[0]), None)

    writing = asyncio.create_task(write())
    await asyncio.gather(writing, *(read() for _ in range(3)))


@pytest.mark.parametrize("name", store.QUESTIONS)
async def test_every_place_on_a_board_is_found_by_an_index_even_among_those_who_tie(place: Place, name: str) -> None:
    question = store.QUESTIONS[name]
    asked = {"community": place.id, "board": "b", "kind": "all", "key": "all", "member": UUID(int=1), "limit": 1}
    asked |= {"negated": 1, "reached_at": NOON, "position": UUID(int=1), "above": 1, "below": 1, "seen": ""}
    plan = await plan_of(place.db, question, **asked)
    steps = plan.splitlines()
    scanned = [step for step in steps if "seq scan on" in step or step.startswith(("scan board", "scan known"))]
    assert not scanned, plan
    compared = [
        step for step in steps if "(negated,reached_at,member_id)" in step or "row(negated, reached_at, m" in step
    ]
    assert len(compared) == {"top": 0, "after": 1, "before": 1, "around": 2}[name], plan
