"""Traces: who did what and when, in pseudonyms, one JSON object a line. Pure: a line in, an activity out.

A trace line has `id`, `type`, `time`, `community`, `channel`, `actor`, `subject`, `data`; `channel`, `actor` and
`subject` may be null. People become `trace:mNNN`, channels `trace:NAME`, so that they are one identity wherever the
trace names them. The same line always gives the same `source` and `id`: posting a trace twice changes nothing.
"""

from typing import Any

from services.events.importers.lines import Event

TYPES = {
    "message.posted": "message.created",
    "checkin.done": "checkin.submitted",
}
"""Trace type → ours. A type that is not here keeps its name: it is canonical already, or the community's own."""

FIELDS = {
    "target_author": "author",
    "chars": "length",
}
"""Fields of `data` that an activity calls by another name. The rest keep theirs."""

PEOPLE = ("author", "target_author", "mentions", "question_author", "invited_by")
"""Fields of `data` that name members, one or a list of them."""

PLATFORM = "trace"


def recognises(value: Any) -> bool:
    """Whether a decoded line looks like this format."""
    return isinstance(value, dict) and "specversion" not in value and {"community", "actor", "type"} <= value.keys()


def translate(value: Any) -> Event:
    """The activity of one trace line. ValueError names the field that is missing or not what it should be."""
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    kind = _text(value, "type")
    event: Event = {
        "specversion": "1.0",
        "id": _text(value, "id"),
        "source": f"/traces/{_text(value, 'community')}",
        "type": TYPES.get(kind, kind),
        "time": _text(value, "time"),
        "datacontenttype": "application/json",
    }
    subject = _text_or_none(value, "subject")
    if subject is not None:
        event["subject"] = subject
    event["data"] = _data(value)
    return event


def _data(value: Event) -> Event:
    given: Any = value.get("data", {})
    if not isinstance(given, dict):
        raise ValueError("field 'data' is not an object")
    data: Event = {}
    fields: Event = given
    for name, item in fields.items():
        data[FIELDS.get(name, name)] = _person(name, item) if name in PEOPLE else item
    for name, field in (("actor", "actor"), ("group", "channel")):
        known = _text_or_none(value, field)
        if known is not None:
            data[name] = f"{PLATFORM}:{known}"
    return data


def _person(name: str, item: Any) -> Any:
    if isinstance(item, str) and item:
        return f"{PLATFORM}:{item}"
    if isinstance(item, list):
        return [_person(name, each) for each in item]
    raise ValueError(f"field 'data.{name}' does not name a member")


def _text(value: dict[str, Any], field: str) -> str:
    item = value.get(field)
    if not isinstance(item, str) or not item:
        raise ValueError(f"field {field!r} is missing or not text")
    return item


def _text_or_none(value: dict[str, Any], field: str) -> str | None:
    return None if value.get(field) is None else _text(value, field)
