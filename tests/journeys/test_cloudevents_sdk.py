"""The official CloudEvents SDK for Python posts to us as it would to anybody, in every mode it has (E1)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary, to_binary_event, to_structured, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary as old_to_binary
from cloudevents.v1.conversion import to_dict
from cloudevents.v1.conversion import to_structured as old_to_structured
from cloudevents.v1.http import CloudEvent as OldCloudEvent

from tests.support.platform import App

EARLIER = (datetime.now(UTC) - timedelta(minutes=3)).replace(microsecond=0)
DATA = {"actor": "qq:2627274551", "group": "qq:342561735", "text": "你好, see https://example.org", "kind": "text"}


def made(id: str, data: dict[str, Any] | None = None, **attributes: Any) -> CloudEvent:
    required = {"id": id, "source": "/bots/sdk", "type": "message.created", "specversion": "1.0"}
    return CloudEvent({**required, "datacontenttype": "application/json", **attributes}, DATA if data is None else data)


async def deliver(app: App, headers: dict[str, str], body: bytes | str) -> dict[str, Any]:
    reply = await app.client.post("/v1/events", headers=headers, content=body)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    assert answer["rejected"] == 0, answer
    await app.settle()
    return answer


async def stored(app: App, id: str) -> dict[str, Any]:
    reply = await app.client.get("/v1/events/by-key", params={"source": "/bots/sdk", "id": id})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def as_sent(app: App, id: str, subject: str | None = None) -> None:
    found = await stored(app, id)
    assert (found["type"], found["subject"], found["actor"], found["group"]) == (
        "message.created",
        subject,
        DATA["actor"],
        DATA["group"],
    )
    assert datetime.fromisoformat(found["occurred_at"]) == EARLIER
    assert len(found["data"].pop("similarity")) == 16
    assert found["data"] == {
        **{k: v for k, v in DATA.items() if k != "text"},
        "length": 27,
        "distinct": 18,
        "has_link": True,
    }


@pytest.mark.parametrize("form", [to_structured, to_binary])
async def test_an_event_of_the_sdk_arrives_in_either_mode(app: App, form: Any) -> None:
    message: HTTPMessage = form(made("new-1", time=EARLIER, subject="Frage 7 – “ok”"), JSONFormat())
    await deliver(app, message.headers, message.body)
    await as_sent(app, "new-1", "Frage 7 – “ok”")


@pytest.mark.parametrize("form", [to_structured_event, to_binary_event])
async def test_an_event_without_any_data_arrives(app: App, form: Any) -> None:
    attributes = {"id": "bare", "source": "/bots/sdk", "type": "connection.up", "specversion": "1.0"}
    message: HTTPMessage = form(CloudEvent(attributes, None))
    await deliver(app, message.headers, message.body)
    assert (await stored(app, "bare"))["data"] == {}


@pytest.mark.parametrize("form", [old_to_structured, old_to_binary])
async def test_an_event_of_the_sdks_first_interface_arrives(app: App, form: Any) -> None:
    attributes = {"id": "old-1", "source": "/bots/sdk", "type": "message.created", "time": EARLIER.isoformat()}
    headers, body = form(OldCloudEvent(attributes, DATA))
    await deliver(app, dict(headers), body)
    await as_sent(app, "old-1")


async def test_a_batch_of_events_arrives_each_with_its_answer(app: App) -> None:
    written = [JSONFormat().write(made(f"batch-{n}", time=EARLIER)) for n in range(3)]
    body = b"[" + b",".join(w if isinstance(w, bytes) else w.encode() for w in written) + b"]"
    answer = await deliver(app, {"content-type": "application/cloudevents-batch+json; charset=UTF-8"}, body)
    assert [(r["id"], r["status"]) for r in answer["results"]] == [(f"batch-{n}", "accepted") for n in range(3)]
    for n in range(3):
        await as_sent(app, f"batch-{n}")


async def test_a_batch_made_of_the_first_interfaces_dictionaries_arrives(app: App) -> None:
    attributes = {"source": "/bots/sdk", "type": "message.created", "time": EARLIER.isoformat()}
    batch = [to_dict(OldCloudEvent({**attributes, "id": f"dict-{n}"}, DATA)) for n in range(2)]
    reply = await app.client.post(
        "/v1/events", json=batch, headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    assert (reply.status_code, reply.json()["accepted"]) == (200, 2)
    await app.settle()
    await as_sent(app, "dict-1")


async def test_one_event_in_three_modes_is_one_event(app: App) -> None:
    same = made("thrice", time=EARLIER)
    for form in (to_structured, to_binary):
        message = form(same, JSONFormat())
        await deliver(app, message.headers, message.body)
    written = JSONFormat().write(same)
    batch = b"[" + (written if isinstance(written, bytes) else written.encode()) + b"]"
    await deliver(app, {"content-type": "application/cloudevents-batch+json"}, batch)
    items = (await app.client.get("/v1/events")).json()["items"]
    assert [e["id"] for e in items] == ["thrice"]


async def test_extension_attributes_of_others_do_not_disturb(app: App) -> None:
    event = made("ext", time=EARLIER, partitionkey="acme:u7", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7-01")
    for form in (to_structured, to_binary):
        message = form(event, JSONFormat())
        await deliver(app, message.headers, message.body)
    await as_sent(app, "ext")
