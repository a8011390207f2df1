"""Boards and levels over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.rewards import LevelReached
from services.rewards.api.boards import BoardPage
from tests.rewards.guild import MORNING, rule
from tests.rewards.ledger.support import announced
from tests.rewards.serving import Rewards


async def fill(rewards: Rewards, **xp: int) -> None:
    """So much xp for each, reached a minute after each other."""
    guild = rewards.guild
    give = [{"to": "actor", "unit": "xp", "cel": "event.data.n"}]
    await guild.publish(rule(give=give))
    acts = [
        guild.act(by=name, at=MORNING + timedelta(minutes=n), data={"n": amount})
        for n, (name, amount) in enumerate(xp.items())
    ]
    await guild.score(*acts)


def names(rewards: Rewards, body: dict[str, Any]) -> list[tuple[int, str, int]]:
    known = {str(rewards.guild.member(name)): name for name in ("ann", "bob", "cat", "dan", "eve")}
    return [(line["rank"], known[line["member_id"]], line["score"]) for line in body["items"]]


async def test_the_board_xp_is_there_from_the_beginning_with_its_period_total_and_me(rewards: Rewards) -> None:
    await fill(rewards, ann=5, bob=9, cat=5)
    _, board = (await rewards.get("/v1/boards"))["items"]
    assert (board["id"], board["unit"], board["tie_policy"]) == ("xp", "xp", "competition")
    body = await rewards.get("/v1/boards/xp", period="week", member=str(rewards.guild.member("cat")))
    assert names(rewards, body) == [(1, "bob", 9), (2, "ann", 5), (2, "cat", 5)]
    assert body["period"] == {
        "kind": "week", "key": "2026-W48", "start": "2026-11-23T00:00:00Z", "end": "2026-11-30T00:00:00Z",
        "finalized_at": None, "hash": None, "late_entries": 0,
    }  # fmt: skip
    assert (body["total"], body["next_reset_at"]) == (3, "2026-11-30T00:00:00Z")
    assert (body["me"]["rank"], body["me"]["score"]) == (2, 5)
    ann = await rewards.member("ann")
    mine = (await ann.get("/v1/boards/xp")).json()
    assert (mine["me"]["member_id"], mine["period"]["end"], mine["next_reset_at"]) == (
        str(rewards.guild.member("ann")), None, None,
    )  # fmt: skip


async def test_pages_follow_each_other_through_ties_and_back(rewards: Rewards) -> None:
    await fill(rewards, ann=5, bob=5, cat=5, dan=5, eve=1)
    whole = names(rewards, await rewards.get("/v1/boards/xp"))
    assert [rank for rank, _, _ in whole] == [1, 1, 1, 1, 5]
    first = await rewards.get("/v1/boards/xp", limit=2)
    second = await rewards.get("/v1/boards/xp", limit=2, cursor=first["next"])
    third = await rewards.get("/v1/boards/xp", limit=2, cursor=second["next"])
    assert names(rewards, first) + names(rewards, second) + names(rewards, third) == whole
    assert (first["prev"], third["next"]) == (None, None)
    back = await rewards.get("/v1/boards/xp", limit=2, cursor=third["prev"])
    assert (names(rewards, back), back["prev"] is not None) == (names(rewards, second), True)


async def test_around_a_member_shows_who_is_near(rewards: Rewards) -> None:
    await fill(rewards, ann=9, bob=7, cat=5, dan=3)
    path = f"/v1/boards/xp/around/{rewards.guild.member('bob')}"
    body = await rewards.get(path, above=2, below=1)
    assert names(rewards, body) == [(1, "ann", 9), (2, "bob", 7), (3, "cat", 5)]
    assert (body["me"]["rank"], body["prev"], body["next"] is not None) == (2, None, True)
    nobody = f"/v1/boards/xp/around/{rewards.guild.member('eve')}"
    assert await rewards.refused("GET", nobody) == (404, "not_on_board")


async def test_replies_are_written_exactly_as_their_model_would_be(rewards: Rewards) -> None:
    rewards.clock.advance(timedelta(microseconds=120))
    await fill(rewards, ann=9, bob=7, cat=5, dan=3)
    ann = str(rewards.guild.member("ann"))
    for path, asked in (
        ("/v1/boards/xp", {"limit": 2, "member": ann}),
        ("/v1/boards/xp", {"period": "week", "limit": 100}),
        ("/v1/boards/xp", {"period": "day", "key": "2025-01-01"}),
        (f"/v1/boards/xp/around/{ann}", {"below": 1, "period": "month"}),
    ):
        reply = await rewards.client.get(path, params=asked)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        assert reply.text == BoardPage.model_validate_json(reply.text).model_dump_json()


async def test_a_board_is_made_filled_and_removed(rewards: Rewards) -> None:
    await fill(rewards, ann=5, bob=9, cat=5)
    made = {"id": "dense", "name": "Dense", "unit": "xp", "tie_policy": "dense", "periods": ["all", "day"]}
    reply = await rewards.client.post("/v1/boards", json=made)
    assert (reply.status_code, reply.json()["periods"]) == (201, ["all", "day"])
    assert names(rewards, await rewards.get("/v1/boards/dense")) == [(1, "bob", 9), (2, "ann", 5), (2, "cat", 5)]
    assert await rewards.refused("POST", "/v1/boards", json=made) == (409, "board_exists")
    assert await rewards.refused("GET", "/v1/boards/dense", params={"period": "week"}) == (404, "period_not_kept")
    assert (await rewards.client.delete("/v1/boards/dense")).status_code == 204
    assert await rewards.refused("GET", "/v1/boards/dense") == (404, "board_unknown")
    assert await rewards.refused("DELETE", "/v1/boards/dense") == (404, "board_unknown")


async def test_what_makes_no_board_or_page_is_refused(rewards: Rewards) -> None:
    wrong = {"id": "b", "name": "B", "unit": "gold"}
    assert await rewards.refused("POST", "/v1/boards", json=wrong) == (422, "unit_unknown")
    assert (await rewards.refused("POST", "/v1/boards", json={**wrong, "tie_policy": "random"}))[0] == 422
    for params in ({"limit": 201}, {"limit": 0}, {"period": "year"}):
        assert (await rewards.refused("GET", "/v1/boards/xp", params=params))[0] == 422
    for params in ({"cursor": "bm9uc2Vuc2U"}, {"period": "day", "key": "yesterday"}):
        assert (await rewards.refused("GET", "/v1/boards/xp", params=params))[0] == 400
    around = f"/v1/boards/xp/around/{rewards.guild.member('ann')}"
    assert (await rewards.refused("GET", around, params={"above": 101}))[0] == 422
    ann = await rewards.member("ann")
    assert (await ann.post("/v1/boards", json=wrong)).status_code == 403


async def test_levels_are_read_changed_by_version_and_followed_by_members(rewards: Rewards) -> None:
    await fill(rewards, ann=120)
    first = await rewards.client.get("/v1/levels")
    assert (first.json()["scheme"], first.headers["etag"]) == ({"kind": "formula", "step": 50}, '"1"')
    path = f"/v1/levels/members/{rewards.guild.member('ann')}"
    assert {k: v for k, v in (await rewards.get(path)).items() if k != "member_id"} == {
        "level": 2, "name": "Level 2", "threshold": 100, "unit": "xp", "balance": 120, "version": 1,
        "next": {"level": 3, "name": "Level 3", "threshold": 300},
        "perks": {"roles": [], "multiplier": None, "shop": []},
    }  # fmt: skip
    table = {"kind": "table", "levels": [{"threshold": 0, "name": "Guest"}, {"threshold": 120, "name": "Friend"}]}
    tag = {"If-Match": '"1"'}
    changed = await rewards.client.put("/v1/levels", json={"unit": "xp", "scheme": table}, headers=tag)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert await rewards.refused("PUT", "/v1/levels", json={"scheme": table}, headers=tag) == (412, "version_changed")
    after = await rewards.get(path)
    assert (after["level"], after["name"], after["next"]) == (2, "Friend", None)
    assert [e.level for e in await announced(rewards.guild.db, LevelReached)] == [2]
    ann = await rewards.member("ann")
    assert (await ann.get(path)).json()["level"] == 2
    assert (await ann.get(f"/v1/levels/members/{rewards.guild.member('bob')}")).status_code == 403


async def test_perks_of_a_level_are_set_with_the_levels_and_read_with_a_members(rewards: Rewards) -> None:
    await fill(rewards, ann=120)
    perks = [{"level": 2, "roles": ["friend"], "multiplier": 12_000, "shop": ["stickers"]}]
    body = {"scheme": {"kind": "formula", "step": 50}, "perks": perks}
    assert (await rewards.client.put("/v1/levels", json=body)).json()["perks"] == perks
    assert (await rewards.get("/v1/levels"))["perks"] == perks
    mine = await rewards.get(f"/v1/levels/members/{rewards.guild.member('ann')}")
    assert mine["perks"] == {"roles": ["friend"], "multiplier": 12_000, "shop": ["stickers"]}
    reply = await rewards.client.put("/v1/levels", json={**body, "perks": perks * 2})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/perks/1/level")


async def test_levels_that_make_no_sense_are_refused_with_a_pointer(rewards: Rewards) -> None:
    table = {"kind": "table", "levels": [{"threshold": 0}, {"threshold": 9}, {"threshold": 9}]}
    reply = await rewards.client.put("/v1/levels", json={"scheme": table})
    assert (reply.status_code, reply.json()["code"]) == (422, "levels_invalid")
    assert reply.json()["errors"][0]["pointer"] == "/scheme/levels/2/threshold"
    assert await rewards.refused("PUT", "/v1/levels", json={"scheme": {"kind": "formula", "step": 2**61}}) == (
        422,
        "levels_invalid",
    )


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"period": "rolling", "key": "0001-01-02", "days": 30}, (400, "period_key_invalid")),
        ({"period": "rolling", "key": "9999-12-31"}, (400, "period_key_invalid")),
        ({"period": "rolling", "key": "yesterday"}, (400, "period_key_invalid")),
        ({"period": "day", "key": "0001-01-01", "improvement": True}, (404, "no_period_before")),
        ({"period": "week", "key": "0001-W01", "improvement": True}, (404, "no_period_before")),
        ({"period": "all", "improvement": True}, (404, "no_period_before")),
    ],
)
async def test_days_before_time_began_are_refused(
    rewards: Rewards, asked: dict[str, Any], refused: tuple[int, str]
) -> None:
    answer = await rewards.client.get("/v1/boards/xp", params=asked)
    assert (answer.status_code, answer.json()["code"]) == refused
