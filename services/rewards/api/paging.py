"""Pages of lists that go both ways: where one begins, and the cursors of its neighbours."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from kit.http import Page, Paging, encode_cursor
from services.rewards.api.common import position

T = TypeVar("T")


class Place(NamedTuple):
    """A page comes after these values (a tuple) of the list's order, or before them; neither: it is the first."""

    after: Any
    before: Any

    def ids(self) -> tuple[UUID | None, UUID | None]:
        """The same of a list whose order is by id alone."""
        return self.after and self.after[0], self.before and self.before[0]


def place_of(paging: Paging, *kinds: type) -> Place:
    """Of a cursor with values of these kinds; BadRequest for any other list's."""
    at = position(paging.cursor, *kinds)
    if at is None:
        return Place(None, None)
    direction, values = at[0], tuple(at[1])
    return Place(values, None) if direction == "n" else Place(None, values)


class Shown(NamedTuple):
    """The rows of a page in their order, and the cursors of its neighbours."""

    rows: list[Any]
    next: str | None
    prev: str | None


def shown_of(rows: Sequence[Any], paging: Paging, place: Place, key: Callable[[Any], Sequence[Any]]) -> Shown:
    """`rows` are one more than the page takes, where there are so many; those before a place with the nearest first.
    `key` gives the values of the list's order as JSON."""
    more, shown = len(rows) > paging.limit, list(rows[: paging.limit])
    if place.before is not None:
        shown.reverse()
    above, below = (more, True) if place.before is not None else (place.after is not None, more)
    return Shown(
        shown,
        encode_cursor(["n", *key(shown[-1])]) if shown and below else None,
        encode_cursor(["p", *key(shown[0])]) if shown and above else None,
    )


def page_of(
    rows: Sequence[Any],
    paging: Paging,
    place: Place,
    key: Callable[[Any], Sequence[Any]],
    out: Callable[[Any], T],
) -> Page[T]:
    """`shown_of` as a page, with each row as `out` makes it."""
    shown = shown_of(rows, paging, place, key)
    return Page(items=[out(row) for row in shown.rows], next=shown.next, prev=shown.prev)


def by_id(row: Any) -> tuple[str]:
    return (str(row.id),)
