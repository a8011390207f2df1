"""Scheduling versions of the rules over HTTP: publish for a time to come, read, cancel."""

from datetime import timedelta
from typing import Any

import pytest

from tests.rewards.guild import MORNING, make_guild, rule
from tests.rewards.serving import Rewards

NOON = MORNING + timedelta(hours=4)


async def schedule(rewards: Rewards, amount: int = 5, at: Any = NOON, **more: Any) -> Any:
    body = {"rules": [rule(amount=amount)], "effective_from": at.isoformat(), **more}
    reply = await rewards.client.post("/v1/rules", json=body)
    assert reply.status_code == 201, reply.text
    return reply


async def states(rewards: Rewards) -> list[tuple[int, str, bool]]:
    items = (await rewards.get("/v1/rules/versions"))["items"]
    return [(v["version"], v["state"], v["in_force"]) for v in items]


async def test_what_is_scheduled_is_listed_and_the_rules_are_what_holds_now(rewards: Rewards) -> None:
    made = await schedule(rewards)
    assert (made.json()["version"], made.json()["effective_from"]) == (2, "2026-11-23T12:00:00Z")
    assert made.headers["etag"] == '"1"', "what If-Match is compared with has not changed"
    assert await states(rewards) == [(2, "scheduled", False), (1, "in_force", True)]
    reply = await rewards.client.get("/v1/rules")
    assert (reply.headers["etag"], reply.json()["effective_from"]) == ('"1"', None)
    rewards.clock.now = NOON
    reply = await rewards.client.get("/v1/rules")
    assert (reply.headers["etag"], reply.json()["rules"][0]["give"][0]["amount"]) == ('"2"', 5)
    assert await states(rewards) == [(2, "in_force", True), (1, "superseded", True)]
    diff = await rewards.client.post("/v1/rules/diff", json={"rules": [rule(amount=5)]})
    assert diff.json()["items"] == []


async def test_if_match_fails_once_the_scheduled_version_has_started(rewards: Rewards) -> None:
    await schedule(rewards)
    body, had = {"rules": [rule()]}, {"If-Match": '"1"'}
    assert (await rewards.client.post("/v1/rules", json=body, headers=had)).status_code == 201
    rewards.clock.now = NOON
    had = {"If-Match": '"3"'}
    assert await rewards.refused("POST", "/v1/rules", json=body, headers=had) == (412, "version_changed")


async def test_a_version_is_rolled_back_to_from_a_time_on(rewards: Rewards) -> None:
    await rewards.guild.publish(rule(amount=1))
    await rewards.guild.publish(rule(amount=9))
    back = {"effective_from": NOON.isoformat(), "note": "the season is over"}
    reply = await rewards.client.post("/v1/rules/versions/2/rollback", json=back)
    assert (reply.status_code, reply.json()["version"]) == (201, 4)
    assert (await rewards.get("/v1/rules"))["version"] == 3
    rewards.clock.now = NOON
    assert (await rewards.get("/v1/rules"))["rules"][0]["give"][0]["amount"] == 1


async def test_who_cancelled_stands_at_the_version_and_it_is_cancelled_once(rewards: Rewards) -> None:
    await schedule(rewards)
    where = "/v1/rules/versions/2/cancel"
    reply = await rewards.client.post(where)
    one = reply.json()
    assert (reply.status_code, one["state"], one["in_force"]) == (200, "cancelled", False)
    assert (one["cancelled_by"].startswith("key:"), one["cancelled_at"]) == (True, "2026-11-23T09:00:00Z")
    rewards.clock.now = NOON
    assert (await rewards.client.post(where)).json() == one, "the same however often, and whenever"
    assert await states(rewards) == [(2, "cancelled", False), (1, "in_force", True)]
    assert (await rewards.get("/v1/rules"))["version"] == 1


async def test_what_cannot_be_cancelled_says_what_to_do(rewards: Rewards) -> None:
    await schedule(rewards)
    rewards.clock.now = NOON
    for version, status, code in ((2, 409, "version_started"), (1, 409, "version_unscheduled")):
        assert await rewards.refused("POST", f"/v1/rules/versions/{version}/cancel") == (status, code)
    for version in (0, 9, 2**40):
        assert await rewards.refused("POST", f"/v1/rules/versions/{version}/cancel") == (404, "rules_unknown")
    reply = await rewards.client.post("/v1/rules/versions/2/cancel")
    assert "roll back by POST /v1/rules/versions/" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"effective_from": MORNING.isoformat()}, "/effective_from", "out_of_range"),
        ({"effective_from": (NOON + timedelta(days=401)).isoformat()}, "/effective_from", "out_of_range"),
        ({"effective_from": "2026-12-01T00:00:00"}, "/effective_from", "timezone_aware"),
        ({"effective_from": "soon"}, "/effective_from", "datetime_from_date_parsing"),
        (
            {"effective_from": NOON.isoformat(), "mode": "recompute", "plan_hash": "x"},
            "/effective_from",
            "mode_invalid",
        ),
        ({"effective_from": NOON.isoformat(), "mode": "backfill"}, "/effective_from", "mode_invalid"),
    ],
)
async def test_a_time_that_cannot_be_is_refused_where_it_stands(
    rewards: Rewards, body: dict[str, str], pointer: str, code: str
) -> None:
    for path, more in (("/v1/rules", {"rules": [rule()]}), ("/v1/rules/versions/1/rollback", {})):
        reply = await rewards.client.post(path, json={**more, **body})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, pointer), reply.text
        assert reply.json()["errors"][0]["code"] == code
    assert await states(rewards) == [(1, "in_force", True)]


async def test_nobody_cancels_or_sees_another_community_s_versions(rewards: Rewards) -> None:
    await schedule(rewards)
    other = await make_guild(rewards.guild.db)
    theirs = await rewards.key("rewards:read", "rewards:write", guild=other)
    assert (await theirs.post("/v1/rules/versions/2/cancel")).status_code == 404
    assert [v["version"] for v in (await theirs.get("/v1/rules/versions")).json()["items"]] == [1]
    reader = await rewards.key("rewards:read")
    assert (await reader.post("/v1/rules/versions/2/cancel")).status_code == 403


async def test_explanations_name_rules_as_they_are_called_now(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule(name="Old"))
    await schedule(rewards, at=NOON)
    body = {"rules": [rule(name="New")], "effective_from": (NOON + timedelta(hours=1)).isoformat()}
    assert (await rewards.client.post("/v1/rules", json=body)).status_code == 201
    message = guild.act()
    await guild.score(message)
    where = f"/v1/members/{guild.member('ann')}/points/explain"
    assert "rule Old gave" in (await rewards.get(where))["items"][0]["text"]
    rewards.clock.now = NOON + timedelta(hours=1)
    assert "rule New gave" in (await rewards.get(where))["items"][0]["text"]
