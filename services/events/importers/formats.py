"""The formats of history that can be imported, and how an export's format is found out.

A format of lines is a module with `recognises(value) -> bool` and `translate(value) -> event`, both pure; any other
one with `recognises(path) -> bool` and `items(path, choices) -> lines`. Each has an entry here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.events.importers import (
    cloudevents_jsonl,
    csv_mapped,
    discord_export,
    discourse_export,
    slack_export,
    telegram_export,
    traces,
    zulip_export,
)
from services.events.importers.choices import Choices
from services.events.importers.lines import Event, Good, Line, Translate, Wrong, decode_line, raw_lines, translated

LOOK_AT = 20
"""How many lines are looked at before a file's format is given up on."""

NO_CHOICES = Choices()


@dataclass(frozen=True, slots=True)
class Lines:
    """A format of one JSON value a line."""

    recognises: Callable[[Any], bool]
    translate: Translate


@dataclass(frozen=True, slots=True)
class Export:
    """A format of any other shape. `recognises` looks at no more than the beginning, and raises nothing but OSError;
    `items` gives the same lines in the same order whenever it is called, and raises ValueError for wrong choices."""

    recognises: Callable[[Path], bool]
    items: Callable[[Path, Choices], Iterator[Line]]


FORMATS: dict[str, Lines | Export] = {
    "trace": Lines(traces.recognises, traces.translate),
    "cloudevents": Lines(cloudevents_jsonl.recognises, cloudevents_jsonl.translate),
    "csv": Export(csv_mapped.recognises, csv_mapped.items),
    "telegram": Export(telegram_export.recognises, telegram_export.items),
    "slack": Export(slack_export.recognises, slack_export.items),
    "discourse": Export(discourse_export.recognises, discourse_export.items),
    "zulip": Export(zulip_export.recognises, zulip_export.items),
    "discord": Export(discord_export.recognises, discord_export.items),
}


def detect(path: Path, choices: Choices = NO_CHOICES) -> str:
    """The name of the export's format, by how it begins. ValueError when no format knows it, or it is empty."""
    if choices.mapping is not None:
        return "csv"
    for name, known in FORMATS.items():
        if isinstance(known, Export) and known.recognises(path):
            return name
    return _detect_lines(path) if path.is_file() else _unknown(path)


def _detect_lines(path: Path) -> str:
    for seen, (_, raw) in enumerate(raw_lines(path)):
        if seen == LOOK_AT:
            break
        if isinstance(raw, Wrong):
            continue
        try:
            value = decode_line(raw)
        except ValueError:
            continue
        for name, known in FORMATS.items():
            if isinstance(known, Lines) and known.recognises(value):
                return name
    return _unknown(path)


def _unknown(path: Path) -> str:
    raise ValueError(
        f"{path.name}: none of the formats {', '.join(FORMATS)} is seen at its beginning; name one with --format"
    )


def read(path: Path, format: str = "auto", choices: Choices = NO_CHOICES) -> Iterator[Line]:
    """The export's lines in order, as events or reasons. ValueError for an unknown format or choices that do not fit
    it; OSError when unreadable."""
    name = detect(path, choices) if format == "auto" else format
    known = FORMATS.get(name)
    if known is None:
        raise ValueError(f"unknown format {name!r}; one of auto, {', '.join(FORMATS)}")
    return translated(path, known.translate) if isinstance(known, Lines) else known.items(path, choices)


def count(path: Path, format: str = "auto", choices: Choices = NO_CHOICES) -> int:
    """How many lines `read` gives; reads the whole export."""
    name = detect(path, choices) if format == "auto" else format
    if isinstance(FORMATS.get(name), Lines):
        return count_lines(path)
    return sum(1 for _ in read(path, name, choices))


def count_lines(path: Path) -> int:
    """Lines that are not blank; reads the whole file."""
    return sum(1 for _ in raw_lines(path))


class FileEvents(Iterator[Event]):
    """Only the events of a file: lines that cannot be used are passed over in silence. For demonstrations."""

    def __init__(self, path: Path, format: str = "auto") -> None:
        self._path = path
        self._events = (line.event for line in read(path, format) if isinstance(line, Good))

    def __next__(self) -> Event:
        return next(self._events)

    def __length_hint__(self) -> int:
        return count_lines(self._path)


def read_events(path: Path, format: str = "auto") -> FileEvents:
    """The file's events in order. ValueError and OSError as for `read`."""
    return FileEvents(path, format)
