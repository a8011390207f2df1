"""What the door refuses is kept for a week without what people wrote, looked at, mended, tried again (E17)."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import select

from kit.contracts import ACTIVITY_TOPIC, activity_event_id
from kit.log import LogUnavailable
from services.events import loops
from services.events import tables as t
from services.events.handlers import refusing
from services.events.receivers import receivers
from services.events.receivers.form import Malformed
from tests.events.support import BATCHED, LINES, STRUCTURED, Events, Place, event
from tests.events.test_connections import comment, connected, deliver

SECRET = "my heart is broken 心"


async def rejected(events: Events, place: Place | None = None, **params: Any) -> list[dict[str, Any]]:
    await events.settle()
    items: list[dict[str, Any]] = (await (place or events.place).get("/v1/events/rejected", **params))["items"]
    return items


async def retry(place: Place, id: str, mended: dict[str, Any] | None = None) -> Any:
    return await place.client.post(f"/v1/events/rejected/{id}/retry", json={"event": mended})


async def test_a_refused_item_is_listed_with_its_reason_and_what_may_be_kept(events: Events) -> None:
    bad = event(id="a", type="guildhall.x", data={"text": SECRET})
    await events.place.post(bad, event(id="good"))
    [one] = await rejected(events)
    assert (one["code"], one["pointer"], one["state"], one["form"]) == ("type_reserved", "/type", "rejected", "event")
    assert (one["source_id"], one["attempts"], one["retryable"], one["marked"]) == ("a", 0, True, 0)
    detail = await events.place.get(f"/v1/events/rejected/{one['id']}")
    kept = detail["kept"]["event"]
    assert (kept["type"], kept["data"]["length"]) == ("guildhall.x", len(SECRET))
    assert "text" not in kept["data"]
    assert [a["id"] for a in await events.place.timeline()] == ["good"]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (STRUCTURED, b"{broken " + SECRET.encode(), 400),
        (BATCHED, b"{}", 400),
        (LINES, b'{"broken": "' + SECRET.encode(), 200),
        ("application/json", b"[" + SECRET.encode(), 400),
        ("text/plain", SECRET.encode(), 415),
    ],
)
async def test_of_what_cannot_be_parsed_size_and_hash_are_kept(
    events: Events, content_type: str, body: bytes, status: int
) -> None:
    headers = {"Content-Type": content_type, "ce-specversion": "1.0", "ce-id": "1"}
    reply = await events.place.client.post("/v1/events", content=body, headers=headers)
    assert reply.status_code == status
    [one] = await rejected(events)
    digest = hashlib.sha256(body).hexdigest()
    assert (one["form"], one["size"], one["digest"], one["retryable"]) == ("bytes", len(body), digest, False)
    reply = await retry(events.place, one["id"])
    assert (reply.status_code, reply.json()["code"]) == (422, "rejected_incomplete")
    mended = await retry(events.place, one["id"], event(id="mended"))
    assert (mended.status_code, mended.json()["state"]) == (200, "retried")
    await events.settle()
    assert [a["id"] for a in await events.place.timeline()] == ["mended"]


async def test_nothing_written_is_on_the_log_in_a_table_or_printed(
    events: Events, capfd: pytest.CaptureFixture[str]
) -> None:
    nested = {"id": SECRET, "list": [{SECRET: SECRET}], "type": SECRET}
    bad = [
        event(id=SECRET + "\0", data={"text": SECRET}),
        event(type=SECRET),
        event(subject=[SECRET]),
        {"whatever": nested},
        [SECRET],
        event(data={"actor": SECRET, "nested": nested}),
        {**event(), "data": [nested]},
        {**event(), SECRET: SECRET, "late": SECRET},
        {**event(), "data": None, "data_base64": SECRET},
    ]
    for item in bad:
        await events.place.client.post(
            "/v1/events", content=msgspec.json.encode([item]), headers={"Content-Type": BATCHED}
        )
    assert len(await rejected(events)) == len(bad)
    records = await everything(events)
    for table in events.db.metadata.sorted_tables:
        async with events.db.read() as tx:
            for row in await tx.all(select(table)):
                records += [str(value) for value in row]
    records += capfd.readouterr()
    escaped = json.dumps(SECRET)[1:-1]
    assert [r for r in records if SECRET in r or escaped in r or "my heart" in r] == []


async def everything(events: Events) -> list[str]:
    subscription = await events.log.subscribe(f"test:{uuid4()}", [ACTIVITY_TOPIC])
    try:
        out = []
        while found := await subscription.fetch(1000, 0.05):
            out += [(r.value or b"").decode() for r in found]
        return out
    finally:
        await subscription.close()


async def test_a_retry_goes_through_the_same_door_once_and_the_row_says_what_became_of_it(events: Events) -> None:
    bad = event(id="soon", time=(events.clock() + timedelta(hours=30)).isoformat())
    await events.place.post(bad)
    [one] = await rejected(events)
    again = (await retry(events.place, one["id"])).json()
    assert (again["state"], again["code"], again["attempts"]) == ("rejected", "time_in_future", 1)
    events.clock.advance(timedelta(hours=31))
    done = (await retry(events.place, one["id"])).json()
    assert (done["state"], done["attempts"]) == ("retried", 2)
    assert done["changed_by"].startswith("key:")
    assert done["event_ids"] == [str(activity_event_id(events.place.id, "/bots/one", "soon"))]
    closed = await retry(events.place, one["id"])
    assert (closed.status_code, closed.json()["code"]) == (409, "rejected_closed")
    await events.place.post(bad)
    await events.settle()
    [stored] = await events.place.timeline()
    assert (stored["id"], stored["event_id"]) == ("soon", done["event_ids"][0])
    assert (await events.place.get(f"/v1/events/{stored['event_id']}/trace"))["stored"]["id"] == "soon"


async def test_a_mended_event_counts_as_received_when_it_first_came_and_its_text_is_reduced(events: Events) -> None:
    came = events.clock()
    await events.place.post(event(id="x", type="not a type", data={"text": SECRET}))
    [one] = await rejected(events)
    assert (one["retryable"], one["marked"]) == (False, 1)
    events.clock.advance(timedelta(days=3))
    mended = event(id="x", data={"text": SECRET})
    done = (await retry(events.place, one["id"], mended)).json()
    assert done["state"] == "retried"
    await events.settle()
    [stored] = await events.place.timeline()
    assert (stored["flags"], stored["data"]["length"]) == ([], len(SECRET))
    assert stored["received_at"] == stored["occurred_at"] == came.isoformat().replace("+00:00", "Z")
    assert [r for r in await everything(events) if SECRET in r] == []


async def test_a_mended_event_that_is_refused_again_says_why(events: Events) -> None:
    await events.place.post({"id": "x"})
    [one] = await rejected(events)
    again = (await retry(events.place, one["id"], {**event(), "time": "yesterday"})).json()
    assert (again["state"], again["code"], again["pointer"]) == ("rejected", "schema_violation", "/time")


async def test_an_item_of_an_import_is_retried_as_history_by_who_may_import(events: Events) -> None:
    await events.place.post(
        event(id="x", time="2012-01-01T00:00:00Z", type="guildhall.y"), headers={"Guildhall-Import": "old"}
    )
    [one] = await rejected(events)
    assert one["import_name"] == "old"
    mended = event(id="x", time="2012-01-01T00:00:00Z")
    poster = await events.new_key(events.place.id, "events:write", "events:read")
    reply = await retry(poster, one["id"], mended)
    assert (reply.status_code, reply.json()["scope"]) == (403, "events:import")
    assert (await retry(events.place, one["id"], mended)).json()["state"] == "retried"
    await events.settle()
    [stored] = await events.place.timeline()
    assert (stored["import_name"], stored["flags"]) == ("old", [])


async def test_a_delivery_that_its_receiver_cannot_read_is_translated_after_an_upgrade(events: Events) -> None:
    place = await events.new_place("connections:write", "events:read", "events:write")
    made = await connected(place)
    receiver = receivers()["github"]
    present = receiver.translate

    def older(delivery: Any, settings: Any) -> Any:
        raise Malformed("/comment", "no comment of ours")

    object.__setattr__(receiver, "translate", older)
    try:
        body = comment(501)
        body["comment"]["body"] = SECRET
        assert (await deliver(place, made, body)).status_code == 400
        [one] = await rejected(events, place, connection=made["id"])
        assert (one["form"], one["code"], one["pointer"]) == ("payload", "payload_malformed", "/comment")
        again = (await retry(place, one["id"])).json()
        assert (again["state"], again["attempts"]) == ("rejected", 1)
    finally:
        object.__setattr__(receiver, "translate", present)
    done = (await retry(place, one["id"])).json()
    assert done["state"] == "retried", done
    assert SECRET not in json.dumps(done)
    await deliver(place, made, body)
    await events.settle()
    [stored] = await place.timeline()
    assert (stored["type"], stored["actor"], stored["connection_id"]) == ("message.created", "github:12", made["id"])
    assert stored["data"]["length"] == len(SECRET)
    assert stored["event_id"] == done["event_ids"][0]


async def test_of_a_strangers_delivery_nothing_is_kept(events: Events) -> None:
    place = await events.new_place("connections:write", "events:read", "events:write")
    made = await connected(place)
    assert (await deliver(place, made, comment(1), secret="wrong")).status_code == 401
    content = SECRET.encode()
    key = made["secret"]["secrets"]["secret"].encode()
    headers = {
        "X-GitHub-Event": "issues",
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, content, "sha256").hexdigest(),
    }
    reply = await place.client.post(f"/v1/hooks/{made['id']}", content=content, headers=headers)
    assert reply.status_code == 400
    [one] = await rejected(events, place)
    assert (one["form"], one["size"]) == ("bytes", len(content))


async def test_only_so_many_are_kept_a_day_and_the_rest_is_counted(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = events.runtime.services["events"]
    monkeypatch.setitem(runtime.memory, "rejected-room", refusing.Room(60))
    for _ in range(3):
        await events.place.post(*[{"id": "x"} for _ in range(70)])
    await events.settle()
    kept = await events.place.get("/v1/events/rejected", limit=200)
    assert len(kept["items"]) == 60
    counts = (await events.place.get("/v1/events/rejected/counts"))["days"]
    assert counts == [{"day": "2026-11-23", "code": "attribute_missing", "rejected": 210, "kept": 60}]
    events.clock.advance(timedelta(days=1))
    await events.place.post({"id": "x"})
    assert len(await rejected(events, limit=200)) == 61


async def test_they_are_paged_and_filtered_retried_by_code_and_forgotten(events: Events) -> None:
    for n in range(3):
        events.clock.advance(timedelta(seconds=1))
        await events.place.post(
            {"id": f"m{n}"}, event(id=f"f{n}", time=(events.clock() + timedelta(hours=25)).isoformat())
        )
    await events.settle()
    first = await events.place.get("/v1/events/rejected", limit=2, code="time_in_future")
    second = await events.place.get("/v1/events/rejected", limit=2, code="time_in_future", cursor=first["next"])
    assert [i["source_id"] for i in first["items"] + second["items"]] == ["f2", "f1", "f0"]
    assert second["next"] is None
    events.clock.advance(timedelta(hours=2))
    reply = await events.place.client.post("/v1/events/rejected/retry", json={"code": "time_in_future"})
    assert reply.json() == {"retried": 3, "rejected": 0, "skipped": 0}
    assert len(await rejected(events, state="retried")) == 3
    left = await rejected(events, state="rejected")
    for one in left:
        gone = await events.place.client.delete(f"/v1/events/rejected/{one['id']}")
        assert gone.status_code == 204
    assert await rejected(events, state="rejected") == []
    assert {a["id"] for a in await events.place.timeline()} == {"f0", "f1", "f2"}


async def test_another_communitys_are_not_found_and_scopes_are_asked_for(events: Events) -> None:
    await events.place.post({"id": "x"})
    [one] = await rejected(events)
    other = await events.new_place()
    assert await rejected(events, other) == []
    path = f"/v1/events/rejected/{one['id']}"
    for reply in (await other.client.get(path), await retry(other, one["id"]), await other.client.delete(path)):
        assert (reply.status_code, reply.json()["code"]) == (404, "rejected_unknown")
    reader = await events.new_key(events.place.id, "events:read")
    for reply in (await retry(reader, one["id"]), await reader.client.delete(path)):
        assert (reply.status_code, reply.json()["scope"]) == (403, "events:write")
    writer = await events.new_key(events.place.id, "events:write")
    assert (await writer.client.get("/v1/events/rejected")).status_code == 403


async def test_after_a_week_they_are_forgotten(events: Events) -> None:
    await events.place.post({"id": "old"})
    events.clock.advance(timedelta(days=6, hours=23))
    await events.place.post({"id": "new"})
    await events.settle()
    await loops.forget_rejected(events.runtime.services["events"], events.runtime.stopping)
    assert len(await rejected(events)) == 2
    events.clock.advance(timedelta(days=1))
    await loops.forget_rejected(events.runtime.services["events"], events.runtime.stopping)
    assert [r["source_id"] for r in await rejected(events)] == ["new"]
    async with events.db.read() as tx:
        assert len(await tx.all(select(t.rejected_days))) == 1


async def test_while_the_log_is_away_a_refusal_is_answered_and_not_kept(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(topic: str, records: Any) -> Any:
        raise LogUnavailable("away")

    with monkeypatch.context() as m:
        m.setattr(events.log, "append", away)
        body = await events.place.post({"id": "x"})
        assert (body["accepted"], body["rejected"]) == (0, 1)
        headers = {"Content-Type": STRUCTURED}
        assert (await events.place.client.post("/v1/events", content=b"{", headers=headers)).status_code == 400
        both = msgspec.json.encode([{"id": "x"}, event()])
        reply = await events.place.client.post("/v1/events", content=both, headers={"Content-Type": BATCHED})
        assert reply.status_code == 503
    assert await rejected(events) == []
