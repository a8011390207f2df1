"""Badges over HTTP: definitions, members' badges, an operator's word."""

from datetime import timedelta
from typing import Any

import pytest

from tests.rewards.guild import MORNING, make_guild
from tests.rewards.serving import Rewards

TALK: dict[str, Any] = {"kind": "events", "on": ["message.created"], "least": 3}
HELPER: dict[str, Any] = {"id": "talker", "name": "Talker", "criterion": TALK}
BEST: dict[str, Any] = {"kind": "percentile", "board": "xp", "period": "month", "percent": 10}
CURRENT = {"kind": "streak", "series": "daily", "measure": "current", "least": 3}


async def make(rewards: Rewards, **fields: Any) -> Any:
    reply = await rewards.client.post("/v1/badges", json={**HELPER, **fields})
    assert reply.status_code == 201, reply.text
    return reply


async def of_ann(rewards: Rewards, id: str = "talker") -> Any:
    found = await rewards.get(f"/v1/badges/members/{rewards.guild.member('ann')}")
    return next(item for item in found["items"] if item["badge_id"] == id)


async def test_a_badge_is_made_read_and_changed_under_its_version(rewards: Rewards) -> None:
    made = await make(rewards)
    assert made.headers["etag"] == '"1"'
    assert made.json()["criterion"] == {**HELPER["criterion"], "when": None, "whose": "actor", "count": "events"}
    url = "/v1/badges/talker"
    wrong = await rewards.client.patch(url, json={"name": "T"}, headers={"If-Match": '"7"'})
    assert (wrong.status_code, wrong.json()["code"]) == (412, "version_changed")
    right = await rewards.client.patch(url, json={"name": "Speaker", "silent": True}, headers={"If-Match": '"1"'})
    assert (right.status_code, right.json()["version"], right.json()["name"]) == (200, 2, "Speaker")
    same = await rewards.client.patch(url, json={"name": "Speaker"})
    assert same.json()["version"] == 2
    assert (await rewards.get(url))["silent"] is True
    assert "talker" in [item["id"] for item in (await rewards.get("/v1/badges"))["items"]]


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"criterion": {**TALK, "when": "event.typ"}}, "/criterion/when", "expression_invalid"),
        ({"criterion": {"kind": "streak", "series": "nothing", "least": 3}}, "/criterion/series", "checkin_unknown"),
        ({"criterion": {"kind": "programme", "series": "daily"}}, "/criterion/series", "no_programme"),
        ({"criterion": {"kind": "balance", "unit": "gold", "least": 3}}, "/criterion/unit", "unit_unknown"),
        ({"criterion": {**BEST, "board": "nothing"}}, "/criterion/board", "board_unknown"),
        ({"criterion": {**BEST, "period": "season"}}, "/criterion/period", "period_not_kept"),
        ({"criterion": BEST, "kind": "auto_revoke"}, "/kind", "not_revocable"),
        ({"kind": "expiring"}, "/expires_after_days", "expiring_only"),
        ({"expires_after_days": 5}, "/expires_after_days", "expiring_only"),
        (
            {"kind": "auto_revoke", "criterion": CURRENT},
            "/criterion/measure",
            "not_revocable",
        ),
        ({"id": "members"}, "/id", "reserved"),
    ],
)
async def test_a_badge_that_cannot_be_used_is_refused_with_where_and_why(
    rewards: Rewards, fields: dict[str, Any], pointer: str, code: str
) -> None:
    reply = await rewards.client.post("/v1/badges", json={**HELPER, **fields})
    assert (reply.status_code, reply.json()["code"]) == (422, "badge_invalid"), reply.text
    assert [(e["pointer"], e["code"]) for e in reply.json()["errors"]] == [(pointer, code)]


async def test_what_is_there_already_or_for_ever_is_a_conflict(rewards: Rewards) -> None:
    await make(rewards)
    assert await rewards.refused("POST", "/v1/badges", json=HELPER) == (409, "badge_exists")
    assert await rewards.refused("GET", "/v1/badges/nothing") == (404, "badge_unknown")
    fixed = await rewards.client.patch("/v1/badges/talker", json={"kind": "auto_revoke"})
    assert fixed.status_code == 422


async def test_a_member_reads_how_far_each_badge_is_and_nobody_elses(rewards: Rewards) -> None:
    await make(rewards)
    guild = rewards.guild
    await guild.score(guild.act(), guild.act())
    one = await of_ann(rewards)
    assert (one["held"], one["number"], one["progress"]) == (False, 0, {"has": 2, "of": 3})
    last = guild.act(at=MORNING + timedelta(minutes=5))
    await guild.score(last)
    one = await of_ann(rewards)
    assert (one["held"], one["granted_at"], one["event_id"]) == (True, "2026-11-23T08:05:00Z", str(last.event_id))
    assert one["progress"] == {"has": 3, "of": 3}
    ann = await rewards.member("ann")
    assert (await ann.get(f"/v1/badges/members/{guild.member('ann')}")).status_code == 200
    other = await ann.get(f"/v1/badges/members/{guild.member('bob')}")
    assert (other.status_code, other.json()["code"]) == (403, "not_yours")


async def test_progress_of_streaks_levels_and_balances_is_what_they_are_now(rewards: Rewards) -> None:
    await make(rewards, id="level-10", criterion={"kind": "level", "least": 10})
    await make(rewards, id="saver", criterion={"kind": "balance", "unit": "points", "least": 1000})
    guild = rewards.guild
    await guild.score(guild.act("checkin.submitted"), guild.act("checkin.submitted", at=MORNING - timedelta(days=1)))
    assert (await of_ann(rewards, "week"))["progress"] == {"has": 2, "of": 7}
    assert (await of_ann(rewards, "level-10"))["progress"] == {"has": 1, "of": 10}
    assert (await of_ann(rewards, "saver"))["progress"]["has"] == await guild.has("ann", "points") > 0


async def test_a_badge_for_the_best_of_a_board_reads_as_it_was_written(rewards: Rewards) -> None:
    made = await make(rewards, criterion=BEST)
    assert made.json()["criterion"] == BEST
    await rewards.guild.know("ann")
    assert (await of_ann(rewards))["progress"] == {"has": 0, "of": 1}
    for wrong in ({"percent": 0}, {"percent": 101}, {"period": "all"}):
        reply = await rewards.client.post("/v1/badges", json={**HELPER, "id": "b", "criterion": {**BEST, **wrong}})
        assert reply.status_code == 422


async def test_an_operator_grants_and_takes_with_a_reason(rewards: Rewards) -> None:
    await make(rewards, criterion={"kind": "hand"})
    guild = rewards.guild
    await guild.know("ann")
    url = f"/v1/badges/talker/members/{guild.member('ann')}"
    assert (await rewards.refused("POST", url, json={}))[0] == 422
    made = await rewards.client.post(url, json={"reason": "Ran the fair", "granted_at": "2026-11-01T10:00:00Z"})
    assert (made.status_code, made.json()["granted_at"], made.json()["number"]) == (201, "2026-11-01T10:00:00Z", 1)
    assert await rewards.refused("POST", url, json={"reason": "again"}) == (409, "badge_held")
    assert (await of_ann(rewards))["reason"] == "Ran the fair"
    (holder,) = (await rewards.get("/v1/badges/talker/members"))["items"]
    assert holder["member_id"] == str(guild.member("ann"))
    gone = await rewards.client.post(f"{url}/revocation", json={"reason": "A mistake"})
    assert gone.status_code == 200
    assert await rewards.refused("POST", f"{url}/revocation", json={"reason": "again"}) == (409, "badge_not_held")
    one = await of_ann(rewards)
    assert (one["held"], one["ended_why"], one["progress"]) == (False, "by_hand", {"has": 0, "of": 1})
    assert (await rewards.get("/v1/badges/talker/members"))["items"] == []
    await rewards.client.patch("/v1/badges/talker", json={"enabled": False})
    assert await rewards.refused("POST", url, json={"reason": "once more"}) == (409, "badge_disabled")
    future = {"reason": "too early", "granted_at": "2030-01-01T00:00:00Z"}
    await rewards.client.patch("/v1/badges/talker", json={"enabled": True})
    assert await rewards.refused("POST", url, json=future) == (422, "granted_at_in_future")


async def test_holders_come_in_pages(rewards: Rewards) -> None:
    await make(rewards, criterion={"kind": "events", "on": ["message.created"], "least": 1})
    guild = rewards.guild
    await guild.score(*[guild.act(by=f"p{n}") for n in range(7)])
    seen: list[str] = []
    more: dict[str, Any] = {"limit": 3}
    while more:
        page = await rewards.get("/v1/badges/talker/members", **more)
        seen += [item["member_id"] for item in page["items"]]
        more = {"limit": 3, "cursor": page["next"]} if page["next"] else {}
    assert seen == sorted(str(guild.member(f"p{n}")) for n in range(7))


async def test_an_expired_badge_reads_as_over_before_anybody_noted_it(rewards: Rewards) -> None:
    body = {"kind": "expiring", "expires_after_days": 2, "criterion": {**HELPER["criterion"], "least": 1}}
    await make(rewards, **body)
    await rewards.guild.score(rewards.guild.act())
    rewards.clock.advance(timedelta(days=3))
    one = await of_ann(rewards)
    assert (one["held"], one["ended_why"], one["ended_at"]) == (False, "expired", "2026-11-25T08:00:00Z")
    assert (await rewards.get("/v1/badges/talker/members"))["items"] == []


async def test_badges_of_another_community_are_not_there(rewards: Rewards) -> None:
    await make(rewards)
    other = await rewards.key("rewards:read", "rewards:write", guild=await make_guild(rewards.guild.db))
    assert (await other.get("/v1/badges/talker")).status_code == 404
    reader = await rewards.key("rewards:read")
    assert (await reader.post("/v1/badges", json=HELPER)).status_code == 403
