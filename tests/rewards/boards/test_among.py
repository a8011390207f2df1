"""A board among members that are named: one's friends, whom frontends know and Guildhall does not (R61)."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from services.rewards.api.among import AMONG_MOST
from services.rewards.domain.boards import TIE_POLICIES, Season, slot_id
from services.rewards.handlers import boards, decaying, narrowing
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.ranking import Asked
from services.rewards.store import boards as boards_store
from services.rewards.store import narrowing as store
from services.rewards.store.narrowing import GROUP, PLATFORM, Days, Improvement, Some, What
from services.rewards.store.shown import BY_OPERATOR, EVERY_BOARD
from tests.rewards.boards.support import make_board, ranked
from tests.rewards.boards.test_narrowing import lines, scored
from tests.rewards.erasing.support import erase
from tests.rewards.guild import rule
from tests.rewards.ledger.support import NOON, Place, make_place
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase
from tests.support.plans import plans_of

DAY = timedelta(days=1)
FIVE = (("ann", "qq:1", 9), ("bob", "qq:2", 8), ("cat", "qq:1", 7), ("dan", "qq:1", 7))


def ids(rewards: Rewards, *names: str) -> str:
    return ",".join(str(rewards.guild.member(name)) for name in names)


async def test_a_member_stands_among_friends_without_naming_themself(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    dan = await rewards.member("dan")
    body = (await dan.get("/v1/boards/xp", params={"among": ids(rewards, "bob", "bob")})).json()
    assert (lines(rewards, body), body["total"]) == ([(1, "bob", 8), (2, "dan", 7)], 2)
    assert (body["me"]["rank"], body["me"]["score"]) == (2, 7)
    near = (await dan.get(f"/v1/boards/xp/around/{ids(rewards, 'dan')}", params={"among": ids(rewards, "bob")})).json()
    assert lines(rewards, near) == [(1, "bob", 8), (2, "dan", 7)]


async def test_who_is_asked_for_stands_among_their_friends_too(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    body = await rewards.get("/v1/boards/xp", among=ids(rewards, "bob", "cat"), member=ids(rewards, "ann"), limit=1)
    assert (lines(rewards, body), body["total"], body["me"]["rank"]) == ([(1, "ann", 9)], 3, 1)
    body = await rewards.get("/v1/boards/xp", among=ids(rewards, "bob", "cat"))
    assert (lines(rewards, body), body["total"], body["me"]) == ([(1, "bob", 8), (2, "cat", 7)], 2, None)


async def test_pages_go_on_and_back_among_friends_alone(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    asked = {"among": ids(rewards, "ann", "bob", "dan"), "limit": 2, "period": "week"}
    first = await rewards.get("/v1/boards/xp", **asked)
    second = await rewards.get("/v1/boards/xp", **asked, cursor=first["next"])
    back = await rewards.get("/v1/boards/xp", **asked, cursor=second["prev"])
    assert (lines(rewards, first), lines(rewards, second)) == ([(1, "ann", 9), (2, "bob", 8)], [(3, "dan", 7)])
    assert (back["items"], back["prev"], second["next"]) == (first["items"], None, None)


async def test_nobody_is_near_a_member_who_is_not_among_those_named(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    path = f"/v1/boards/xp/around/{ids(rewards, 'ann')}"
    assert await rewards.refused("GET", path, params={"among": ids(rewards, "bob", "cat")}) == (404, "not_on_board")
    near = await rewards.get(path, among=ids(rewards, "ann", "dan"))
    assert (lines(rewards, near), near["total"], near["me"]["rank"]) == ([(1, "ann", 9), (2, "dan", 7)], 2, 1)


async def test_friends_in_a_group_on_a_platform_or_in_a_segment_are_who_is_both(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule())
    await guild.score(
        guild.act(by="ann", group="qq:1"),
        guild.act(by="bob", group="qq:1", actor="discord:7"),
        guild.act(by="cat", group="qq:2"),
        guild.act(by="dan", group="qq:1"),
    )
    async with guild.db.begin() as tx:
        await store.add_labels(tx, {(guild.id, (store.SEGMENT, "city-shanghai"), guild.member("cat")): 0})

    async def who(**asked: str) -> set[str]:
        body = await rewards.get("/v1/boards/xp", among=ids(rewards, "ann", "bob", "cat"), **asked)
        return {name for _, name, _ in lines(rewards, body)}

    assert await who(group="qq:1") == {"ann", "bob"}
    assert await who(group="qq:1", platform="qq") == {"ann"}
    assert await who(segment="city-shanghai") == {"cat"}
    assert await who(segment="city-shanghai", group="qq:1", period="rolling") == set()


async def test_who_is_hidden_is_shown_to_no_friend_nor_to_themself(rewards: Rewards) -> None:
    guild = rewards.guild
    await scored(guild, *FIVE)
    async with guild.db.begin() as tx:
        kept_off = Change(guild.member("cat"), EVERY_BOARD, BY_OPERATOR, True, "because", "operator:o")
        await change(tx, guild.id, [kept_off])
    bob = await rewards.member("bob")
    path = f"/v1/accounts/{ids(rewards, 'bob')}/boards"
    assert (await bob.put(path, json={"opted_out": True})).status_code == 200
    for more in ({}, {"period": "rolling"}, {"period": "week"}):
        body = (await bob.get("/v1/boards/xp", params={"among": ids(rewards, "ann", "cat"), **more})).json()
        assert (lines(rewards, body), body["total"], body["me"]) == ([(1, "ann", 9)], 1, None)


async def test_ids_of_nobody_and_of_another_community_show_nothing(rewards: Rewards) -> None:
    guild = rewards.guild
    await scored(guild, *FIVE)
    other = await make_place(guild.db, 1)
    await other.give(other.grant(other.members[0], 99, unit="xp"))
    among = f"{uuid4()},{other.members[0]},{guild.member('dan')}"
    body = await rewards.get("/v1/boards/xp", among=among)
    assert (lines(rewards, body), body["total"]) == ([(1, "dan", 7)], 1)
    assert (await rewards.get("/v1/boards/xp", among=str(uuid4())))["total"] == 0


async def test_who_was_erased_is_not_among_anybodys_friends(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    await erase(rewards.guild, "bob")
    body = await rewards.get("/v1/boards/xp", among=ids(rewards, "ann", "bob"), member=ids(rewards, "bob"))
    assert (lines(rewards, body), body["total"], body["me"]) == ([(1, "ann", 9)], 1, None)


async def test_an_identity_of_a_friend_counts_for_the_member_it_is_linked_to_and_names_nobody(rewards: Rewards) -> None:
    await rewards.guild.link("second", to="ann")
    await scored(rewards.guild, ("ann", "qq:1", 9), ("second", "qq:1", 5), ("bob", "qq:1", 8))
    body = await rewards.get("/v1/boards/xp", among=ids(rewards, "ann", "bob"))
    assert lines(rewards, body) == [(1, "ann", 14), (2, "bob", 8)]
    body = await rewards.get("/v1/boards/xp", among=ids(rewards, "second"), member=ids(rewards, "second"))
    assert (body["total"], body["me"]) == (0, None)


async def test_as_many_friends_as_there_may_be_are_read_whatever_way_their_ids_are_written(rewards: Rewards) -> None:
    await scored(rewards.guild, *FIVE)
    some = [*(str(uuid4()).upper() for _ in range(AMONG_MOST - 1)), rewards.guild.member("cat").hex]
    ann = await rewards.member("ann")
    reply = await ann.get("/v1/boards/xp", params={"among": ",".join([*some, *some])})
    assert lines(rewards, reply.json()) == [(1, "ann", 9), (2, "cat", 7)]
    assert await rewards.refused("GET", "/v1/boards/xp", params={"among": ",".join([*some, str(uuid4())])}) == (
        422,
        "validation_failed",
    )


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 6)


@pytest.mark.parametrize("policy", TIE_POLICIES)
async def test_every_kind_of_score_is_ranked_anew_among_friends(place: Place, policy: str) -> None:
    await make_board(place, policy=policy, periods=("all", "season", "week", "day"))
    async with place.db.begin() as tx:
        for key, first, last in (("one", 1, 19), ("two", 20, 30)):
            await boards.add_season(tx, place.id, "b", Season(key, date(2026, 11, first), date(2026, 11, last)))
        await decaying.put(tx, place.id, "b", 50)
    for member, now, before in zip(place.members, (7, 7, 9, 5, 5, 1), (1, 3, 9, 1, 1, 1), strict=True):
        await place.give(place.grant(member, now), place.grant(member, before, NOON - 7 * DAY))
    friends = frozenset(place.members[n] for n in (0, 1, 3, 4))
    for kind in ("all", "season", "week", "day", "rolling", "decay", "improved week", "improved season"):
        improved, _, period = kind.rpartition(" ")
        asked: dict[str, Any] = {"days": 9, "improvement": bool(improved)}
        everybody = await narrowing.page(place.db, Asked(place.id, "b", period), [], 9, **asked)
        part = await narrowing.page(place.db, Asked(place.id, "b", period), [], 9, among=friends, **asked)
        scores = [(one.score, one.reached_at, one.member_id) for one in everybody.items if one.member_id in friends]
        told = [(one.rank, one.member_id, one.score, one.reached_at) for one in part.items]
        assert told == ranked(scores, policy), kind
        assert (len(told), part.total, len(everybody.items)) == (4, 4, 6)


def found_by(plan: str, table: str) -> list[str]:
    """What rows of the table are found by, wherever they are; PostgreSQL says it in the line after."""
    steps = [*plan.splitlines(), ""]
    return [a + b if "cost=" in a else a for a, b in pairwise(steps) if f" {table} " in a]


@pytest.mark.parametrize("labels", [[], [(GROUP, "qq:1"), (PLATFORM, "qq")]])
async def test_scores_of_friends_are_looked_up_and_no_board_is_read_for_them(place: Place, labels: Any) -> None:
    await make_board(place, periods=("all", "week", "day"))
    await place.give(*[place.grant(uuid4(), 1) for _ in range(300)])
    async with place.db.read() as tx:
        board = next(one for one in await boards_store.boards_of(tx, place.id) if one.id == "b")
    week, before = (slot_id(board.generation, "week", key) for key in ("2026-W48", "2026-W47"))

    async def plan(what: What) -> str:
        some, friends = Some(9), frozenset(place.members)
        _, (plan,) = await plans_of(
            place.db, lambda tx: store.read(tx, board, what, labels, some=some, member=None, among=friends)
        )
        return plan

    for what in (week, Days(NOON.date(), NOON.date()), Improvement(week, before)):
        found = await plan(what)
        tables = ["board_scores", *(["before"] if isinstance(what, Improvement) else []), "member_labels"]
        for table in tables[: None if labels else -1]:
            assert found_by(found, table)
            assert all("member_id" in by for by in found_by(found, table)), found
