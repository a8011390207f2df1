"""Cursors of this service's lists: a direction and the position of the page's edge."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kit.errors import BadRequest
from kit.http import Page, encode_cursor
from kit.http.paging import Paging
from services.members.store.keyset import Seek, Slice


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or not 1970 <= at.year < 9000:
        raise ValueError("no time of ours")
    return at.astimezone(UTC)


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("no number of ours")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError("no name of ours")
    return value


_READ: dict[type, Callable[[Any], Any]] = {
    datetime: _time, UUID: UUID, int: _number, bytes: bytes.fromhex, str: _name,
}  # fmt: skip


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, UUID) else value


def seek(paging: Paging, *kinds: type) -> Seek | None:
    """Where the page lies; None for the first. BadRequest for a cursor of another list."""
    if paging.cursor is None:
        return None
    try:
        direction, *values = paging.cursor
        if direction not in ("next", "prev") or len(values) != len(kinds):
            raise ValueError("another list's cursor")
        position = tuple(_READ[kind](value) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid") from error
    return Seek(position, direction == "prev")


def page_of(items: Sequence[Any], found: Slice, *order: str) -> Page[Any]:
    """The items of `found` with the cursors of its neighbours; `order` names the columns it is ordered by."""

    def at(direction: str, row: Any) -> str:
        return encode_cursor([direction, *(_written(getattr(row, name)) for name in order)])

    return Page(
        items=list(items),
        next=at("next", found.rows[-1]) if found.rows and found.after else None,
        prev=at("prev", found.rows[0]) if found.rows and found.before else None,
    )
