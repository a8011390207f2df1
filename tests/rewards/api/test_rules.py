"""Rules over HTTP: read, check, publish, go back."""

import asyncio
from typing import Any

from tests.rewards.guild import rule
from tests.rewards.serving import Rewards


async def test_the_rules_in_force_are_shown_with_their_version(rewards: Rewards) -> None:
    reply = await rewards.client.get("/v1/rules")
    body = reply.json()
    assert (reply.headers["etag"], body["version"], body["actor"]) == ('"1"', 1, "guildhall")
    assert body["rules"] == (await rewards.get("/v1/rules/starter"))["rules"]
    assert {r["id"] for r in body["rules"]} >= {"check-in", "message", "accepted-answer"}


async def test_a_set_is_published_as_the_next_version_and_holds_for_what_comes(rewards: Rewards) -> None:
    await rewards.guild.score(rewards.guild.act())
    made = await rewards.client.post("/v1/rules", json={"rules": [rule(amount=7)], "note": "more"})
    assert (made.status_code, made.headers["etag"]) == (201, '"2"')
    assert (made.json()["version"], made.json()["note"]) == (2, "more")
    assert made.json()["actor"].startswith("key:")
    await rewards.guild.score(rewards.guild.act())
    assert await rewards.guild.has("ann") == 1 + 7
    versions = await rewards.get("/v1/rules/versions")
    assert [v["version"] for v in versions["items"]] == [2, 1]
    assert (await rewards.get("/v1/rules/versions/1"))["version"] == 1


async def test_a_starter_set_can_be_published_as_it_is(rewards: Rewards) -> None:
    starter = await rewards.get("/v1/rules/starter")
    assert (await rewards.client.post("/v1/rules", json=starter)).status_code == 201


async def test_a_version_published_meanwhile_is_not_written_over(rewards: Rewards) -> None:
    body = {"rules": [rule()]}
    assert (await rewards.client.post("/v1/rules", json=body, headers={"If-Match": '"1"'})).status_code == 201
    assert await rewards.refused("POST", "/v1/rules", json=body, headers={"If-Match": '"1"'}) == (
        412,
        "version_changed",
    )


async def test_the_same_idempotency_key_publishes_once(rewards: Rewards) -> None:
    same = {"json": {"rules": [rule()]}, "headers": {"Idempotency-Key": "k"}}
    replies = await asyncio.gather(*(rewards.client.post("/v1/rules", **same) for _ in range(4)))
    assert {r.status_code for r in replies} <= {201, 409}
    assert (await rewards.get("/v1/rules"))["version"] == 2


async def test_what_is_wrong_is_told_with_pointer_code_line_and_hint(rewards: Rewards) -> None:
    bad = [rule(when="evnt.type == 'x'"), rule("talk", amount=0), rule("x", caps=[{"limit": 1, "pr": "day"}])]
    reply = await rewards.client.post("/v1/rules", json={"rules": bad[:2]})
    assert (reply.status_code, reply.json()["code"]) == (422, "rules_invalid")
    errors = {e["pointer"]: e for e in reply.json()["errors"]}
    assert set(errors) == {"/rules/0/when", "/rules/1/id", "/rules/1/give/0/amount"}
    assert errors["/rules/0/when"]["message"].startswith("line 1, column 1: there is no evnt.type; did you mean")
    checked = (await rewards.client.post("/v1/rules/check", json={"rules": bad[2:]})).json()
    assert (checked["ok"], [e["code"] for e in checked["errors"]]) == (False, ["field_unknown"])
    fine = (await rewards.client.post("/v1/rules/check", json={"rules": [rule()]})).json()
    assert fine == {"ok": True, "errors": []}
    assert (await rewards.get("/v1/rules"))["version"] == 1


async def test_versions_are_paged_newest_first(rewards: Rewards) -> None:
    for amount in range(1, 5):
        await rewards.client.post("/v1/rules", json={"rules": [rule(amount=amount)]})
    seen: list[int] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = await rewards.get("/v1/rules/versions", **params)
        seen += [v["version"] for v in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == [5, 4, 3, 2, 1]


async def test_what_is_not_there_or_not_text_is_refused_and_never_an_error_of_ours(rewards: Rewards) -> None:
    for version in (99, 0, -1, 2**40):
        assert await rewards.refused("GET", f"/v1/rules/versions/{version}") == (404, "rules_unknown")
    for cursor in ("WzFd", "WyJuIiw5OTk5OTk5OTk5OTk5OTk5OTk5OTldXQ", "WyJuIix0cnVlXQ", "bm9uc2Vuc2U"):
        status, code = await rewards.refused("GET", "/v1/rules/versions", params={"cursor": cursor})
        assert (status, code) == (400, "cursor_invalid")
    far = await rewards.client.get("/v1/rules/versions", params={"cursor": "WyJuIiw5MDAwMDAwMDAwMDAwMDAwMDAwXQ"})
    assert far.status_code == 200
    status, _ = await rewards.refused("POST", "/v1/rules", json={"rules": [], "note": "\0"})
    assert status == 422
    status, _ = await rewards.refused("POST", "/v1/rules", json={"rules": [rule(on="\0")]})
    assert status == 422


async def test_the_schema_describes_a_set(rewards: Rewards) -> None:
    schema = await rewards.get("/v1/rules/schema")
    assert "$ref" in schema or "properties" in schema


async def test_reading_rules_takes_a_scope_and_writing_them_another(rewards: Rewards) -> None:
    reader = await rewards.key("rewards:read")
    assert (await reader.get("/v1/rules")).status_code == 200
    assert (await reader.post("/v1/rules", json={"rules": []})).status_code == 403
    stranger = await rewards.key("events:write")
    assert (await stranger.get("/v1/rules")).status_code == 403
    member = await rewards.member("ann")
    assert (await member.get("/v1/rules")).status_code == 403
