"""`/v1/rules/simulations`, publishing by a plan's hash, differences, rolling back."""

from typing import Any

import pytest

from services.rewards.handlers.plans import running
from tests.rewards.guild import rule
from tests.rewards.plans.support import Plans, plans_of
from tests.rewards.serving import Rewards
from tests.rewards.undoing.support import minute


@pytest.fixture
def plans(rewards: Rewards, tmp_path: Any) -> Plans:
    return plans_of(rewards.guild, tmp_path / "work")


def rules(*some: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"rules": list(some), **more}


async def ready(rewards: Rewards, plans: Plans, body: dict[str, Any]) -> Any:
    reply = await rewards.client.post("/v1/rules/simulations", json=body)
    assert reply.status_code == 202, reply.text
    assert reply.headers["location"] == f"/v1/rules/simulations/{reply.json()['id']}"
    await plans.work(reply.json()["id"])
    return await rewards.get(f"/v1/rules/simulations/{reply.json()['id']}")


async def test_what_it_would_cost_is_known_before_and_is_what_is_posted(rewards: Rewards, plans: Plans) -> None:
    guild = rewards.guild
    await guild.publish(rule(amount=30))
    await guild.score(*(guild.act(by=name, at=minute(n)) for n, name in enumerate(["ann"] * 4 + ["bob"])))
    plan = await ready(rewards, plans, rules(rule(amount=10), rule("new", amount=1)))
    assert plan["state"] == "ready"
    result = plan["result"]
    (unit,) = result["units"]
    winners, losers = unit.pop("winners"), unit.pop("losers")
    gini = unit.pop("gini")
    assert unit == {
        "unit": "xp", "was": 150, "now": 55, "grants": 10, "a_day": 55.0, "added": 5, "taken": 100, "spared": 0,
    }  # fmt: skip
    assert winners == []
    assert losers == [
        {"member_id": str(guild.member("ann")), "was": 120, "now": 44},
        {"member_id": str(guild.member("bob")), "was": 30, "now": 11},
    ]
    assert gini == {"before": 0.3, "after": 0.3}
    assert result["members_affected"] == 2
    assert result["levels"] == {
        "unit": "xp", "up": 0, "down": 1, "some": [{"member_id": str(guild.member("ann")), "was": 2, "now": 1}],
    }  # fmt: skip
    assert result["boards"] == [{"board_id": "xp", "unit": "xp", "periods": 4}]
    assert [(r["rule_id"], r["was"], r["now"], r["grants"]) for r in result["rules"]] == [
        ("new", 0, 5, 5),
        ("talk", 150, 50, 5),
    ]
    assert [(d["day"], d["was"], d["now"]) for d in result["days"]] == [("2026-11-23", 150, 55)]
    assert await guild.has("ann") == 120, "nothing is posted by looking"
    body = rules(rule(amount=10), rule("new", amount=1), mode="recompute", plan_hash=plan["plan_hash"])
    reply = await rewards.client.post("/v1/rules", json=body)
    assert (reply.status_code, reply.json()["state"], reply.json()["version"]) == (202, "posting", 3)
    assert (await rewards.get("/v1/rules"))["version"] == 2, "not before everything is posted"
    await plans.work(plan["id"])
    over = await rewards.get(f"/v1/rules/simulations/{plan['id']}")
    assert (over["state"], over["posted"]) == ("done", result["postings"])
    assert (await rewards.get("/v1/rules"))["version"] == 3
    entries = (await rewards.get(f"/v1/accounts/{guild.member('bob')}/entries"))["items"]
    assert sorted((e["amount"], e["recompute_id"]) for e in entries if e["recompute_id"]) == [
        (-20, plan["id"]),
        (1, plan["id"]),
    ]
    said = await rewards.get(f"/v1/members/{guild.member('bob')}/points/explain")
    assert said["items"][0]["text"] == (
        "message.created at 2026-11-23 08:04: rule new recomputed under version 3 of the rules: +1 xp; "
        "rule talk gave 30 xp; rule talk recomputed under version 3 of the rules: -20 xp"
    )
    assert said["items"][0]["amounts"] == {"xp": 11}


async def test_a_stale_plan_is_refused(rewards: Rewards, plans: Plans) -> None:
    guild, some = rewards.guild, rules(rule(amount=10))
    await guild.publish(rule())
    await guild.score(guild.act())
    plan = await ready(rewards, plans, some)
    publish = {**some, "mode": "recompute", "plan_hash": plan["plan_hash"]}
    await guild.score(guild.act(import_name="old"))
    reply = await rewards.client.post("/v1/rules", json=publish)
    assert (reply.status_code, reply.json()["code"]) == (409, "plan_stale")
    assert reply.json()["detail"] == (
        "the plan is stale: 1 activities of the past were imported or sent again; simulate again"
    )
    plan = await ready(rewards, plans, some)
    await guild.publish(rule(amount=3))
    publish["plan_hash"] = plan["plan_hash"]
    assert await rewards.refused("POST", "/v1/rules", json=publish) == (409, "plan_stale")


async def test_publishing_over_the_past_asks_for_the_plan_of_these_rules(rewards: Rewards, plans: Plans) -> None:
    guild, some = rewards.guild, rules(rule(amount=10))
    await guild.publish(rule())
    await guild.score(guild.act())
    assert await rewards.refused("POST", "/v1/rules", json={**some, "mode": "backfill"}) == (422, "plan_missing")
    plan = await ready(rewards, plans, some)
    hashed = {"mode": "recompute", "plan_hash": plan["plan_hash"]}
    assert await rewards.refused("POST", "/v1/rules", json={**rules(rule()), **hashed}) == (409, "plan_unknown")
    other_mode = {**some, **hashed, "mode": "backfill"}
    assert await rewards.refused("POST", "/v1/rules", json=other_mode) == (409, "plan_unknown")
    assert (await rewards.client.post("/v1/rules", json={**some, **hashed})).status_code == 202
    assert await rewards.refused("POST", "/v1/rules", json={**some, **hashed}) == (409, "plan_over")
    assert await rewards.refused("POST", "/v1/rules", json=some) == (409, "simulation_open")
    assert await rewards.refused("POST", "/v1/rules/simulations", json=some) == (409, "simulation_open")


async def test_one_that_is_cancelled_leaves_what_it_posted_and_the_old_rules(
    rewards: Rewards, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CARRY", 0)
    guild, some = rewards.guild, rules(rule(amount=10))
    await guild.publish(rule())
    await guild.score(guild.act())
    plan = await ready(rewards, plans, some)
    await rewards.client.post("/v1/rules", json={**some, "mode": "recompute", "plan_hash": plan["plan_hash"]})
    await plans.work(plan["id"], steps=1)
    assert await guild.has("ann") == 10
    where = f"/v1/rules/simulations/{plan['id']}"
    reply = await rewards.client.post(f"{where}/cancel")
    assert (reply.status_code, reply.json()["state"], reply.json()["posted"]["entries"]) == (200, "cancelled", 1)
    monkeypatch.undo()
    await plans.work(plan["id"])
    assert (await rewards.get("/v1/rules"))["version"] == 2
    versions = (await rewards.get("/v1/rules/versions"))["items"]
    assert [(v["version"], v["in_force"]) for v in versions] == [(3, False), (2, True), (1, True)]
    await guild.score(guild.act(at=minute(1)))
    assert await guild.has("ann") == 11
    assert (await rewards.client.post("/v1/rules", json=some)).json()["version"] == 4
    assert await rewards.refused("POST", "/v1/rules/simulations/01939e2c-7000-7000-8000-000000000000/cancel") == (
        404,
        "simulation_unknown",
    )


async def test_what_a_simulation_cannot_be_made_of_is_refused(rewards: Rewards) -> None:
    for body, code in (
        ({}, "rules_missing"),
        ({"version": 1, **rules(rule())}, "rules_missing"),
        ({"version": 1, "days": 3, "since": "2026-01-01T00:00:00Z"}, "times_contradict"),
        ({"version": 1, "since": "2027-01-01T00:00:00Z"}, "times_contradict"),
        (rules({**rule(), "when": "event.typ == 'x'"}), "rules_invalid"),
    ):
        assert await rewards.refused("POST", "/v1/rules/simulations", json=body) == (422, code)
    assert await rewards.refused("POST", "/v1/rules/simulations", json={"version": 9}) == (404, "rules_unknown")
    reader = await rewards.key("rewards:read")
    assert (await reader.post("/v1/rules/simulations", json={"version": 1})).status_code == 403


async def test_another_community_s_simulation_is_not_there(rewards: Rewards, plans: Plans) -> None:
    from tests.rewards.guild import make_guild

    plan = await ready(rewards, plans, {"version": 1})
    other = await rewards.key("rewards:read", "rewards:write", guild=await make_guild(rewards.guild.db))
    assert (await other.get(f"/v1/rules/simulations/{plan['id']}")).status_code == 404
    assert (await other.get("/v1/rules/simulations")).json()["items"] == []
    assert [one["id"] for one in (await rewards.get("/v1/rules/simulations"))["items"]] == [plan["id"]]


async def test_differences_are_told_by_rule_and_field(rewards: Rewards) -> None:
    await rewards.guild.publish(rule(), rule("gone"), unit_caps=[{"unit": "xp", "limit": 10}])
    await rewards.guild.publish(rule(amount=2, cooldown_seconds=60, caps=[{"limit": 5}]), rule("new"))
    items = (await rewards.get("/v1/rules/diff", **{"from": 2, "to": 3}))["items"]
    assert [(one["rule_id"], one["change"]) for one in items] == [
        ("gone", "removed"),
        ("new", "added"),
        ("talk", "changed"),
        (None, "changed"),
    ]
    assert [(f["field"], f["before"], f["after"]) for f in items[2]["fields"] if f["field"] != "caps/0"] == [
        ("give/0/amount", 1, 2),
        ("cooldown_seconds", 0, 60),
    ]
    assert items[2]["text"].startswith("talk: give/0/amount 1 → 2; caps/0 none → scope member, per day, limit 5")
    draft = await rewards.client.post("/v1/rules/diff", json=rules(rule(amount=2)), params={"from": 2})
    assert {one["rule_id"] for one in draft.json()["items"]} == {"gone", "talk", None}
    assert await rewards.refused("GET", "/v1/rules/diff", params={"from": 2, "to": 9}) == (404, "rules_unknown")


async def test_rolling_back_publishes_the_old_rules_as_a_new_version(rewards: Rewards) -> None:
    await rewards.guild.publish(rule(amount=1))
    await rewards.guild.publish(rule(amount=9))
    reply = await rewards.client.post("/v1/rules/versions/2/rollback", json={"note": "as it was"})
    assert (reply.status_code, reply.json()["version"]) == (201, 4)
    assert reply.json()["rules"][0]["give"][0]["amount"] == 1
    assert (await rewards.get("/v1/rules/diff", **{"from": 2, "to": 4}))["items"] == []
    assert await rewards.refused("POST", "/v1/rules/versions/9/rollback", json={}) == (404, "rules_unknown")
