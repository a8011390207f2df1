"""The file formats that can be imported, and how a file's format is found out.

A format is a module with `recognises(value) -> bool` and `translate(value) -> event`, both pure, and a line here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.events.importers import cloudevents_jsonl, traces
from services.events.importers.lines import Event, Good, Line, Translate, Wrong, decode_line, raw_lines, translated

LOOK_AT = 20
"""How many lines are looked at before a file's format is given up on."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a file of one kind is told from others and read."""

    recognises: Callable[[Any], bool]
    translate: Translate


FORMATS = {
    "trace": Format(traces.recognises, traces.translate),
    "cloudevents": Format(cloudevents_jsonl.recognises, cloudevents_jsonl.translate),
}


def detect(path: Path) -> str:
    """The name of the file's format, by its first usable line. ValueError when no format knows it, or it is empty."""
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
            if known.recognises(value):
                return name
    raise ValueError(f"{path.name}: none of the formats {', '.join(FORMATS)} is seen in its first {LOOK_AT} lines")


def read(path: Path, format: str = "auto") -> Iterator[Line]:
    """The file's lines in order, as events or reasons. ValueError for an unknown format; OSError when unreadable."""
    name = detect(path) if format == "auto" else format
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; one of auto, {', '.join(FORMATS)}")
    return translated(path, FORMATS[name].translate)


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
