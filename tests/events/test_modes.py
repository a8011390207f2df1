"""What becomes of data that does not fit its type (E8): noted, told to the sender, or refused."""

from datetime import timedelta
from time import monotonic
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from services.events import wire
from services.events.handlers import door
from tests.events.support import Events, Place, event

PAGES = {"type": "object", "properties": {"pages": {"type": "integer"}}, "required": ["pages"]}
WRONG = {"code": "schema_violation", "pointer": "/data/pages", "message": "does not fit `type`"}


async def moded(events: Events, mode: str, type: str = "book.finished", place: Place | None = None) -> None:
    where = (place or events.place).client
    if type == "book.finished":
        body = {"type": type, "json_schema": PAGES, "mode": mode}
        assert (await where.post("/v1/event-types", json=body)).json()["mode"] == mode
    else:
        assert (await where.put(f"/v1/event-types/{type}/mode", json={"mode": mode})).status_code == 200
    events.clock.advance(timedelta(seconds=3))  # what the door knew is old then


def book(**fields: Any) -> dict[str, Any]:
    return event(type="book.finished", **fields)


async def test_a_warning_stands_beside_what_is_accepted(events: Events) -> None:
    await moded(events, "warn")
    answer = await events.place.post(book(id="ok", data={"pages": 1}), book(id="no", data={"pages": "x"}), event())
    assert (answer["accepted"], answer["rejected"]) == (3, 0)
    assert [r.get("warning") for r in answer["results"]] == [None, WRONG, None]
    await events.settle()
    assert {e["id"]: e["problem"] for e in await events.place.timeline(type="book.finished")} == {
        "ok": None,
        "no": "/pages: does not fit `type`",
    }


async def test_what_is_enforced_is_refused_by_itself_or_with_all_others(events: Events) -> None:
    await moded(events, "enforce")
    batch = [book(id="a", data={"pages": 1}), book(id="b", data={"pages": "x"}), book(id="c", data={})]
    answer = await events.place.post(*batch)
    assert [r["status"] for r in answer["results"]] == ["accepted", "rejected", "rejected"]
    assert answer["results"][1]["error"] == WRONG
    assert answer["results"][2]["error"]["message"] == "pages is missing"
    reply = await events.place.client.post(
        "/v1/events?atomic=true", json=batch, headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    assert (reply.status_code, reply.json()["accepted"]) == (422, 0)
    await events.settle()
    assert [e["id"] for e in await events.place.timeline()] == ["a"]


async def test_canonical_types_can_be_enforced_and_a_mode_is_one_community_s(events: Events) -> None:
    other = await events.new_place()
    await moded(events, "enforce", "message.created")
    for place, taken in ((events.place, 0), (other, 1)):
        assert (await place.post(event(data={"length": "long"})))["accepted"] == taken
    await moded(events, "observe", "message.created")
    assert (await events.place.post(event(data={"length": "long"})))["accepted"] == 1


async def test_a_mode_stays_with_the_next_version_and_what_it_says_holds(events: Events) -> None:
    await moded(events, "enforce")
    wider = {"properties": {"pages": {"type": ["integer", "string"]}}, "required": ["pages"]}
    published = await events.place.client.post("/v1/event-types", json={"type": "book.finished", "json_schema": wider})
    assert (published.json()["version"], published.json()["mode"]) == (2, "enforce")
    events.clock.advance(timedelta(seconds=3))
    answer = await events.place.post(book(data={"pages": "x"}), book(data={"pages": None}))
    assert [r["status"] for r in answer["results"]] == ["accepted", "rejected"]
    assert (await events.place.get("/v1/event-types/book.finished"))["mode"] == "enforce"
    [listed] = [t for t in (await events.place.get("/v1/event-types", limit=200))["items"] if t["type"][:4] == "book"]
    assert listed["mode"] == "enforce"


async def test_modes_are_of_types_with_a_schema_and_there_are_three(events: Events) -> None:
    for type, mode, status in (("nobody.knows", "warn", 404), ("poke", "guess", 422), ("poke", "warn", 200)):
        reply = await events.place.client.put(f"/v1/event-types/{type}/mode", json={"mode": mode})
        assert reply.status_code == status, reply.text
    reader = await events.new_key(events.place.id, "events:read")
    assert (await reader.client.put("/v1/event-types/poke/mode", json={"mode": "warn"})).status_code == 403


async def test_a_refused_item_of_history_is_in_its_report(events: Events) -> None:
    await moded(events, "enforce")
    await events.place.post(book(id="b", data={"pages": "x"}), headers={"Guildhall-Import": "old"})
    await events.settle()
    assert (await events.place.get("/v1/imports/old"))["problems"] == {"schema_violation": 1}


async def test_what_comes_through_a_connection_is_refused_alike(events: Events) -> None:
    await moded(events, "enforce", "message.created")
    one = events.runtime.services["events"]
    arrival = wire.Arrival(events.place.id, events.clock(), None, "r", 65536)
    results = []
    for length in (1, "long"):
        item = msgspec.json.encode(event(data={"length": length}))
        results.append(await door.one_at_door(one, arrival, item, wire.check(item, arrival)))
    assert [isinstance(result, wire.Accepted) for result in results] == [True, False]


@pytest.mark.parametrize("known", [True, False])
async def test_a_database_that_does_not_tell_in_time_refuses_nothing_it_did_not_know_of(
    events: Events, known: bool
) -> None:
    await moded(events, "enforce")
    if known:
        await events.place.post(book(data={"pages": 1}))
        events.clock.advance(timedelta(seconds=3))
    else:
        # The credential must be known, or nobody is let in.
        await events.place.get("/v1/events")
    async with events.db.begin() as tx:
        if tx.dialect != "postgresql":
            pytest.skip("readers of SQLite wait for nobody")
        await tx.execute(text("LOCK TABLE wishes, type_modes IN ACCESS EXCLUSIVE MODE"))
        began = monotonic()
        answers = [await events.place.post(book(data={"pages": "x"})) for _ in range(5)]
        # Only the first one waits.
        assert monotonic() - began < 3 * door.LOOKUP_SECONDS
    assert {a["accepted"] for a in answers} == {0 if known else 1}
    await events.settle()
    problems = [e["problem"] for e in await events.place.timeline()]
    assert problems == ([None] if known else ["/pages: does not fit `type`"] * 5)
