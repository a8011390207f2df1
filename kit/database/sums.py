"""Sums that may not fit a column, of amounts that each do."""

from typing import Any

from sqlalchemy import ColumnElement, Label, Row, func

_HALF = 2**31


def halves(column: ColumnElement[int], name: str) -> tuple[Label[Any], Label[Any]]:
    """What to select for the sum of a column that is never below 0; `whole` puts it together. Two sums, because SQLite
    refuses one that does not fit 64 bits."""
    return func.sum(column // _HALF).label(f"{name}_high"), func.sum(column % _HALF).label(f"{name}_low")


def whole(row: Row[Any], name: str) -> int:
    """The sum in a row of a statement that selects `halves` under this name."""
    return joined(row._mapping[f"{name}_high"], row._mapping[f"{name}_low"])


def joined(high: int, low: int) -> int:
    """The sum that two halves are of."""
    return int(high) * _HALF + int(low)
