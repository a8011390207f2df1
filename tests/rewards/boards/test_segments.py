"""Segments on boards: who is in one that a board leaves out is not on it, and boards are narrowed to one (R61)."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from kit import copies
from kit.clock import uuid7
from kit.contracts.members import MemberChanged
from kit.database import Database
from services.rewards.audits import boards as audit_boards
from services.rewards.domain.boards import Board
from services.rewards.handlers import boards, know_members, segments, welcome
from services.rewards.handlers.absences import Change, change
from services.rewards.store import boards as boards_store
from services.rewards.store.shown import BY_OPERATOR, EVERY_BOARD
from tests.rewards.boards.support import make_board, page, shown
from tests.rewards.boards.test_finalising import AT_LAST, finalize, replica, set_clock
from tests.rewards.guild import envelope
from tests.rewards.ledger.support import Place, Statements, community_changed, make_place, member_changed
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase
from tests.support.upgrading import upgrade

assert replica

_versions = iter(range(2, 10_000))


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 5)


def news(place: Place, number: int, *inside: str) -> MemberChanged:
    told: MemberChanged = member_changed(place.id, place.members[number], f"member {number}")
    return replace(told, segments=inside, version=next(_versions))


async def hear(place: Place, *events: MemberChanged, db: Database | None = None) -> None:
    """As the consumer hands it over: the copies first."""
    async with (db or place.db).begin() as tx:
        await copies.apply(tx, events)
        await know_members(tx, [envelope(event) for event in events])


async def leave_out(place: Place, *names: str, board: str = "b", db: Database | None = None) -> Board:
    async with (db or place.db).begin() as tx:
        return await segments.put(tx, place.id, board, names)


async def give(place: Place, *scores: int) -> None:
    await place.give(*[place.grant(place.members[n], score) for n, score in enumerate(scores) if score])


async def make(place: Place, *left_out: str) -> None:
    async with place.db.begin() as tx:
        now = tx.now
        made = Board(place.id, "b", uuid7(now), "B", "points", "competition", ("all",), now, excluded_segments=left_out)
        await boards.create(tx, made)


async def is_right(place: Place) -> bool:
    async with place.db.read() as tx:
        return await audit_boards(tx) == []


async def test_who_comes_into_an_excluded_segment_is_off_the_board_and_back_when_they_leave_it(place: Place) -> None:
    await make_board(place)
    await make_board(place, "open")
    await give(place, 9, 7, 7, 5)
    assert (await leave_out(place, "staff")).excluded_segments == ("staff",)
    await hear(place, news(place, 0, "hosts", "staff"), news(place, 3, "hosts"))
    for kind in ("all", "week"):
        assert await shown(place, kind=kind) == [(1, n, 7) for n in sorted((1, 2), key=lambda n: place.members[n])] + [
            (3, 3, 5)
        ]
        assert (await page(place, kind=kind)).total == 3
    assert len(await shown(place, "open")) == 4
    await give(place, 1)
    await hear(place, news(place, 0, "hosts"))
    assert (await shown(place))[0] == (1, 0, 10)
    assert await is_right(place)


async def test_what_a_board_leaves_out_can_be_changed_with_members_inside(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7, 5, 3)
    await hear(place, news(place, 0, "staff"), news(place, 1, "hosts", "staff"), news(place, 2, "hosts"))
    await leave_out(place, "staff", "nobody")
    assert await shown(place) == [(1, 2, 5), (2, 3, 3)]
    await leave_out(place, "hosts")
    assert await shown(place) == [(1, 0, 9), (2, 3, 3)]
    await leave_out(place)
    assert [rank for rank, _, _ in await shown(place)] == [1, 2, 3, 4]
    assert await is_right(place)


async def test_a_board_made_later_leaves_them_out_from_its_first_line(place: Place) -> None:
    await give(place, 9, 7, 5)
    await hear(place, news(place, 0, "hosts", "staff"))
    await make(place, "hosts", "staff")
    assert await shown(place) == [(1, 1, 7), (2, 2, 5)]
    await hear(place, news(place, 0, "hosts"))
    assert await shown(place) == [(1, 1, 7), (2, 2, 5)]
    await hear(place, news(place, 0))
    assert await shown(place) == [(1, 0, 9), (2, 1, 7), (3, 2, 5)]
    assert await is_right(place)


async def test_staff_who_are_heard_of_before_their_community_are_not_on_its_first_board(place: Place) -> None:
    other = Place(place.db, uuid4(), place.members)
    await hear(other, news(other, 0, "staff"))
    born = community_changed(other.id)
    async with other.db.begin() as tx:
        await copies.apply(tx, [born])
        await welcome(tx, [envelope(born)])
    await other.give(*[other.grant(other.members[n], 9 - n, unit="xp") for n in (0, 1)])
    assert await shown(other, "xp") == [(1, 1, 8)]
    async with other.db.read() as tx:
        boards = await boards_store.boards_of(tx, other.id)
    assert [board.excluded_segments for board in boards] == [("staff",)] * 2


async def test_boards_from_before_there_were_segments_leave_out_nobody(place: Place) -> None:
    await place.give(*[place.grant(place.members[n], 9 - n, unit="xp") for n in (0, 1)])
    async with place.db.begin() as tx:
        await tx.execute(text("ALTER TABLE boards DROP COLUMN excluded_segments"))
        await tx.execute(text("ALTER TABLE known_members DROP COLUMN segments"))
        await upgrade(tx, "rewards", "0017_segments")
    await hear(place, news(place, 0, "staff"))
    assert await shown(place, "xp") == [(1, 0, 9), (2, 1, 8)]
    assert (await leave_out(place, "staff", board="xp")).excluded_segments == ("staff",)
    assert await shown(place, "xp") == [(1, 1, 8)]


async def test_an_operators_word_and_a_segment_keep_somebody_off_each_by_itself(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7)
    await leave_out(place, "staff")
    await hear(place, news(place, 0, "staff"))
    for away in (True, False):
        async with place.db.begin() as tx:
            await change(tx, place.id, [Change(place.members[0], "b", BY_OPERATOR, away, "because", "operator:o")])
        assert await shown(place) == [(1, 1, 7)]
    async with place.db.begin() as tx:
        await change(tx, place.id, [Change(place.members[0], EVERY_BOARD, BY_OPERATOR, True, "because", "operator:o")])
    await hear(place, news(place, 0))
    assert await shown(place) == [(1, 1, 7)]


async def test_news_told_twice_or_late_change_nothing(place: Place) -> None:
    await make_board(place)
    await give(place, 9, 7)
    await leave_out(place, "staff")
    early, late = news(place, 0, "staff"), news(place, 0)
    await hear(place, late)
    await hear(place, early, early)
    assert await shown(place) == [(1, 0, 9), (2, 1, 7)]


async def test_finalised_periods_show_nobody_of_the_staff_and_keep_their_hash(place: Place) -> None:
    await make_board(place, periods=("week",))
    await give(place, 9, 7)
    await leave_out(place, "staff")
    set_clock(place, AT_LAST)
    await finalize(place)
    before = (await page(place, kind="week", key="2026-W48")).window.final.hash
    await hear(place, news(place, 0, "staff"))
    assert await shown(place, kind="week", key="2026-W48") == [(1, 1, 7)]
    await hear(place, news(place, 0))
    assert await shown(place, kind="week", key="2026-W48") == [(1, 0, 9), (2, 1, 7)]
    assert (await page(place, kind="week", key="2026-W48")).window.final.hash == before
    assert await is_right(place)


async def meanwhile(doing: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Begun, and as far as it comes: to its end, or to where it waits for somebody."""
    task = asyncio.create_task(doing)
    await asyncio.wait({task}, timeout=0.5)
    return task


async def test_a_board_that_begins_to_leave_out_a_segment_misses_nobody_who_is_coming_into_it(
    place: Place, replica: Database
) -> None:
    await make_board(place)
    await give(place, 9, 7)
    event = news(place, 0, "staff")
    async with place.db.begin() as tx:
        await copies.apply(tx, [event])
        await know_members(tx, [envelope(event)])
        task = await meanwhile(leave_out(place, "staff", db=replica))
    await task
    assert await shown(place) == [(1, 1, 7)]


async def test_who_comes_into_a_segment_misses_no_board_that_is_beginning_to_leave_it_out(
    place: Place, replica: Database
) -> None:
    await make_board(place)
    await give(place, 9, 7)
    async with place.db.begin() as tx:
        await segments.put(tx, place.id, "b", ["staff"])
        task = await meanwhile(hear(place, news(place, 0, "staff"), db=replica))
    await task
    assert await shown(place) == [(1, 1, 7)]


async def test_a_new_board_misses_nobody_who_is_coming_into_a_segment(place: Place, replica: Database) -> None:
    await give(place, 9, 7)
    event = news(place, 0, "staff")
    async with place.db.begin() as tx:
        await copies.apply(tx, [event])
        await know_members(tx, [envelope(event)])
        task = await meanwhile(make(replace(place, db=replica), "staff"))
    await task
    assert await shown(place) == [(1, 1, 7)]


async def test_members_come_and_go_and_boards_change_while_others_post(place: Place, replica: Database) -> None:
    await make_board(place, periods=("all",))
    other = replace(place, db=replica)
    for round in range(6):
        await asyncio.gather(
            leave_out(place, *(("staff",) if round % 2 else ("hosts",))),
            hear(place, *(news(place, n, "staff" if n % 2 else "hosts") for n in range(3)), db=replica),
            other.give(*(other.grant(member, 1) for member in place.members)),
        )
        gone = {n for n in range(3) if n % 2 == round % 2}
        assert {place.members.index(line.member_id) for line in (await page(place)).items} == {*range(5)} - gone
        await asyncio.gather(leave_out(place, db=replica), hear(place, *(news(place, n) for n in range(3))))
        assert (await page(place)).total == 5
    assert await is_right(place)


async def test_another_communitys_staff_stays_on_this_board(place: Place) -> None:
    other = await make_place(place.db, 0)
    other.members += place.members
    await make_board(place)
    await give(place, 9, 7)
    await leave_out(place, "staff")
    await hear(other, news(other, 0, "staff"))
    assert await shown(place) == [(1, 0, 9), (2, 1, 7)]
    await hear(place, news(place, 0, "staff"))
    await hear(other, news(other, 0))
    assert await shown(place) == [(1, 1, 7)]


async def test_members_are_heard_of_in_a_fixed_number_of_statements(place: Place) -> None:
    await make_board(place)
    await leave_out(place, "staff")
    counts = []
    for some in (1, 4):
        await hear(place, *(news(place, n) for n in range(4)))
        await give(place, *([1] * some))
        with Statements(place.db) as statements:
            await hear(place, *(news(place, n, "staff") for n in range(some)))
        counts.append(len(statements.texts))
    assert counts[0] == counts[1]


def ranked(body: dict[str, Any], place: Place) -> list[tuple[int, int]]:
    return [(line["rank"], place.members.index(UUID(line["member_id"]))) for line in body["items"]]


async def test_pages_ranks_and_totals_are_of_the_segment_alone(rewards: Rewards) -> None:
    place = Place(rewards.guild.db, rewards.guild.id, sorted(uuid4() for _ in range(4)))
    await hear(place, *(news(place, n, *(["hosts"] if n % 2 else [])) for n in range(4)))
    await place.give(*[place.grant(member, 9 - n, unit="xp") for n, member in enumerate(place.members)])
    first = await rewards.get("/v1/boards/xp", segment="hosts", limit=1, member=str(place.members[3]))
    assert (ranked(first, place), first["total"], first["me"]["rank"]) == ([(1, 1)], 2, 2)
    second = await rewards.get("/v1/boards/xp", segment="hosts", limit=1, cursor=first["next"])
    assert (ranked(second, place), second["next"]) == ([(2, 3)], None)
    near = await rewards.get(f"/v1/boards/xp/around/{place.members[3]}", segment="hosts", period="week")
    assert ranked(near, place) == [(1, 1), (2, 3)]
    gone = f"/v1/boards/xp/around/{place.members[2]}?segment=hosts"
    assert await rewards.refused("GET", gone) == (404, "not_on_board")
    await hear(place, news(place, 1), news(place, 2, "hosts"))
    body = await rewards.get("/v1/boards/xp", segment="hosts")
    assert (ranked(body, place), body["total"]) == ([(1, 2), (2, 3)], 2)
    assert (await rewards.get("/v1/boards/xp", segment="nobody"))["total"] == 0


async def test_a_member_narrows_a_board_to_their_own_segments_only(rewards: Rewards) -> None:
    guild = rewards.guild
    place = Place(guild.db, guild.id, [guild.member("ann"), guild.member("bob")])
    await hear(place, news(place, 0, "hosts"), news(place, 1))
    await place.give(*[place.grant(member, 9 - n, unit="xp") for n, member in enumerate(place.members)])
    ann, bob = await rewards.member("ann"), await rewards.member("bob")
    assert (await ann.get("/v1/boards/xp?segment=hosts")).json()["me"]["rank"] == 1
    for path in ("/v1/boards/xp?segment=hosts", f"/v1/boards/xp/around/{place.members[0]}?segment=hosts"):
        reply = await bob.get(path)
        assert (reply.status_code, reply.json()["code"]) == (403, "not_yours")


async def test_the_api_says_and_sets_what_a_board_leaves_out(rewards: Rewards) -> None:
    guild = rewards.guild
    place = Place(guild.db, guild.id, [guild.member("ann"), guild.member("bob")])
    await hear(place, news(place, 0, "staff"), news(place, 1))
    await place.give(*[place.grant(member, 9, unit="xp") for member in place.members])
    boards_there = (await rewards.get("/v1/boards"))["items"]
    assert [board["excluded_segments"] for board in boards_there] == [["staff"]] * 2
    [kept_off] = (await rewards.get("/v1/boards/xp/excluded"))["items"]
    assert (kept_off["member_id"], kept_off["by"]) == (str(place.members[0]), "segment")
    told = await rewards.get(f"/v1/accounts/{place.members[0]}/boards")
    assert (told["excluded_from"], told["opted_out"], told["on_no_board"]) == (["contribution", "xp"], False, None)
    reply = await rewards.client.put("/v1/boards/xp/excluded-segments", json={"segments": []})
    assert (reply.status_code, reply.json()["excluded_segments"]) == (200, [])
    assert (await rewards.get("/v1/boards/xp"))["total"] == 2
    wanted = {"id": "ours", "name": "Ours", "unit": "xp", "excluded_segments": ["staff", "hosts", "staff"]}
    reply = await rewards.client.post("/v1/boards", json=wanted)
    assert reply.json()["excluded_segments"] == ["hosts", "staff"]
    assert (await rewards.get("/v1/boards/ours"))["total"] == 1
    lost = {"json": {"segments": ["staff"]}}
    assert await rewards.refused("PUT", "/v1/boards/gone/excluded-segments", **lost) == (404, "board_unknown")
