"""History posted as history: who may, what is counted, and the report of what was refused (E18)."""

from typing import Any

import pytest

from tests.events.support import Events, event

HISTORY = {"Guildhall-Import": "old-forum"}


async def report(events: Events, name: str = "old-forum") -> dict[str, Any]:
    await events.settle()
    body: dict[str, Any] = await events.place.get(f"/v1/imports/{name}")
    return body


async def test_an_import_counts_what_was_stored_once_and_tells_every_refusal(events: Events) -> None:
    good = [event(id=f"g{n}") for n in range(5)]
    bad = [event(id="late", time="2030-01-01T00:00:00Z"), {"id": "bare"}, event(id="t", type="guildhall.x")]
    await events.place.post(*good, *bad, headers=HISTORY)
    await events.place.post(*good, headers=HISTORY)
    found = await report(events)
    assert (found["name"], found["stored"], found["rejected"]) == ("old-forum", 5, 3)
    assert found["problems"] == {"attribute_missing": 1, "time_in_future": 1, "type_reserved": 1}
    assert {
        "id": "late",
        "code": "time_in_future",
        "pointer": "/time",
        "message": "more than 24 hours ahead of our clock; check the sender's",
        "at": "2026-11-23T09:00:00Z",
    } in found["examples"]
    assert {e["id"] for e in found["examples"]} == {"late", "bare", "t"}
    assert {e["import_name"] for e in await events.place.timeline()} == {"old-forum"}


async def test_an_import_in_which_everything_was_refused_is_still_told(events: Events) -> None:
    await events.place.post({"id": "x"}, headers=HISTORY)
    found = await report(events)
    assert (found["stored"], found["rejected"]) == (0, 1)


@pytest.mark.parametrize("id", ["a\x00b", "x" * 5000, "", 7])
async def test_an_item_refused_for_its_very_id_does_not_spoil_the_report(events: Events, id: object) -> None:
    await events.place.post(event(id=id), event(id="fine"), headers=HISTORY)
    found = await report(events)
    assert (found["stored"], found["rejected"]) == (1, 1)
    assert await events.rows("dead_letters") == []


async def test_without_an_import_refusals_are_told_to_the_sender_only(events: Events) -> None:
    await events.place.post({"id": "x"})
    await events.settle()
    assert (await events.place.get("/v1/imports"))["items"] == []


async def test_imports_are_listed_by_name_page_by_page(events: Events) -> None:
    for name in ("c", "a", "b"):
        await events.place.post(event(), headers={"Guildhall-Import": name})
    await events.settle()
    first = await events.place.get("/v1/imports", limit=2)
    second = await events.place.get("/v1/imports", limit=2, cursor=first["next"])
    assert [i["name"] for i in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None


async def test_posting_history_needs_its_own_scope(events: Events) -> None:
    bot = await events.new_key(events.place.id, "events:write")
    headers = {"Content-Type": "application/cloudevents+json", **HISTORY}
    reply = await bot.client.post("/v1/events", json=event(), headers=headers)
    assert (reply.status_code, reply.json()["code"], reply.json()["scope"]) == (403, "scope_missing", "events:import")


async def test_an_import_has_a_plain_name(events: Events) -> None:
    for name in ("", "Upper", "-x", "x" * 65, "a b", "a/b", '"', "é"):
        headers = {"Content-Type": "application/cloudevents+json", "Guildhall-Import": name.encode()}
        reply = await events.place.client.post("/v1/events", json=event(), headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (400, "import_name_invalid"), name


async def test_an_import_is_seen_by_its_community_only(events: Events) -> None:
    other = await events.new_place()
    await events.place.post(event(), {"id": "bad"}, headers=HISTORY)
    await events.settle()
    assert (await other.get("/v1/imports"))["items"] == []
    reply = await other.client.get("/v1/imports/old-forum")
    assert (reply.status_code, reply.json()["code"]) == (404, "import_unknown")


async def test_people_first_seen_in_history_are_announced_as_history(events: Events) -> None:
    await events.place.post(event(data={"actor": "qq:old"}, time="2012-01-01T00:00:00Z"), headers=HISTORY)
    await events.place.post(event(data={"actor": "qq:new"}))
    await events.settle()
    found = {o.identity: (o.history, o.first_seen_at.year) for o in await events.observed()}
    assert found == {"qq:old": (True, 2012), "qq:new": (False, 2026)}
