"""Statements over many rows at once: what differs between SQLite and PostgreSQL, hidden in a few functions.

PostgreSQL takes one array per column through `unnest` (one statement text whatever the number of rows, so it is
planned once); SQLite takes multi-row VALUES. Rows are dicts by column name; column defaults do not apply.
Writers sort by key, so two transactions that touch the same rows lock them in the same order.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

from kit.database.engine import Tx
from kit.database.sqlite import Rows

_CONSTANT_LEAST = 32
_MANY = 256

Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Plan:
    head: str
    tail: str
    names: tuple[str, ...]
    binds: tuple[Processor, ...]
    results: tuple[Processor, ...]
    casts: tuple[str, ...]


_plans: dict[tuple[Any, ...], _Plan] = {}


def _plan(tx: Tx, table: Table, names: tuple[str, ...], conflict: str, returning: tuple[str, ...]) -> _Plan:
    dialect = tx.conn.dialect
    cache_key = (dialect.name, id(table), names, conflict, returning)
    plan = _plans.get(cache_key)
    if plan is None:
        quoted = dialect.identifier_preparer.quote
        head = f"INSERT INTO {quoted(table.name)} ({', '.join(quoted(n) for n in names)}) "
        tail = f" {conflict}" if conflict else ""
        if returning:
            tail += " RETURNING " + ", ".join(
                f"{quoted(table.name)}.{quoted(n)}" if dialect.name != "sqlite" else quoted(n) for n in returning
            )
        columns = [table.c[n] for n in names]
        plan = _plans[cache_key] = _Plan(
            head,
            tail,
            names,
            tuple(bind_of(c, dialect) for c in columns),
            tuple(result_of(table.c[n], dialect) for n in returning),
            tuple(c.type.compile(dialect=dialect) for c in columns) if dialect.name != "sqlite" else (),
        )
    return plan


def bind_of(col: Column[Any], dialect: Dialect) -> Processor:
    """How a value of this column becomes what the driver takes; None: it is that already."""
    if isinstance(col.type, LargeBinary):
        # Both drivers take bytes; SQLAlchemy would wrap them in something that has no order.
        return None
    return col.type.dialect_impl(dialect).bind_processor(dialect)


def result_of(col: Column[Any], dialect: Dialect) -> Processor:
    """How what the driver gives becomes a value of this column; None: it is that already."""
    return col.type.dialect_impl(dialect).result_processor(dialect, None)


async def _insert(
    tx: Tx,
    table: Table,
    rows: Sequence[dict[str, Any]],
    conflict: str = "",
    returning: Sequence[str] = (),
    key: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert the rows in the order of their `key`; the `returning` columns of those that were written."""
    if not rows:
        return []
    plan = _plan(tx, table, tuple(rows[0]), conflict, tuple(returning))
    values = _in_order(plan, _columns(plan, rows), key)
    returned = await _send(tx, plan, values)
    if not returning:
        return []
    if not any(plan.results):
        return [tuple(row) for row in returned]
    return [tuple(v if p is None else p(v) for p, v in zip(plan.results, row, strict=True)) for row in returned]


def _columns(plan: _Plan, rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The rows as columns, as the driver takes their values."""
    return [
        [row[name] for row in rows] if bind is None else [bind(row[name]) for row in rows]
        for name, bind in zip(plan.names, plan.binds, strict=True)
    ]


def _in_order(plan: _Plan, columns: list[list[Any]], key: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows again, sorted by what the driver gets for their key: any fixed order does, as long as every writer
    uses the same one."""
    rows = list(zip(*columns, strict=True))
    if key:
        rows.sort(key=itemgetter(*(plan.names.index(name) for name in key)))
    return rows


async def _send(tx: Tx, plan: _Plan, rows: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
    if len(rows) >= _MANY:
        # Making so many rows was one stretch without a turn for others, encoding them is the next.
        await asyncio.sleep(0)
    if tx.dialect == "postgresql":
        return await tx.fetch(*_with_arrays(plan, rows))
    # `WHERE true`-free VALUES with ON CONFLICT parses fine; only INSERT … SELECT is ambiguous there.
    return await tx.fetch(f"{plan.head}VALUES ({', '.join('?' * len(plan.names))}){plan.tail}", Rows(rows))


def _with_arrays(plan: _Plan, rows: Sequence[tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """The statement, with an array for each column or with the one value that all rows have in it.

    Encoding arrays is the greater part of what the driver does, and a third of a batch's columns hold one value (the
    community, the time, what does not apply). Few rows go as arrays always, so that there are not many statements.
    """
    values: list[Any] = []
    chosen, arrays, names = [], [], []
    for i, (column, cast) in enumerate(zip(zip(*rows, strict=True), plan.casts, strict=True), 1):
        if i > 1 and len(rows) >= _CONSTANT_LEAST and _is_constant(column):
            chosen.append(f"${i}::{cast}")
            values.append(column[0])
        else:
            chosen.append(f"a{i}")
            names.append(f"a{i}")
            arrays.append(f"${i}::{cast}[]")
            values.append(list(column))
    source = f"unnest({', '.join(arrays)}) AS a({', '.join(names)})"
    return f"{plan.head}SELECT {', '.join(chosen)} FROM {source}{plan.tail}", tuple(values)


def _is_constant(column: Sequence[Any]) -> bool:
    # Looking at three of them first: counting compares them all.
    first = column[0]
    return bool(first == column[-1] == column[len(column) // 2]) and column.count(first) == len(column)


async def insert_many(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert all rows; a conflict raises. All rows have the same keys."""
    await _insert(tx, table, rows)


async def insert_new(
    tx: Tx, table: Table, rows: Sequence[dict[str, Any]], *, key: Sequence[str]
) -> set[tuple[Any, ...]]:
    """Insert the rows whose `key` (a unique constraint) is not there yet; returns the keys that were new.

    Of several rows with one key in the call the first wins. On PostgreSQL this waits for a concurrent transaction
    that inserts the same key, and sees its outcome.
    """
    if not rows:
        return set()
    plan = _plan(tx, table, tuple(rows[0]), f"ON CONFLICT ({', '.join(key)}) DO NOTHING", tuple(key))
    columns = _columns(plan, rows)
    sent = list(zip(*(columns[plan.names.index(name)] for name in key), strict=True))
    # What comes back is what was sent: the caller's own key is found by it, which making it anew would not be worth.
    position = dict(zip(reversed(sent), range(len(rows) - 1, -1, -1), strict=True))
    values = list(zip(*columns, strict=True))
    returned = await _send(tx, plan, [values[position[k]] for k in sorted(position)])
    return {tuple([rows[position[tuple(row)]][name] for name in key]) for row in returned}


async def upsert(
    tx: Tx,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    update: Sequence[str],
    newer: str | None = None,
) -> None:
    """Insert, or set the `update` columns of the row that has the key. The keys of the call must be distinct.

    With `newer`, a row changes only where that column of the given row is higher: late news never undo later ones.
    """
    sets = ", ".join(f"{name} = excluded.{name}" for name in update)
    guard = f" WHERE {table.name}.{newer} < excluded.{newer}" if newer else ""
    await _insert(tx, table, rows, f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}{guard}", key=key)


async def add_up(
    tx: Tx,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    add: Sequence[str],
    keep: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert, or add the `add` columns to the row that has the key and set the `keep` columns; distinct keys.

    Returns the `returning` columns of every row after the change, in no particular order.
    """
    sets = [f"{name} = {table.name}.{name} + excluded.{name}" for name in add]
    sets += [f"{name} = excluded.{name}" for name in keep]
    conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(sets)}"
    return await _insert(tx, table, rows, conflict, returning, key)


async def try_lock(tx: Tx, key: str) -> bool:
    """Hold `key` until the transaction ends; False when another transaction holds it. SQLite has one writer: True."""
    if tx.dialect != "postgresql":
        return True
    query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))").bindparams(
        bindparam("key", type_=postgresql.TEXT())
    )
    return bool(await tx.scalar(query, {"key": key}))


async def lock_shared(tx: Tx, keys: Sequence[str]) -> None:
    """Hold the keys together with others until the transaction ends; waits for those who hold one alone. SQLite has one
    writer: nothing to do."""
    if tx.dialect == "postgresql" and keys:
        one = "pg_advisory_xact_lock_shared(hashtextextended(k, 0))"
        query = text(f"SELECT {one} FROM unnest(:keys) AS k").bindparams(
            bindparam("keys", type_=postgresql.ARRAY(postgresql.TEXT))
        )
        await tx.execute(query, {"keys": sorted(keys)})


async def lock_alone(tx: Tx, key: str) -> None:
    """Hold the key until the transaction ends; waits for those who hold it together."""
    if tx.dialect == "postgresql":
        query = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))").bindparams(
            bindparam("key", type_=postgresql.TEXT())
        )
        await tx.execute(query, {"key": key})


async def expect_many_rows(tx: Tx) -> None:
    """What follows in this transaction joins a great many rows: never row by row.

    PostgreSQL plans by statistics, and those of a community that has just imported its history say "one row": a join
    of 100,000 entries with 350 days then took 8 s in a loop, 0.3 s by hashing. SQLite is not asked.
    """
    if tx.dialect == "postgresql":
        await tx.execute(text("SET LOCAL enable_nestloop = off"))
