"""When an activity counts: claimed, received and effective time; late, clamped, refused, history (E13, K41)."""

import pytest

from services.events.domain import RESERVED
from tests.events.support import Events, at, event

# The door does not touch the database, so one engine tells as much as two.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

NOW = "2026-11-23T09:00:00Z"


async def one(events: Events, time: str | None, **headers: str) -> dict[str, object]:
    sent = event(time=time) if time else event()
    await events.place.post(sent, headers=headers)
    await events.settle()
    return await events.place.get("/v1/events/by-key", source="/bots/one", id=sent["id"])  # type: ignore[no-any-return]


TAKEN = [
    # claimed, occurred, effective, flags
    (None, NOW, NOW, []),
    (NOW, NOW, NOW, []),
    ("2026-11-23T17:00:00+08:00", NOW, NOW, []),
    ("2026-11-23T09:05:00Z", "2026-11-23T09:05:00Z", NOW, []),
    ("2026-11-23T09:05:01Z", "2026-11-23T09:05:01Z", NOW, ["clamped"]),
    ("2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z", NOW, ["clamped"]),
    ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z", []),
    ("2026-11-21T08:59:59Z", "2026-11-21T08:59:59Z", "2026-11-21T08:59:59Z", ["late"]),
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", ["late"]),
    ("2026-11-23T08:59:59.123456Z", "2026-11-23T08:59:59.123456Z", "2026-11-23T08:59:59.123456Z", []),
]


async def test_the_three_times_of_an_activity(events: Events) -> None:
    for time, occurred, effective, flags in TAKEN:
        stored = await one(events, time)
        found = (stored["occurred_at"], stored["received_at"], stored["effective_at"], stored["flags"])
        assert found == (occurred, NOW, effective, flags), time


REFUSED = [
    ("2026-11-24T09:00:01Z", "time_in_future"),
    ("9999-12-31T23:59:59-23:59", "time_in_future"),
    ("1969-12-31T23:59:59Z", "time_too_old"),
    ("0001-01-01T00:00:00+23:59", "time_too_old"),
    ("2026-11-23T09:00:00", "schema_violation"),
    ("2026-11-23", "schema_violation"),
    ("2026-02-30T00:00:00Z", "schema_violation"),
    ("23:59", "schema_violation"),
    ("yesterday", "schema_violation"),
    ("", "schema_violation"),
    (1763888400, "schema_violation"),
]


async def test_a_time_that_cannot_be_is_refused(events: Events) -> None:
    results = (await events.place.post(*(event(time=time) for time, _ in REFUSED)))["results"]
    assert [(r["error"]["code"], r["error"]["pointer"]) for r in results] == [(code, "/time") for _, code in REFUSED]


async def test_history_is_taken_at_its_own_time_however_old(events: Events) -> None:
    stored = await one(events, "2011-05-01T12:00:00Z", **{"Guildhall-Import": "old-forum"})
    assert (stored["effective_at"], stored["flags"], stored["import_name"]) == ("2011-05-01T12:00:00Z", [], "old-forum")


async def test_history_does_not_come_from_the_future(events: Events) -> None:
    stored = await one(events, at(events.clock, hours=1), **{"Guildhall-Import": "old-forum"})
    assert (stored["effective_at"], stored["flags"]) == (NOW, ["clamped"])


async def test_what_only_the_server_may_say_is_refused_from_a_client_whatever_it_says(events: Events) -> None:
    said = [(name, value) for name in RESERVED for value in ("2020-01-01T00:00:00Z", False, None, 0, {})]
    results = (await events.place.post(*(event(**{name: value}) for name, value in said)))["results"]
    assert len(RESERVED) == 13
    assert {r["error"]["code"] for r in results} == {"attribute_reserved"}
    assert [r["error"]["pointer"] for r in results] == [f"/{name}" for name, _ in said]


async def test_a_name_only_the_server_may_use_is_seen_through_its_escapes(events: Events) -> None:
    body = (
        b'{"specversion":"1.0","id":"x","source":"/s","type":"poke","\\u0063ommunityid":'
        b'"00000000-0000-0000-0000-000000000001"}'
    )
    headers = {"Content-Type": "application/cloudevents+json"}
    reply = await events.place.client.post("/v1/events", content=body, headers=headers)
    assert reply.json()["results"][0]["error"]["code"] == "attribute_reserved"
