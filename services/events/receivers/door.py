"""From what a receiver saw to the event the door checks, as if its bot had posted it."""

from typing import Any
from uuid import UUID

import msgspec

from services.events.receivers.form import Seen


def source_of(seen: Seen, platform: str, connection: UUID) -> str:
    """What is told apart on the whole platform is one activity whichever connection saw it."""
    return f"/platforms/{platform}" if seen.shared else f"/connections/{connection}"


def event_of(seen: Seen, platform: str, connection: UUID) -> bytes:
    """A CloudEvent in structured JSON, in the form of our public contract."""
    people = {"actor": seen.actor, "author": seen.author, "group": seen.group}
    data: dict[str, Any] = {**{name: value for name, value in people.items() if value is not None}, **seen.data}
    if seen.ref is not None:
        data["ref"] = seen.ref
    if seen.text is not None:
        data["text"] = seen.text
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": seen.id,
        "source": source_of(seen, platform, connection),
        "type": seen.type,
        "datacontenttype": "application/json",
        "data": data,
    }
    if seen.at is not None:
        event["time"] = seen.at
    if seen.subject is not None:
        event["subject"] = seen.subject
    return msgspec.json.encode(event)
