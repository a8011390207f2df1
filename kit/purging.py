"""Forgetting what is over: a walk through a table by its key, in steps that hold the writer for a moment only.

No index on a time is needed, which every insert would pay for; the price is that each walk reads the whole table.
What is over is looked up in a snapshot and asked again under lock before it goes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, select, tuple_

from kit.database import Database, Tx, delete_among, select_among
from kit.metrics import PURGED

STEP = 1000

PAUSE_SECONDS = 0.01

Key = tuple[Any, ...]
Over = ColumnElement[bool]


async def sweep(
    db: Database,
    table: Table,
    over: Over,
    *,
    stopping: asyncio.Event,
    remove: Callable[[Tx, list[Key]], Awaitable[int]] | None = None,
    step: int = STEP,
) -> int:
    """Walk through the whole table once and delete the rows for which `over` holds; returns how many.

    Where more goes with them, `remove` does it instead: it gets the keys of rows that were over a moment ago, in a
    transaction of their own, and returns how many it deleted. Ends early when `stopping` is set.
    """
    key = list(table.primary_key.columns)
    place: Key | None = None
    total = 0
    while not stopping.is_set():
        async with db.read() as tx:
            rows = await tx.all(_walk(key, over, place, step))
        found = [tuple(row)[:-1] for row in rows if row.over]
        if found:
            async with db.begin() as tx:
                gone = await (remove(tx, found) if remove else delete(tx, table, await still(tx, table, over, found)))
            total += gone
            PURGED.labels(db.service, table.name).inc(gone)
        if len(rows) < step:
            break
        place = tuple(rows[-1])[:-1]
        await asyncio.sleep(PAUSE_SECONDS)
    return total


async def still(tx: Tx, table: Table, over: Over, keys: Sequence[Key]) -> list[Any]:
    """Those of the rows that are there and over, locked."""
    return await select_among(tx, table, list(table.primary_key.columns), keys, where=over, lock=True)


async def delete(tx: Tx, table: Table, rows: Sequence[Any]) -> int:
    """Delete these rows (locked by `still`); returns how many."""
    key = list(table.primary_key.columns)
    await delete_among(tx, table, key, [tuple(getattr(row, column.name) for column in key) for row in rows])
    return len(rows)


def _walk(key: Sequence[Any], over: Over, place: Key | None, step: int) -> Any:
    stmt = select(*key, over.label("over")).order_by(*key).limit(step)
    if place is None:
        return stmt
    here = [bindparam(None, value, type_=column.type) for column, value in zip(key, place, strict=True)]
    return stmt.where(key[0] > here[0]) if len(key) == 1 else stmt.where(tuple_(*key) > tuple_(*here))
