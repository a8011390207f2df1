"""First pages, which are kept and shared: never older than what was committed before somebody asked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from kit import copies
from kit.database import Database
from kit.errors import NotFound
from services.rewards.handlers import boards, ranking
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.ledger import ensure_defaults
from services.rewards.store import ranking as store
from services.rewards.store.shown import BY_MEMBER
from tests.rewards.boards.support import make_board, page, ranked, shown
from tests.rewards.boards.test_finalising import place, replica
from tests.rewards.ledger.support import NOON, Place, community_changed, member_changed
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase
from tests.support.plans import plan_of

assert place
assert replica


async def test_a_page_is_not_read_again_while_nothing_was_committed(place: Place) -> None:
    await make_board(place)
    await place.give(place.grant(place.members[0], 5))
    first, again = await page(place), await page(place, member=place.members[0])
    assert again.items == first.items
    assert again.me == first.items[0]
    assert (again.items is first.items) is (place.db.dialect == "postgresql")
    await place.give(place.grant(place.members[1], 7))
    assert [line.score for line in (await page(place)).items] == [7, 5]


async def test_what_was_under_way_while_a_page_was_read_is_on_the_next_one(place: Place) -> None:
    await make_board(place)
    await place.give(place.grant(place.members[0], 5))
    began, commit = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        async with place.db.begin() as tx:
            await boards.delete(tx, place.id, "b")
            began.set()
            await commit.wait()

    writing = asyncio.create_task(slowly())
    await began.wait()
    assert [line.score for line in (await page(place)).items] == [5]
    assert [line.score for line in (await page(place)).items] == [5]
    commit.set()
    await writing
    with pytest.raises(NotFound):
        await page(place)


async def test_whatever_changes_on_a_page_is_seen_at_once_at_every_replica(place: Place, replica: Database) -> None:
    await make_board(place)
    await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: place.give(place.grant(place.members[0], 50)),
        lambda: _rename(place),
        lambda: _hide(place),
        lambda: _make_board_again(place),
    ]
    for made in changes:
        before = [(await page(place, db=db)).items for db in (place.db, replica)]
        assert before[0] == before[1]
        await made()
        after = [await page(place, db=db) for db in (place.db, replica)]
        assert after[0].items == after[1].items != before[0]
        assert [_told(one.items) for one in after] == [await _unkept(place)] * 2


async def _make_board_again(place: Place) -> None:
    async with place.db.begin() as tx:
        await boards.delete(tx, place.id, "b")
    await make_board(place, policy="dense")
    await place.give(place.grant(place.members[3], 1))


async def _rename(place: Place) -> None:
    async with place.db.begin() as tx:
        await copies.apply(tx, [replace(member_changed(place.id, place.members[2], "Somebody else"), version=2)])


async def _hide(place: Place) -> None:
    async with place.db.begin() as tx:
        await change(tx, place.id, [Change(place.members[1], "b", BY_MEMBER, True, "asked for it", "operator:o")])


def _told(items: list[ranking.Line]) -> list[tuple[int, str, int]]:
    return [(line.rank, line.display_name, line.score) for line in items]


async def _unkept(place: Place) -> list[tuple[int, str, int]]:
    read = await store.top(place.db, store.At(place.id, "b", "all", "all"), limit=100, member=None)
    assert read is not None
    assert read.reading is not None
    scores = [(-one.negated, one.reached_at, one.member_id) for one in read.reading.lines]
    by_hand = ranked(scores, read.reading.board.tie_policy)
    names = {one.member_id: one.name for one in read.reading.lines}
    return [(rank, names[member], score) for rank, member, score, _ in by_hand]


async def test_who_asks_after_posting_sees_what_was_posted_however_many_ask_for_the_same_page(place: Place) -> None:
    await make_board(place)
    random, stop = Random(8), asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            await page(place)

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    total = 0
    for _ in range(60):
        amount = random.randint(1, 9)
        total += amount
        await place.give(place.grant(place.members[0], amount, NOON - timedelta(minutes=random.randrange(99))))
        assert [line.score for line in (await page(place)).items] == [total]
    stop.set()
    await asyncio.gather(*asking)


async def test_somebody_who_gives_up_waiting_takes_the_page_from_nobody(place: Place) -> None:
    await make_board(place)
    await place.give(place.grant(place.members[0], 5))
    asking = [asyncio.create_task(page(place)) for _ in range(6)]
    await asyncio.sleep(0)
    for one in asking[:3]:
        one.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in answers[:3])
    assert [[line.score for line in one.items] for one in answers[3:]] == [[5]] * 3  # type: ignore[union-attr]  # checked above


async def test_more_pages_than_are_kept_are_all_right(place: Place) -> None:
    await make_board(place)
    await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])
    for limit in [*range(1, ranking.FIRST_MOST + 20), 3, 3]:
        assert [line.score for line in (await page(place, limit=limit)).items] == [6, 5, 4, 3, 2, 1][:limit]
    assert len(ranking._firsts[place.db]) <= ranking.FIRST_MOST


async def test_two_databases_keep_pages_of_their_own(place: Place, make_database: MakeDatabase) -> None:
    other = Place(await make_database("rewards"), place.id, place.members)
    async with other.db.begin() as tx:
        await copies.apply(tx, [community_changed(place.id)])
        await ensure_defaults(tx, [place.id])
    for one, amount in ((place, 3), (other, 4)):
        await make_board(one)
        await one.give(one.grant(one.members[0], amount))
    for _ in range(2):
        assert [score for _, _, score in await shown(place)] == [3]
        assert [score for _, _, score in await shown(other)] == [4]


async def test_postgresql_reads_no_line_that_was_seen(place: Place) -> None:
    if place.db.dialect != "postgresql":
        pytest.skip("nothing is kept of a SQLite file")
    asked = {"community": place.id, "board": "b", "kind": "all", "key": "all", "member": None, "limit": 1, "seen": "x"}
    plan = (await plan_of(place.db, store.TOP, **asked)).splitlines()
    gate = next(n for n, step in enumerate(plan) if "one-time filter" in step and "pg_current_snapshot" in step)
    depth = len(plan[gate]) - len(plan[gate].lstrip())
    beneath = [step for step in plan[gate:] if len(step) - len(step.lstrip()) >= depth]
    assert any("ix_board_scores_order" in step for step in beneath), "\n".join(plan)


async def test_a_page_that_somebody_has_already_is_not_sent_again_until_it_changes(rewards: Rewards) -> None:
    post = {"identity": "qq:ann", "unit": "xp", "amount": 5, "reason": "x"}
    assert (await rewards.client.post("/v1/entries", json=post)).status_code == 201
    member = (await rewards.get("/v1/boards/xp"))["items"][0]["member_id"]
    for path in ("/v1/boards/xp", f"/v1/boards/xp/around/{member}"):
        first = await rewards.client.get(path)
        tag = first.headers["etag"]
        for had in (tag, f'"other", W/{tag}', "*"):
            again = await rewards.client.get(path, headers={"If-None-Match": had})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await rewards.client.get(path, headers={"If-None-Match": '"other"'})).json() == first.json()
        assert (await rewards.client.post("/v1/entries", json=post)).status_code == 201
        changed = await rewards.client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
