"""CSV of any kind: a mapping, which a person writes once, says which column is which field of an activity."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from services.events.importers.choices import Choices
from services.events.importers.csv_mapping import Mapped, load
from services.events.importers.csv_rows import rows
from services.events.importers.lines import Event, Good, Line, Wrong, unpacked
from services.events.receivers.door import MAX_TEXT

_EPOCHS = {"unix": 1, "unix_ms": 1000}


def recognises(path: Path) -> bool:
    """Never: what the columns are stands in no CSV file."""
    return False


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every row behind the header. ValueError for a mapping that is wrong, or names columns that the file has not."""
    if choices.mapping is None:
        raise ValueError("CSV needs --mapping: a TOML file that says what the columns are (docs/importing.md)")
    mapped = load(choices.mapping)
    with unpacked(path) as file:
        header = next(rows(file, mapped.delimiter, mapped.encoding), None)
    if header is None or isinstance(header, Wrong):
        raise ValueError(f"{path.name}: no header: {header.reason if header else 'the file is empty'}")
    return _items(path, mapped, _places(path, mapped, header.cells))


def _places(path: Path, mapped: Mapped, header: list[str]) -> Mapping[str, int]:
    """Field → the place of its column."""
    missing = [name for name in mapped.columns if name not in header]
    if missing:
        raise ValueError(
            f"{path.name} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, header))}"
        )
    twice = [name for name in mapped.columns if header.count(name) > 1]
    if twice:
        raise ValueError(f"{path.name} has the column {twice[0]!r} more than once")
    return {field: header.index(name) for name, field in mapped.columns.items()}


def _items(path: Path, mapped: Mapped, places: Mapping[str, int]) -> Iterator[Line]:
    with unpacked(path) as file:
        found, width = rows(file, mapped.delimiter, mapped.encoding), 0
        for row in found:
            if isinstance(row, Wrong):
                yield row
            elif not width:
                width = len(row.cells)
            elif len(row.cells) != width:
                yield Wrong(row.number, f"{len(row.cells)} cells, and the header has {width}")
            else:
                try:
                    yield Good(row.number, _event(row.cells, places, mapped))
                except ValueError as error:
                    yield Wrong(row.number, str(error))


def _event(cells: list[str], places: Mapping[str, int], mapped: Mapped) -> Event:
    given = {field: cells[place].strip() for field, place in places.items()}
    given = {field: value for field, value in given.items() if value}
    event: Event = {
        "specversion": "1.0",
        "id": given.pop("id", "") or sha256(msgspec.json.encode(cells)).hexdigest()[:40],
        "source": mapped.source,
        "type": _type(given.pop("type", ""), mapped),
        "time": _time(given.pop("time", ""), mapped),
        "datacontenttype": "application/json",
    }
    if subject := given.pop("subject", ""):
        event["subject"] = subject
    data: Event = dict(mapped.constants)
    for field, value in given.items():
        data[field] = _value(field, value, mapped)
    event["data"] = data
    return event


def _type(given: str, mapped: Mapped) -> str:
    if not given:
        if not mapped.type:
            raise ValueError("no type in this row")
        return mapped.type
    if mapped.types and given not in mapped.types:
        raise ValueError("the row's type is none of those in [types]")
    return mapped.types.get(given, given)


def _time(given: str, mapped: Mapped) -> str:
    """RFC 3339 in UTC. What is wrong is said without the value: it may be anything somebody wrote."""
    if not given:
        raise ValueError("no time in this row")
    try:
        if mapped.time_format in _EPOCHS:
            at = datetime.fromtimestamp(float(given) / _EPOCHS[mapped.time_format], UTC)
        elif mapped.time_format == "iso":
            at = datetime.fromisoformat(given)
        else:
            # What the format says of a zone stands; the mapping's is for what says none.
            at = datetime.strptime(given, mapped.time_format)  # noqa: DTZ007
        at = at.replace(tzinfo=mapped.zone) if at.tzinfo is None else at
        return at.astimezone(UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"the time is not in the form {mapped.time_format!r}") from error


def _value(field: str, value: str, mapped: Mapped) -> object:
    if field in ("actor", "author", "group"):
        return f"{mapped.platform}:{value}"
    if field == "text":
        return value[:MAX_TEXT].replace("\0", "")
    if field in mapped.numbers:
        return _number(field, value)
    return value


def _number(field: str, value: str) -> int | float:
    try:
        number = float(value)
        if number != number or abs(number) == float("inf"):
            raise ValueError
        return int(value) if number.is_integer() and value.lstrip("+-").isdecimal() else number
    except ValueError as error:
        raise ValueError(f"{field} is no number") from error
