"""One activity through the whole platform: posted, stored, scored, told, and told again by the live tail (E4, E15)."""

import asyncio
from datetime import date, timedelta
from typing import Any

import msgspec

from kit.contracts import activity_event_id, identity_member_id
from tests.support.platform import App

STRUCTURED = "application/cloudevents+json"
CHECK_IN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "first",
    "source": "/bots/one",
    "type": "checkin.submitted",
    "data": {"actor": "qq:1", "group": "qq:100"},
}


async def post(app: App, event: dict[str, Any]) -> None:
    reply = await app.client.post("/v1/events", json=event, headers={"Content-Type": STRUCTURED})
    assert reply.json().get("accepted") == 1, reply.text


async def test_a_check_in_can_be_followed_from_the_door_to_the_message(platform: App) -> None:
    await post(platform, CHECK_IN)
    await post(platform, CHECK_IN)
    await platform.settle()
    id = activity_event_id(platform.community, "/bots/one", "first")
    member = str(identity_member_id(platform.community, "qq:1"))
    trace = (await platform.client.get(f"/v1/events/{id}/trace")).json()
    assert (trace["stored"]["actor_id"], trace["stored"]["problem"]) == (member, None)
    assert [(d["unit"], d["verdict"], d["amount"]) for d in sorted(trace["decisions"], key=lambda d: d["unit"])] == [
        ("points", "granted", 10),
        ("xp", "granted", 10),
    ]
    assert {d["member_id"] for d in trace["decisions"]} == {member}
    for entry in trace["entries"]:
        posted = await platform.client.get(f"/v1/entries/{entry['transaction_id']}")
        assert (posted.status_code, posted.json()["source_event_id"]) == (200, str(id)), posted.text
    assert {m["member_id"] for m in trace["messages"]} == {member}
    assert sorted(m["template"] for m in trace["messages"]) == ["board.first", "points.granted"]


async def test_the_trace_tells_levels_boards_and_what_was_taken_back_too(platform: App) -> None:
    give = [{"to": "actor", "unit": "xp", "amount": 120}]
    rules = [{"id": "big", "on": ["checkin.submitted"], "give": give, "notify": True}]
    assert (await platform.client.post("/v1/rules", json={"rules": rules, "note": "big"})).status_code == 201
    await post(platform, CHECK_IN)
    await platform.settle()
    url = f"/v1/events/{activity_event_id(platform.community, '/bots/one', 'first')}/trace"
    trace = (await platform.client.get(url)).json()
    assert [level["level"] for level in trace["levels"]] == [2]
    assert [(board["board_id"], board["period_kind"]) for board in trace["boards"]] == [("xp", "week")]
    (entry,) = trace["entries"]
    reversal = await platform.client.post(f"/v1/entries/{entry['transaction_id']}/reversals", json={"reason": "a test"})
    assert reversal.status_code == 201, reversal.text
    await platform.settle()
    trace = (await platform.client.get(url)).json()
    assert [(e["amount"], e.get("rule_id", e["reason"])) for e in trace["entries"]] == [(120, "big"), (-120, "a test")]
    told = ["board.first", "level.reached", "points.adjusted", "points.granted"]
    assert sorted(m["template"] for m in trace["messages"]) == told
    kinds = [step["kind"] for step in trace["steps"]]
    assert sorted(kinds) == ["adjusted", "board", "level", *["message"] * 4, "scored"]
    assert kinds[0] != "message", "what is told of comes before the telling"


async def test_the_live_tail_tells_the_activity_and_then_what_it_was_worth(platform: App) -> None:
    async def frames(count: int, after: str = "") -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        headers = {"Last-Event-ID": after} if after else {}
        async with platform.client.stream("GET", "/v1/events/stream", headers=headers) as reply:
            opened.set()
            fields: dict[str, str] = {}
            async for line in reply.aiter_lines():
                name, _, value = line.partition(": ")
                fields[name] = value
                if line == "" and "data" in fields:
                    found.append((fields["id"], fields["event"], msgspec.json.decode(fields["data"])))
                    fields = {}
                if len(found) == count:
                    break
        return found

    opened = asyncio.Event()
    watching = asyncio.create_task(frames(2))
    await opened.wait()
    await post(platform, CHECK_IN)
    live = await asyncio.wait_for(watching, 60)
    assert sorted(kind for _, kind, _ in live) == ["activity", "scored"]
    assert all(data["event_id"] == live[0][2]["event_id"] for _, _, data in live)
    await post(platform, {**CHECK_IN, "id": "second", "type": "message.created"})
    await platform.settle()
    resumed = await asyncio.wait_for(frames(2, live[-1][0]), 60)
    second = str(activity_event_id(platform.community, "/bots/one", "second"))
    assert [data["event_id"] for _, _, data in resumed] == [second, second]


async def test_trying_a_connection_pays_nobody_whatever_the_rules_say(app: App) -> None:
    give = [{"to": to, "unit": "xp", "amount": 1} for to in ("actor", "subject_author")]
    rules = [{"id": "tried", "on": ["connection.test"], "give": give, "notify": True}]
    assert (await app.client.post("/v1/rules", json={"rules": rules, "note": "tries"})).status_code == 201
    made = (await app.client.post("/v1/connections", json={"platform": "telegram", "name": "hall"})).json()
    reply = await app.client.post(f"/v1/connections/{made['id']}/test")
    assert reply.status_code == 202, reply.text
    await app.settle()
    trace = (await app.client.get(reply.headers["location"])).json()
    assert trace["stored"]["connection_id"] == made["id"]
    assert (trace["entries"], trace["messages"]) == ([], [])
    assert all(decision["verdict"] != "granted" for decision in trace["decisions"])
    assert (await app.client.get("/v1/members")).json()["items"] == []


async def test_a_code_word_said_at_the_door_and_a_friends_word_make_a_check_in_count(app: App) -> None:
    series = "/v1/checkins/daily"
    asked = {"proof": [{"kind": "code_word"}], "approval": {"by": "peers"}}
    assert (await app.client.patch(series, json=asked)).status_code == 200
    await app.settle()
    told = (await app.client.get(f"{series}/code-word")).json()
    # Of tomorrow as well: it may be that by the time it arrives.
    tomorrow = (date.fromisoformat(told["day"]) + timedelta(days=1)).isoformat()
    after = (await app.client.get(f"{series}/code-word", params={"day": tomorrow})).json()
    text = f"Five pages. {told['word'].upper()}, or {after['word']}"
    await post(app, {**CHECK_IN, "id": "without"})
    await post(app, {**CHECK_IN, "id": "with", "data": {**CHECK_IN["data"], "text": text}})
    await app.settle()
    ids = {name: str(activity_event_id(app.community, "/bots/one", name)) for name in ("without", "with")}
    tried = (await app.client.get(f"{series}/attempts")).json()["items"]
    assert {(one["event_id"], one["state"], tuple(one["missing"])) for one in tried} == {
        (ids["without"], "refused", ("code_word_missing",)), (ids["with"], "pending", ()),
    }  # fmt: skip
    friend = {"actor": "qq:2", "author": "qq:1", "group": "qq:100"}
    await post(app, {**CHECK_IN, "id": "yes", "type": "checkin.confirmed", "subject": "with", "data": friend})
    await app.settle()
    trace = (await app.client.get(f"/v1/events/{ids['with']}/trace")).json()
    assert [(d["verdict"], d["amount"]) for d in trace["decisions"]] == [("granted", 10)] * 2
    assert trace["stored"]["problem"] is None
    assert told["word"] not in str(trace).casefold()
    member = identity_member_id(app.community, "qq:1")
    assert (await app.client.get(f"{series}/members/{member}")).json()["current"] == 1
