"""Discourse's posts and likes as its Data Explorer exports them, CSV or JSON, by the queries in docs/importing.md."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.events.importers.as_received import event_of, seen_by
from services.events.importers.choices import Choices
from services.events.importers.csv_rows import Row, rows
from services.events.importers.json_stream import beginning, begins, elements
from services.events.importers.lines import Broken, Event, Line, Wrong, numbered, unpacked
from services.events.receivers.discourse import PLATFORM, RECEIVER, Settings
from services.events.receivers.reading import word, words

REQUIRED = ("id", "topic_id", "post_number", "user_id")
UNSHARED = "/exports/discourse"

_SITE = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")


def recognises(path: Path) -> bool:
    """Whether it begins as a result of posts does: a header with their columns, or JSON with them."""
    if begins(path, r'\{\s*"success"\s*:', r'"columns"\s*:', r'"post_number"'):
        return True
    header = beginning(path).partition("\n")[0].split(",")
    return set(REQUIRED) <= {one.strip('"\r ') for one in header}


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every post, or every like. ValueError when columns are missing, or the site is none."""
    if choices.site and not _SITE.fullmatch(choices.site):
        raise ValueError("--site is the connection's setting `site`: a-z 0-9 . -")
    found = _of_json if beginning(path).startswith("{") else _of_csv
    _first(found(path))
    settings = Settings(site=choices.site)
    return numbered(_public(found(path)), lambda post: _events(post, settings, choices))


def _first(found: Iterator[tuple[str, Any]]) -> None:
    """Its first row is read, so that a header that is wrong is said before anything is posted."""
    next(found, None)


def _of_csv(path: Path) -> Iterator[tuple[str, Any]]:
    with unpacked(path) as file:
        columns: list[str] = []
        for row in rows(file):
            if isinstance(row, Row) and not columns:
                columns = _columns(path, row.cells)
            elif not columns:
                _columns(path, [])
            elif isinstance(row, Wrong):
                yield f"line {row.number}", Broken(row.reason)
            else:
                yield f"line {row.number}", _row(columns, row.cells)


def _of_json(path: Path) -> Iterator[tuple[str, Any]]:
    columns: list[str] = []
    checked = False
    for where, found in elements(path, {"columns": "", "rows": ""}, ()):
        if isinstance(found, Broken):
            yield where, found
        elif where.startswith("columns"):
            columns.append(str(found.value))
        else:
            columns, checked = (columns if checked else _columns(path, columns)), True
            yield where, _row(columns, found.value)


def _columns(path: Path, columns: list[str]) -> list[str]:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise ValueError(f"{path.name} has no column {', '.join(missing)}: see the queries in docs/importing.md")
    return columns


def _row(columns: list[str], cells: Any) -> Any:
    if not isinstance(cells, list) or len(cells) != len(columns):
        return Broken("the row has not as many cells as there are columns")
    return {name: cell for name, cell in zip(columns, cells, strict=True) if cell not in ("", None)}


def _public(found: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for where, post in found:
        if isinstance(post, Broken) or word(post, "topic_archetype") != "private_message":
            yield where, post


def _events(post: dict[str, Any], settings: Settings, choices: Choices) -> list[Event]:
    missing = [name for name in REQUIRED if not word(post, name)]
    if missing:
        raise ValueError(f"the row has no {missing[0]}")
    if "liked_by" in post:
        told, kind = {"like": {"post": post, "user": {"id": post["liked_by"]}}}, "post_liked"
        if not word(post, "liked_by"):
            raise ValueError("liked_by is no number of a user")
        at = _time(post, "liked_at")
    else:
        told, kind, at = {"post": post}, "post_created", _time(post, "created_at")
    headers = {"x-discourse-event": kind, "x-discourse-event-type": next(iter(told))}
    seen = [replace(one, at=at) for one in seen_by(RECEIVER, told, settings, headers)]
    return [event_of(one, PLATFORM, choices.connection, UNSHARED) for one in seen]


def _time(post: dict[str, Any], name: str) -> datetime:
    """As RFC 3339, or as PostgreSQL and Ruby write it; without a zone in UTC."""
    try:
        at = datetime.fromisoformat(words(post, name).replace(" UTC", "+00:00"))
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is missing or no time") from error
