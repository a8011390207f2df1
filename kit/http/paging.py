"""Keyset pages (K13): `limit`, an opaque `cursor`, and a reply of `items`, `next`, `prev`. Stable under inserts."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, Field

from kit.errors import BadRequest

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Page(BaseModel, Generic[T]):
    """`next` and `prev` are cursors, or null at the ends."""

    items: list[T]
    next: str | None = Field(None, description="Cursor of the page after this one.")
    prev: str | None = Field(None, description="Cursor of the page before this one.")


def encode_cursor(position: list[Any]) -> str:
    """A position (JSON values) as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> list[Any]:
    """The position in a cursor; BadRequest for anything we did not make."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list[Any])
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise BadRequest("this cursor is not one of ours; begin without it", code="cursor_invalid") from error


@dataclass(frozen=True, slots=True)
class Paging:
    """How much, and from where (None: from the beginning)."""

    limit: int
    cursor: list[Any] | None


async def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items of the page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next` or `prev` of another page.")] = None,
) -> Paging:
    return Paging(limit, decode_cursor(cursor) if cursor else None)


def behind(paging: Paging) -> UUID | None:
    """The id that a page begins behind, of lists whose cursor is `[id]`; BadRequest for another list's."""
    try:
        match paging.cursor:
            case None:
                return None
            case [str(id)]:
                return UUID(id)
    except ValueError:
        pass
    raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid")


PageOf = Annotated[Paging, Depends(_paging)]
"""The paging parameters of a route."""
