"""The mapping of a CSV file: TOML that says which column is which field, and what every row has in common."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

FIELDS = ("id", "type", "time", "subject", "actor", "author", "group", "text")
"""What an activity has of its own. Any other name is a field of `data`."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLATFORM = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Mapped:
    """`columns` is column → field; `types` what the column `type` says → type; `numbers` the fields that are no text.

    `time_format` is `iso`, `unix`, `unix_ms` or a strptime format; `zone` is for times that say none.
    """

    columns: Mapping[str, str]
    source: str
    platform: str
    type: str
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    numbers: frozenset[str]
    time_format: str
    zone: tzinfo
    delimiter: str
    encoding: str


class _Time(msgspec.Struct, forbid_unknown_fields=True):
    format: str = "iso"
    zone: str = "UTC"


class _Csv(msgspec.Struct, forbid_unknown_fields=True):
    delimiter: str = ","
    encoding: str = "utf-8"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    platform: str
    columns: dict[str, str]
    type: str = ""
    types: dict[str, str] = {}
    constants: dict[str, str | bool | int | float] = {}
    numbers: list[str] = []
    time: _Time = msgspec.field(default_factory=_Time)
    csv: _Csv = msgspec.field(default_factory=_Csv)


def load(path: Path) -> Mapped:
    """The mapping in a file. ValueError names what is wrong in it, and what it should be; OSError when unreadable."""
    try:
        given = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"the mapping {path.name}: {error}") from error
    wrong = _wrong(given)
    if wrong:
        raise ValueError(f"the mapping {path.name}: {wrong}")
    return Mapped(
        columns=given.columns,
        source=given.source,
        platform=given.platform,
        type=given.type,
        types=given.types,
        constants=given.constants,
        numbers=frozenset(given.numbers),
        time_format=given.time.format,
        zone=ZoneInfo(given.time.zone),
        delimiter=given.csv.delimiter,
        encoding=given.csv.encoding,
    )


def _wrong(given: _File) -> str:
    """The first thing wrong, "" when nothing is."""
    fields = list(given.columns.values())
    strange = [one for one in [*fields, *given.constants] if not _NAME.fullmatch(one)]
    twice = [one for one in fields if fields.count(one) > 1]
    fixed = [one for one in given.constants if one in FIELDS]
    both = [one for one in given.constants if one in fields]
    no_numbers = [one for one in given.numbers if one in FIELDS or one not in fields]
    checks = (
        (bool(strange), f"{strange[:1]} is no field: a-z, 0-9 and _, such as {', '.join(FIELDS)} or your own"),
        (bool(twice), f"two columns are {twice[:1]}"),
        (bool(fixed), f"{fixed[:1]} cannot be a constant: it is a column, or `type` and `platform` at the top"),
        (bool(both), f"{both[:1]} is a constant and a column"),
        (bool(no_numbers), f"numbers: {no_numbers[:1]} is no column's field of `data`"),
        ("time" not in fields, "no column is `time`"),
        (not given.type and "type" not in fields, "neither `type` nor a column that is `type`"),
        (bool(given.types) and "type" not in fields, "[types] without a column that is `type`"),
        (not given.source, "`source` is empty: give the archive a name of its own, such as /archives/old-forum"),
        (not _PLATFORM.fullmatch(given.platform) or given.platform == "member", "`platform` is no platform's name"),
        (not _is_delimiter(given.csv.delimiter), 'csv.delimiter is one character, such as ";" or "\\t"'),
        (not _is_encoding(given.csv.encoding), "csv.encoding is none that is known here, or no superset of ASCII"),
        (not _is_time_format(given.time.format), 'time.format is "iso", "unix", "unix_ms" or such as "%d.%m.%Y %H:%M"'),
        (not _is_zone(given.time.zone), "time.zone is no zone, such as Europe/Berlin or UTC"),
    )
    return next((message for failed, message in checks if failed), "")


def _is_delimiter(text: str) -> bool:
    return len(text) == 1 and text not in '"\r\n' and ord(text) < 128


def _is_encoding(name: str) -> bool:
    try:
        return "\n,a".encode(name) == b"\n,a" and b"a".decode(name, "surrogateescape") == "a"
    except (LookupError, ValueError):
        return False


def _is_time_format(text: str) -> bool:
    if text in ("iso", "unix", "unix_ms"):
        return True
    try:
        # What it makes of a moment it must be able to read; a directive used twice is an error of `re`.
        text_of_one = datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(text)
        return "%" in text and datetime.strptime(text_of_one, text).year == 2000  # noqa: DTZ007
    except (ValueError, re.error):
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True
