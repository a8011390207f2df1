"""Words that can be found again, put into what each platform sends; and everything they could have ended up in."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import inspect, text

from kit.runtime import topics
from tests.events.receivers.senders import senders
from tests.events.receivers.sending import Sample
from tests.support.platform import App

# Where the platforms put what somebody wrote; "message" too where it is a text.
WRITTEN = frozenset(
    {"text", "raw_message", "message", "content", "caption", "raw", "cooked", "body", "comment", "note"}
)
_XML = re.compile(rb"(?<=<Content><!\[CDATA\[)[^\]]*")
PREFIX = "zqpriv"


class Words:
    """Texts that differ: `zqpriv7x and what else 心事 was said`."""

    def __init__(self) -> None:
        self.given = 0

    def more(self, shape: str = "{} and what else 心事 was said") -> str:
        self.given += 1
        return shape.format(f"{PREFIX}{self.given}x")


def planted(value: Any, words: Words) -> Any:
    """The payload with other texts."""
    if isinstance(value, list):
        return [planted(one, words) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _text(one, words) if name in WRITTEN and isinstance(one, str) else planted(one, words)
        for name, one in value.items()
    }


def _text(old: str, words: Words) -> str:
    """Some platforms put JSON into a text."""
    try:
        inside = json.loads(old)
    except ValueError:
        inside = None
    return json.dumps(planted(inside, words)) if isinstance(inside, dict) else words.more()


def deliveries(words: Words) -> Iterator[tuple[str, Sample]]:
    """(platform, payload) of every recorded payload that has a text, with texts of its own."""
    for platform, sender in senders().items():
        for sample in sender.samples():
            before = words.given
            if sample.body.lstrip().startswith(b"<"):
                body = _XML.sub(lambda _: words.more().encode(), sample.body)
            else:
                body = json.dumps(planted(json.loads(sample.body), words), ensure_ascii=False).encode()
            if words.given > before:
                yield platform, Sample(sample.name, body, sample.headers)


async def everything_kept(app: App) -> dict[str, bytes]:
    """Every row of every table, every record of every topic, every file of the installation: name → content."""
    kept: dict[str, bytes] = {}
    for service, one in app.runtime.services.items():
        async with one.db.engine.connect() as conn:
            for table in await conn.run_sync(lambda sync: inspect(sync).get_table_names()):
                rows = (await conn.execute(text(f'SELECT * FROM "{table}"'))).all()
                kept[f"{service}.{table}"] = b"\n".join(_shown(value) for row in rows for value in row)
    for topic in topics(app.runtime.settings):
        kept[topic.name] = await _records(app, topic.name)
    for path in app.runtime.settings.data_dir.rglob("*"):
        if path.is_file():
            kept[str(path.relative_to(app.runtime.settings.data_dir))] = path.read_bytes()
    return kept


def _shown(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return msgspec.json.encode(value) if isinstance(value, dict | list) else str(value).encode()


async def _records(app: App, topic: str) -> bytes:
    subscription = await app.runtime.log.subscribe(f"search:{uuid4()}", [topic])
    found = bytearray()
    try:
        while records := await subscription.fetch(1000, 2.0):
            for record in records:
                found += b"\n" + (record.key or b"") + b" " + (record.value or b"")
    finally:
        await subscription.close()
    return bytes(found)
