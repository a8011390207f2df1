"""Backfills of badges over HTTP: asked for, read, cancelled, refused."""

from datetime import timedelta
from typing import Any

from services.rewards.handlers.backfills import running
from tests.rewards.guild import MORNING, make_guild
from tests.rewards.serving import Rewards

URL = "/v1/badges/talker/backfill"
TALK = {"kind": "events", "on": ["message.created"], "least": 2}


async def make(rewards: Rewards, criterion: Any = TALK, **fields: Any) -> None:
    body = {"id": "talker", "name": "Talker", "criterion": criterion, **fields}
    reply = await rewards.client.post("/v1/badges", json=body)
    assert reply.status_code == 201, reply.text


async def test_a_badge_is_backfilled_in_the_background_and_says_how_far_it_is(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.score(*[guild.act(at=MORNING + timedelta(minutes=n)) for n in range(3)])
    await make(rewards)
    assert await rewards.refused("GET", URL) == (404, "backfill_unknown")
    asked = await rewards.client.post(URL, json={}, headers={"Idempotency-Key": "once"})
    assert (asked.status_code, asked.headers["location"]) == (202, URL)
    again = await rewards.client.post(URL, json={}, headers={"Idempotency-Key": "once"})
    assert again.json() == asked.json()
    body = asked.json()
    assert (body["state"], body["silent"], body["total"], body["done"]) == ("counting", True, 3, 0)
    assert body["kept_from"] == body["began_at"]
    assert await rewards.refused("POST", URL, json={}) == (409, "backfill_open")
    while await running.step(guild.db, guild.id, "talker"):
        pass
    over = await rewards.get(URL)
    assert (over["state"], over["done"], over["granted"]) == ("done", 3, 1)
    (holder,) = (await rewards.get("/v1/badges/talker/members"))["items"]
    assert holder["granted_at"] == (MORNING + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    assert await rewards.refused("POST", f"{URL}/cancel") == (409, "backfill_over")


async def test_one_is_cancelled_as_often_as_somebody_asks(rewards: Rewards) -> None:
    await rewards.guild.score(rewards.guild.act())
    await make(rewards)
    assert await rewards.refused("POST", f"{URL}/cancel") == (404, "backfill_unknown")
    await rewards.client.post(URL, json={})
    for _ in range(2):
        reply = await rewards.client.post(f"{URL}/cancel")
        assert (reply.status_code, reply.json()["state"]) == (200, "closing")


async def test_what_cannot_be_backfilled_is_refused_with_what_to_do(rewards: Rewards) -> None:
    assert await rewards.refused("POST", URL, json={}) == (404, "badge_unknown")
    await make(rewards, {"kind": "hand"})
    reply = await rewards.client.post(URL, json={})
    assert (reply.status_code, reply.json()["code"]) == (422, "backfill_by_hand")
    assert "takes a date" in reply.json()["detail"]
    await make(rewards, {"kind": "streak", "series": "daily", "least": 3}, id="streak")
    url = "/v1/badges/streak/backfill"
    reply = await rewards.client.post(url, json={"since": "2026-01-01T00:00:00Z"})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/since")
    await make(rewards, id="soon")
    url = "/v1/badges/soon/backfill"
    assert await rewards.refused("POST", url, json={}) == (409, "backfill_nothing")
    assert await rewards.refused("POST", url, json={"since": "2027-01-01T00:00:00Z"}) == (422, "times_contradict")
    await make(rewards, id="off", enabled=False)
    assert await rewards.refused("POST", "/v1/badges/off/backfill", json={}) == (409, "badge_disabled")


async def test_another_community_sees_and_starts_nothing(rewards: Rewards) -> None:
    await rewards.guild.score(rewards.guild.act())
    await make(rewards)
    await rewards.client.post(URL, json={})
    stranger = await rewards.key("rewards:read", "rewards:write", guild=await make_guild(rewards.guild.db))
    for reply in (await stranger.get(URL), await stranger.post(URL, json={}), await stranger.post(f"{URL}/cancel")):
        assert (reply.status_code, reply.json()["code"]) == (404, "badge_unknown")


async def test_a_member_starts_nothing(rewards: Rewards) -> None:
    await make(rewards)
    ann = await rewards.member("ann")
    assert (await ann.post(URL, json={})).status_code == 403
    reader = await rewards.key("rewards:read")
    assert (await reader.post(f"{URL}/cancel")).status_code == 403
