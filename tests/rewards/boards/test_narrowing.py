"""Part of a board: who was active in a group or on a platform; and the last so many days."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from kit.errors import NotFound
from services.rewards.domain.seasons import Season
from services.rewards.handlers import boards, labelling, narrowing
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.ranking import Asked
from services.rewards.store.narrowing import GROUP, PLATFORM
from services.rewards.store.shown import BY_MEMBER, EVERY_BOARD
from tests.rewards.boards.support import make_board
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import NOON, Place, Statements, make_place
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)


async def scored(guild: Guild, *acts: tuple[str, str, int]) -> None:
    """(who, group, amount)."""
    await guild.publish(rule(give=[{"to": "actor", "unit": "xp", "cel": "event.data.n"}]))
    await guild.score(
        *[
            guild.act(by=who, group=group, at=MORNING + timedelta(minutes=n), data={"n": amount})
            for n, (who, group, amount) in enumerate(acts)
        ]
    )


def lines(rewards: Rewards, body: dict[str, Any]) -> list[tuple[int, str, int]]:
    known = {str(rewards.guild.member(name)): name for name in ("ann", "bob", "cat", "dan")}
    return [(line["rank"], known[line["member_id"]], line["score"]) for line in body["items"]]


async def test_ranks_totals_pages_and_me_are_of_the_group_alone(rewards: Rewards) -> None:
    await scored(
        rewards.guild,
        ("ann", "qq:1", 9),
        ("bob", "qq:2", 8),
        ("cat", "qq:1", 7),
        ("dan", "qq:1", 7),
        ("bob", "qq:1", 1),
    )
    cat = str(rewards.guild.member("cat"))
    body = await rewards.get("/v1/boards/xp", group="qq:1", member=cat)
    assert sorted(lines(rewards, body)) == [(1, "ann", 9), (1, "bob", 9), (3, "cat", 7), (3, "dan", 7)]
    assert (body["total"], body["me"]["rank"]) == (4, 3)
    body = await rewards.get("/v1/boards/xp", group="qq:2", period="week", member=cat)
    assert (lines(rewards, body), body["total"], body["me"]) == ([(1, "bob", 9)], 1, None)
    assert body["next_reset_at"] == "2026-11-30T00:00:00Z"
    first = await rewards.get("/v1/boards/xp", group="qq:1", limit=2)
    second = await rewards.get("/v1/boards/xp", group="qq:1", limit=2, cursor=first["next"])
    assert [rank for rank, _, _ in lines(rewards, second)] == [3, 3]
    back = await rewards.get("/v1/boards/xp", group="qq:1", limit=2, cursor=second["prev"])
    assert (lines(rewards, back), back["prev"], second["next"]) == (lines(rewards, first), None, None)
    near = await rewards.get(f"/v1/boards/xp/around/{cat}", group="qq:1", above=1, below=0)
    assert [rank for rank, _, _ in lines(rewards, near)] == [1, 3]
    assert await rewards.refused("GET", f"/v1/boards/xp/around/{cat}?group=qq:2") == (404, "not_on_board")
    assert lines(rewards, await rewards.get("/v1/boards/xp", group="qq:3")) == []


async def test_a_platform_and_a_group_together_are_who_has_both(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule())
    await guild.score(
        guild.act(by="ann", group="qq:1"),
        guild.act(by="bob", group="qq:1", actor="discord:7"),
        guild.act(by="cat", group="qq:2"),
    )

    async def who(**asked: str) -> set[str]:
        return {name for _, name, _ in lines(rewards, await rewards.get("/v1/boards/xp", **asked))}

    assert await who(platform="qq") == {"ann", "cat"}
    assert await who(group="qq:1") == {"ann", "bob"}
    assert await who(group="qq:1", platform="qq") == {"ann"}


async def test_who_opted_out_is_in_no_part_of_a_board_either(rewards: Rewards) -> None:
    await scored(rewards.guild, ("ann", "qq:1", 9), ("bob", "qq:1", 8))
    ann = await rewards.member("ann")
    path = f"/v1/accounts/{rewards.guild.member('ann')}/boards"
    assert (await ann.put(path, json={"opted_out": True})).json()["opted_out"] is True
    for asked in ({"group": "qq:1"}, {"period": "rolling"}, {"period": "week"}):
        body = await rewards.get("/v1/boards/xp", member=str(rewards.guild.member("ann")), **asked)
        assert (lines(rewards, body), body["total"], body["me"]) == ([(1, "bob", 8)], 1, None)
    assert (await ann.put(path.replace(str(rewards.guild.member("ann")), str(rewards.guild.member("bob"))),
                          json={"opted_out": True})).status_code == 403  # fmt: skip
    assert (await ann.put(path, json={"opted_out": False})).json() == {
        "member_id": str(rewards.guild.member("ann")), "opted_out": False, "on_no_board": None, "excluded_from": [],
    }  # fmt: skip
    assert len((await rewards.get("/v1/boards/xp"))["items"]) == 2


async def test_labels_are_noted_once_and_cost_nothing_afterwards(make_database: MakeDatabase) -> None:
    guild = await make_guild(await make_database("rewards"))
    acts = [guild.act(by=who, group="qq:1") for who in ("ann", "bob", "ann")]
    ids = {(guild.id, a.actor_id): a.actor_id for a in acts if a.actor_id is not None}
    counts = []
    for _ in range(2):
        with Statements(guild.db) as statements:
            async with guild.db.begin() as tx:
                await labelling.note(tx, acts, ids)
        counts.append(len(statements.texts))
    assert counts == [1, 0]


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 3, zone="America/New_York", day_start=60)


async def rolling(place: Place, days: int, key: str | None = None) -> Any:
    lines = await narrowing.page(place.db, Asked(place.id, "b", "rolling", key), [], 9, days=days)
    return [(line.rank, place.members.index(line.member_id), line.score) for line in lines.items], lines.window


async def test_the_last_days_are_the_communitys_days_and_say_when_the_oldest_falls_out(place: Place) -> None:
    await make_board(place, periods=("day",))
    midnight = datetime.fromisoformat("2026-11-21T06:00:00Z")
    await place.give(
        place.grant(place.members[0], 5, midnight),
        place.grant(place.members[1], 9, midnight - timedelta(microseconds=1)),
        place.grant(place.members[0], 2, NOON),
    )
    # At NOON it is the 23rd there.
    rows, window = await rolling(place, 3)
    assert rows == [(1, 0, 7)]
    assert (window.period.start, window.period.end) == (midnight, midnight + 3 * DAY)
    assert (window.period.key, window.next_reset_at) == ("2026-11-23", midnight + 3 * DAY)
    assert (await rolling(place, 4))[0] == [(1, 1, 9), (2, 0, 7)]
    assert (await rolling(place, 2, "2026-11-21"))[0] == [(1, 1, 9), (2, 0, 5)]


async def test_days_are_added_up_where_a_board_keeps_them(place: Place) -> None:
    await make_board(place, periods=("week",))
    with pytest.raises(NotFound) as refused:
        await rolling(place, 3)
    assert refused.value.code == "period_not_kept"
    with pytest.raises(NotFound) as unknown:
        await narrowing.page(place.db, Asked(place.id, "none", "week"), [(GROUP, "x"), (PLATFORM, "y")], 9)
    assert unknown.value.code == "board_unknown"


async def test_an_improvement_is_over_ones_own_score_in_the_period_before(place: Place) -> None:
    await make_board(place, periods=("week", "season", "all"))
    before = NOON - 7 * DAY
    a, b, c = place.members
    await place.give(
        place.grant(a, 100, before), place.grant(a, 101), place.grant(b, 5, before), place.grant(b, 3),
        place.grant(c, 2, NOON - DAY / 24),
    )  # fmt: skip

    async def improved(kind: str, **more: Any) -> list[tuple[int, int, int]]:
        lines = await narrowing.page(place.db, Asked(place.id, "b", kind), [], 9, improvement=True, **more)
        return [(line.rank, place.members.index(line.member_id), line.score) for line in lines.items]

    assert await improved("week") == [(1, 2, 2), (2, 0, 1), (3, 1, -2)]
    near = await narrowing.around(place.db, Asked(place.id, "b", "week"), [], b, 1, 1, improvement=True)
    assert [(line.rank, line.score) for line in near.items] == [(2, 1), (3, -2)]
    async with place.db.begin() as tx:
        await change(tx, place.id, [Change(a, EVERY_BOARD, BY_MEMBER, True, "", "")])
    assert await improved("week") == [(1, 2, 2), (2, 1, -2)]
    async with place.db.begin() as tx:
        await boards.add_season(tx, place.id, "b", Season("two", date(2026, 11, 20), date(2026, 11, 30)))
    for kind in ("all", "season"):
        with pytest.raises(NotFound) as first:
            await improved(kind)
        assert first.value.code == "no_period_before"
    async with place.db.begin() as tx:
        await boards.add_season(tx, place.id, "b", Season("one", date(2026, 11, 1), date(2026, 11, 19)))
    assert await improved("season") == [(1, 2, 2), (2, 1, -2)]
