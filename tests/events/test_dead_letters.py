"""What the consumer gave up on: kept as long as nobody decides, without what people wrote, handled once more."""

from datetime import timedelta
from typing import Any

import pytest

from kit import idempotency, inbox
from services.events.handlers import storing
from tests.events.support import Events, event

SECRET = "my heart is broken 心"


async def test_a_dead_letter_has_no_text_outlives_a_week_and_can_be_retried(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await events.new_key(events.place.id, "ops:read", "ops:write", "events:read", "events:write")

    def wrong(*row: Any) -> Any:
        raise ValueError("a bug")

    with monkeypatch.context() as m:
        m.setattr(storing, "_row", wrong)
        await operator.post(event(id="x", data={"text": SECRET}))
        await events.settle()
    events.clock.advance(timedelta(days=8))
    await inbox.purge(events.db, timedelta(days=30))
    await idempotency.purge(events.db, timedelta(hours=24))
    [letter] = (await operator.get("/v1/dead-letters", service="events"))["items"]
    assert (letter["code"], letter["state"]) == ("bug.ValueError", "dead")
    assert SECRET not in str(await events.rows("dead_letters"))
    path = f"/v1/dead-letters/{letter['id']}"
    mended = letter["body"].replace('"kind":"text"', f'"kind":"text","text":"{SECRET}"')
    reply = await operator.client.post(f"{path}/edit-and-retry?service=events", json={"body": mended})
    assert (reply.status_code, reply.json()["code"]) == (422, "event_text")
    reply = await operator.client.post(f"{path}/retry?service=events")
    assert reply.json()["state"] == "retried", reply.text
    assert [a["id"] for a in await operator.timeline()] == ["x"]
