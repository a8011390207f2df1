"""CloudEvents 1.0, one structured JSON event a line, in the form of an activity. Nothing is translated.

Only what makes a line postable at all is checked here; what the platform asks of an activity is the platform's to
say, item by item, and is reported with the line number just the same.
"""

from typing import Any

from services.events.importers.lines import Event

REQUIRED = ("specversion", "id", "source", "type")


def recognises(value: Any) -> bool:
    """Whether a decoded line looks like this format."""
    return isinstance(value, dict) and "specversion" in value


def translate(value: Any) -> Event:
    """The event itself. ValueError for anything that is not an object with the required attributes as text."""
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    for name in REQUIRED:
        if not isinstance(value.get(name), str) or not value[name]:
            raise ValueError(f"attribute {name!r} is missing or not text")
    return value
