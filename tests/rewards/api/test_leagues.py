"""Leagues over HTTP: settings, where members play, divisions page by page, and what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

from services.rewards.handlers import leagues
from services.rewards.handlers.finalising import finalize_some
from tests.rewards.guild import MORNING, rule
from tests.rewards.serving import Rewards

WEEK = timedelta(days=7)
NAMES = ("ann", "bob", "cat", "dan", "eve")
SETTINGS = {"tiers": ["铜", "银"], "size": 2, "promote": 1, "demote": [0, 1]}


async def play(rewards: Rewards) -> None:
    db, never = rewards.guild.db, asyncio.Event()
    await finalize_some(db, db.clock(), never)
    for _ in range(2):
        await leagues.play_some(db, never)


async def started(rewards: Rewards, **xp: int) -> None:
    """The league's first week runs, and so much xp was earned in it."""
    reply = await rewards.client.put("/v1/boards/xp/league", json={"league": SETTINGS})
    assert reply.status_code == 200, reply.text
    rewards.clock.advance(WEEK)
    await rewards.guild.publish(rule(give=[{"to": "actor", "unit": "xp", "cel": "event.data.n"}]))
    acts = [
        rewards.guild.act(by=name, at=MORNING + WEEK + timedelta(minutes=n), data={"n": amount})
        for n, (name, amount) in enumerate(xp.items())
    ]
    await rewards.guild.score(*acts)
    await play(rewards)


def path(rewards: Rewards, name: str) -> str:
    return f"/v1/boards/xp/league/{rewards.guild.member(name)}"


def names(rewards: Rewards, body: dict[str, Any]) -> list[tuple[int, str, str]]:
    known = {str(rewards.guild.member(name)): name for name in NAMES}
    return [(line["rank"], known[line["member_id"]], line["zone"]) for line in body["items"]]


async def test_a_member_sees_tier_division_rivals_and_zones_now_and_for_ever(rewards: Rewards) -> None:
    await started(rewards, ann=1, bob=5, cat=2)
    ann = await rewards.member("ann")
    body = (await ann.get(path(rewards, "ann"))).json()
    assert (body["tier"], body["division"], body["tier_after"]) == ({"number": 1, "name": "铜"}, 1, None)
    assert names(rewards, body) == [(1, "bob", "promotion"), (2, "ann", "stays")]
    assert (body["me"]["rank"], body["promoted"], body["demoted"]) == (2, 1, 0)
    assert (body["period"]["key"], body["next_reset_at"]) == ("2026-W49", "2026-12-07T00:00:00Z")
    dan = (await (await rewards.member("dan")).get(path(rewards, "dan"))).json()
    assert (dan["tier"]["number"], dan["division"], dan["items"], dan["me"]) == (1, None, [], None)
    rewards.clock.advance(WEEK + timedelta(days=2))
    await play(rewards)
    past = await rewards.get(path(rewards, "bob"), period="week", key="2026-W49")
    assert (past["tier_after"]["name"], past["items"]) == ("银", body["items"])
    now = await rewards.get(path(rewards, "bob"))
    assert (now["period"]["key"], now["tier"]["number"], now["division"]) == ("2026-W50", 2, None)


async def test_the_divisions_of_a_period_are_counted_paged_and_read_one_by_one(rewards: Rewards) -> None:
    await started(rewards, **dict.fromkeys(NAMES, 3))
    body = await rewards.get("/v1/boards/xp/leagues", limit=2)
    assert body["tiers"] == [
        {"number": 1, "name": "铜", "divisions": 3, "members": 5},
        {"number": 2, "name": "银", "divisions": 0, "members": 0},
    ]  # fmt: skip
    assert body["items"] == [{"tier": 1, "division": n, "members": 2} for n in (1, 2)]
    rest = await rewards.get("/v1/boards/xp/leagues", limit=2, cursor=body["next"])
    assert (rest["items"], rest["next"]) == ([{"tier": 1, "division": 3, "members": 1}], None)
    assert names(rewards, await rewards.get("/v1/boards/xp/leagues/1/2")) == [
        (1, "cat", "promotion"), (1, "dan", "stays"),
    ]  # fmt: skip
    for wrong in ("1/4", "2/1", "9/1"):
        assert await rewards.refused("GET", f"/v1/boards/xp/leagues/{wrong}") == (404, "division_unknown")


async def test_what_cannot_be_is_refused_with_what_to_do(rewards: Rewards) -> None:
    ann = rewards.guild.member("ann")
    await rewards.guild.know("ann")
    put = "/v1/boards/xp/league"
    assert await rewards.refused("GET", f"{put}/{ann}") == (404, "no_league")
    for wrong in ({"tiers": []}, {"tiers": ["a"], "size": 1}, {"tiers": ["a"], "period": "day"},
                  {"tiers": ["a"], "promote": [-1]}, {"tiers": ["a"], "inactive": "leave"}):  # fmt: skip
        assert (await rewards.refused("PUT", put, json={"league": wrong}))[0] == 422
    assert await rewards.refused("PUT", put, json={"league": {"tiers": ["a"], "promote": [1, 2]}}) == (
        422, "league_invalid",
    )  # fmt: skip
    assert await rewards.refused("PUT", "/v1/boards/none/league", json={"league": None}) == (404, "board_unknown")
    board = (await rewards.client.put(put, json={"league": SETTINGS})).json()
    assert board["league"] == {**SETTINGS, "period": "week", "promote": [1, 1], "inactive": "demote"}
    assert board["league_since"] == "2026-11-24"
    # This week runs already.
    assert await rewards.refused("GET", f"{put}/{ann}") == (404, "no_league")
    assert await rewards.refused("GET", f"{put}/{ann}?key=2026-13") == (400, "period_key_invalid")
    rewards.clock.advance(WEEK)
    assert await rewards.refused("GET", f"{put}/{rewards.guild.member('eve')}") == (404, "member_unknown")
    me = await rewards.member("ann")
    assert (await me.put(f"/v1/accounts/{ann}/boards", json={"opted_out": True})).status_code == 200
    assert await rewards.refused("GET", f"{put}/{ann}") == (404, "not_on_board")
