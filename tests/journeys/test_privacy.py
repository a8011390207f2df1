"""With the settings a community begins with, nothing keeps what people wrote (E9): no table, record, file, log line,
dead letter or metric."""

from typing import Any

import msgspec
import pytest

from kit.contracts import Envelope
from kit.contracts.events import Activity
from services.events.handlers import storing
from tests.events.receivers.senders import senders
from tests.journeys.spoken import PREFIX, Words, deliveries, everything_kept
from tests.support.http import client_of
from tests.support.platform import App

MESSAGES = 1000
BATCH = "application/cloudevents-batch+json"
COMMANDS = ("/points {} 心事 again", "/bind {}", "/stop {} and more", "打卡 {}", "/nothing-of-ours {} and more")


def posted(number: int, text: str) -> dict[str, Any]:
    """A message as a bot posts it; every seventh is one the door refuses, every fifth a command."""
    data: dict[str, Any] = {"actor": f"qq:{number % 40}", "group": "qq:100", "kind": "text", "text": text}
    event = {"specversion": "1.0", "id": f"m{number}", "source": "/bots/one", "type": "message.created", "data": data}
    if number % 7 == 0:
        data["length"] = "as many as there are"
        event["specversion"] = ("1.0", "0.3")[number % 2]
    return event


async def connected(app: App, platform: str) -> str:
    sender = senders()[platform]
    body = {
        "platform": platform,
        "name": platform,
        "secrets": msgspec.to_builtins(sender.secrets[0]),
        "settings": msgspec.to_builtins(sender.settings),
    }
    made = await app.client.post("/v1/connections", json=body)
    assert made.status_code == 201, made.text
    return f"/v1/hooks/{made.json()['id']}"


async def say(app: App, words: Words) -> dict[str, int]:
    """A thousand texts, by every way in; how many answers of each status there were."""
    hooks = {platform: await connected(app, platform) for platform in senders()}
    statuses: dict[str, int] = {}
    async with client_of(app.url) as platforms:
        for number, (platform, sample) in enumerate(deliveries(words)):
            sender = senders()[platform]
            # Some as a stranger sends them, some cut in the middle behind a right signature.
            secret = sender.secrets[number % 11 == 5]
            if number % 13 == 6:
                sample = type(sample)(sample.name, sample.body[:-9], sample.headers)
            sent = sender.deliver(sample, secret, app.runtime.services["events"].clock())
            reply = await platforms.post(
                hooks[platform], content=sent.body, headers=dict(sent.headers), params=dict(sent.query)
            )
            assert PREFIX not in reply.text
            statuses[f"{platform} {reply.status_code}"] = statuses.get(f"{platform} {reply.status_code}", 0) + 1
    number = 0
    while words.given < MESSAGES:
        number += 1
        await _post(
            app, [posted(number, words.more(*COMMANDS[number % 25 : number % 25 + 1])) for number in _next(number)]
        )
    return statuses


def _next(step: int) -> range:
    return range(step * 10, step * 10 + 10)


async def _post(app: App, events: list[dict[str, Any]]) -> None:
    reply = await app.client.post("/v1/events", content=msgspec.json.encode(events), headers={"Content-Type": BATCH})
    assert (reply.status_code, PREFIX in reply.text) == (200, False), reply.text
    cut = await app.client.post("/v1/events", content=msgspec.json.encode(events)[:-5], headers={"Content-Type": BATCH})
    assert (cut.status_code, PREFIX in cut.text) == (400, False), cut.text


async def test_the_text_of_a_thousand_messages_is_found_nowhere(
    platform: App, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words, row = Words(), storing._row

    def sometimes_wrong(envelope: Envelope[Activity], *more: Any) -> Any:
        if envelope.event.event_id.int % 20 == 7:
            raise ValueError("a bug")
        return row(envelope, *more)

    monkeypatch.setattr(storing, "_row", sometimes_wrong)
    statuses = await say(platform, words)
    await platform.settle()
    kept = await everything_kept(platform)
    metrics = await platform.client.get("/metrics")
    logged = capfd.readouterr()
    kept |= {"metrics": metrics.content, "standard error": logged.err.encode(), "standard output": logged.out.encode()}

    assert [name for name, content in kept.items() if PREFIX.encode() in content] == []
    _the_search_finds_what_is_there(kept, statuses)


def _the_search_finds_what_is_there(kept: dict[str, bytes], statuses: dict[str, int]) -> None:
    """Else an empty table would be as good as a clean one."""
    for name, there in {
        "events.activities": b"qq:39",
        "events.rejected": b"/bots/one",
        "events.dead_letters": b"/bots/one",
        "rewards.decisions": b"message.created",
        "guildhall.activity": b'"length":',
        "metrics": b'guildhall_events_rejected_total{code="',
        "standard output": b"path=/v1/hooks/{id}",
    }.items():
        assert there in kept[name], name
    for platform in senders():
        assert any(f"{platform} 20{n}" in statuses for n in (0, 4)), (platform, statuses)
    assert any(status.endswith(" 401") for status in statuses)
    assert any(status.endswith(" 400") for status in statuses)
