"""Keyset pages in both directions: where a page begins, and what is known of its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, Select, literal, tuple_

from kit.database import Tx


@dataclass(frozen=True, slots=True)
class Seek:
    """The position (values of the order's columns) that a page lies behind, or in front of with `backwards`."""

    position: tuple[Any, ...]
    backwards: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows in the list's order; whether some come before the first and after the last of them."""

    rows: list[Row[Any]]
    before: bool
    after: bool


async def page(
    tx: Tx, stmt: Select[Any], *, order: Sequence[Column[Any]], seek: Seek | None, limit: int, descending: bool = False
) -> Slice:
    """One page of `stmt` by the `order` columns, which together are unique. One query."""
    backwards = seek is not None and seek.backwards
    if seek is not None:
        columns = tuple_(*order)
        there = tuple_(*(literal(v, c.type) for v, c in zip(seek.position, order, strict=True)))
        stmt = stmt.where(columns < there if descending is not backwards else columns > there)
    directed = [c.desc() if descending is not backwards else c.asc() for c in order]
    rows = await tx.all(stmt.order_by(*directed).limit(limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        return Slice(rows[::-1], before=more, after=True)
    return Slice(rows, before=seek is not None, after=more)
