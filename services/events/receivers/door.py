"""From what a receiver saw to the event the door checks, as if its bot had posted it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.events.receivers.form import Seen
from services.events.receivers.reading import derived

MAX_TEXT = 8_000


def source_of(seen: Seen, platform: str, connection: UUID) -> str:
    """What is told apart on the whole platform is one activity whichever connection saw it."""
    return f"/platforms/{platform}" if seen.shared else f"/connections/{connection}"


def event_of(seen: Seen, platform: str, connection: UUID) -> bytes:
    """A CloudEvent in structured JSON, in the form of our public contract."""
    return msgspec.json.encode(activity_of(seen, source_of(seen, platform, connection)))


def activity_of(seen: Seen, source: str) -> dict[str, Any]:
    """The same, not encoded yet; its `time`, where it has one, is a `datetime`."""
    people = {"actor": seen.actor, "author": seen.author, "group": seen.group}
    data: dict[str, Any] = {**{name: value for name, value in people.items() if value is not None}, **seen.data}
    if seen.ref is not None:
        data["ref"] = seen.ref
    if seen.text is not None:
        # The door refuses what is too long; here that is no reason to lose what happened.
        data.setdefault("length", len(seen.text))
        data["text"] = seen.text[:MAX_TEXT]
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": seen.id,
        "source": source,
        "type": seen.type,
        "datacontenttype": "application/json",
        "data": data,
    }
    if seen.at is not None:
        event["time"] = seen.at
    if seen.subject is not None:
        event["subject"] = seen.subject
    made: dict[str, Any] = _without_nul(event)
    return made


def _without_nul(value: Any) -> Any:
    """The door refuses U+0000, which no database takes: whatever a platform sends, what happened is not lost for it."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list | tuple):
        return [_without_nul(one) for one in value]
    if isinstance(value, Mapping):
        return {_without_nul(name): _without_nul(one) for name, one in value.items()}
    return value


def id_about(seen: Seen, subject: str) -> str:
    """The id of what was said about `subject`, whichever name the connection had for that: two that see it count once.

    Messages are taken back once. They are edited again and again, each time at a time that the platform gives.
    Anything else may be done again too, and two connections may hear of it at different seconds: the minute counts.
    """
    again: datetime | str = ""
    if seen.at is not None and seen.type == "message.edited":
        again = seen.at
    elif seen.at is not None and not seen.type.startswith("message."):
        again = seen.at.replace(second=0, microsecond=0)
    return derived(seen.type, seen.group, subject, seen.actor, seen.data.get("kind"), again)
