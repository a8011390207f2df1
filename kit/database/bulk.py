"""Statements over many rows at once: what differs between SQLite and PostgreSQL, hidden in a few functions.

PostgreSQL takes one array per column through `unnest` (one statement text whatever the number of rows, so it is
planned once); SQLite takes multi-row VALUES. Rows are dicts by column name; column defaults do not apply.
Writers sort by key, so two transactions that touch the same rows lock them in the same order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Row,
    Table,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

from kit.database.engine import Tx

# SQLite keeps prepared statements, and one of many rows is large: 128 of 500 rows were 130 MB. Pieces of a few fixed
# sizes are a handful of small statements, prepared once each.
_SQLITE_ROWS = (64, 16, 4, 2, 1)
_PADDED_MOST = 2048

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
            tuple(_bind(c, dialect) for c in columns),
            tuple(_result(table.c[n], dialect) for n in returning),
            tuple(c.type.compile(dialect=dialect) for c in columns) if dialect.name != "sqlite" else (),
        )
    return plan


def _bind(col: Column[Any], dialect: Dialect) -> Processor:
    return col.type.dialect_impl(dialect).bind_processor(dialect)


def _result(col: Column[Any], dialect: Dialect) -> Processor:
    return col.type.dialect_impl(dialect).result_processor(dialect, None)


async def _insert(
    tx: Tx, table: Table, rows: Sequence[dict[str, Any]], conflict: str = "", returning: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    if not rows:
        return []
    plan = _plan(tx, table, tuple(rows[0]), conflict, tuple(returning))
    columns = [
        [row[name] for row in rows] if bind is None else [bind(row[name]) for row in rows]
        for name, bind in zip(plan.names, plan.binds, strict=True)
    ]
    out: list[tuple[Any, ...]] = []
    if tx.dialect == "postgresql":
        arrays = ", ".join(f"${i}::{cast}[]" for i, cast in enumerate(plan.casts, 1))
        sql = f"{plan.head}SELECT * FROM unnest({arrays}){plan.tail}"
        result = await tx.conn.exec_driver_sql(sql, tuple(columns))
        if returning:
            out.extend(tuple(r) for r in result.all())
    else:
        one = f"({', '.join('?' * len(plan.names))})"
        for part in _pieces(list(zip(*columns, strict=True))):
            # `WHERE true`-free VALUES with ON CONFLICT parses fine; only INSERT … SELECT is ambiguous there.
            sql = f"{plan.head}VALUES {', '.join([one] * len(part))}{plan.tail}"
            result = await tx.conn.exec_driver_sql(sql, tuple(v for row in part for v in row))
            if returning:
                out.extend(tuple(r) for r in result.all())
    if not any(plan.results):
        return out
    return [tuple(v if p is None else p(v) for p, v in zip(plan.results, row, strict=True)) for row in out]


def _pieces(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    start = 0
    for size in _SQLITE_ROWS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


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
    distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        distinct.setdefault(tuple(row[k] for k in key), row)
    ordered = [distinct[k] for k in sorted(distinct, key=_sort_key)]
    return set(await _insert(tx, table, ordered, f"ON CONFLICT ({', '.join(key)}) DO NOTHING", key))


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
    await _insert(tx, table, _by_key(rows, key), f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}{guard}")


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
    return await _insert(tx, table, _by_key(rows, key), conflict, returning)


def _by_key(rows: Sequence[dict[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: _sort_key(tuple(row[k] for k in key)))


def _sort_key(values: tuple[Any, ...]) -> tuple[str, ...]:
    """Any fixed order does, as long as every writer uses the same one."""
    return tuple(str(v) for v in values)


async def select_among(
    tx: Tx,
    what: Table | Sequence[ColumnElement[Any]],
    by: Column[Any] | Sequence[Column[Any]],
    values: Sequence[Any],
    *,
    where: ColumnElement[bool] | None = None,
    lock: bool = False,
    order_by: Sequence[ColumnElement[Any]] = (),
) -> list[Row[Any]]:
    """The rows whose column `by` is among `values` (or whose columns are among value tuples).

    `lock=True` takes row locks in key order until the transaction ends (SQLite's writer is alone anyway).
    An empty `values` asks nothing and returns [].
    """
    by = (by,) if isinstance(by, Column) else tuple(by)
    keys = list(dict.fromkeys(v if isinstance(v, tuple) else (v,) for v in values))
    if not keys:
        return []
    columns = list(what.columns) if isinstance(what, Table) else list(what)
    stmt = select(*columns)
    if tx.dialect == "postgresql":
        stmt, params = _joined_with_arrays(stmt, by, sorted(keys, key=_sort_key) if lock else keys)
    else:
        stmt, params = _joined_with_values(stmt, by, keys)
    if where is not None:
        stmt = stmt.where(where)
    if lock:
        # PostgreSQL locks rows as they come out of the sort; without it the order would be the plan's.
        stmt = stmt.order_by(*by).with_for_update(of=by[0].table)
    elif order_by:
        stmt = stmt.order_by(*order_by)
    return await tx.all(stmt, params)


def _joined_with_arrays(
    stmt: Any, by: Sequence[Column[Any]], keys: list[tuple[Any, ...]]
) -> tuple[Any, dict[str, Any]]:
    arrays = [bindparam(f"among_{i}", type_=ARRAY(c.type)) for i, c in enumerate(by)]
    names = [column(f"k{i}", c.type) for i, c in enumerate(by)]
    wanted = func.unnest(*arrays).table_valued(*names, name="among").render_derived()
    for i, col in enumerate(by):
        stmt = stmt.where(col == wanted.c[f"k{i}"])
    return stmt, {f"among_{i}": [k[i] for k in keys] for i in range(len(by))}


def _joined_with_values(
    stmt: Any, by: Sequence[Column[Any]], keys: list[tuple[Any, ...]]
) -> tuple[Any, dict[str, Any]]:
    # Lists come in a few lengths only, for the sake of the statements SQLite keeps: NULL equals nothing. Very long ones
    # are left as they are, so that filling up does not take them over the number of variables a statement may have.
    if len(keys) <= _PADDED_MOST:
        keys = keys + [(None,) * len(by)] * ((1 << (len(keys) - 1).bit_length()) - len(keys))
    if len(by) == 1:
        return stmt.where(by[0].in_(bindparam("among", expanding=True))), {"among": [k[0] for k in keys]}
    # Not `(a, b) IN (VALUES …)`: for that SQLite reads the whole table, whatever its indexes. Joined, it looks each up.
    rows = bindparam("among", expanding=True, type_=tuple_(*by).type)
    stmt = stmt.select_from(text(":among AS among").bindparams(rows))
    for i, col in enumerate(by, 1):
        stmt = stmt.where(col == literal_column(f"among.column{i}"))
    return stmt, {"among": keys}


async def delete_among(tx: Tx, table: Table, by: Sequence[Column[Any]], values: Sequence[tuple[Any, ...]]) -> None:
    """Delete the rows whose columns `by` are among the value tuples; one round trip whatever their number."""
    if not values:
        return
    if tx.dialect == "postgresql":
        arrays = [bindparam(f"among_{i}", type_=ARRAY(c.type)) for i, c in enumerate(by)]
        names = [column(f"k{i}", c.type) for i, c in enumerate(by)]
        gone = func.unnest(*arrays).table_valued(*names, name="among").render_derived()
        same = tuple_(*by).in_(select(*(gone.c[f"k{i}"] for i in range(len(by)))))
        params = {f"among_{i}": [v[i] for v in values] for i in range(len(by))}
        await tx.execute(delete(table).where(same), params)
    else:
        # One by one on a prepared statement: each is looked up, which a row of many columns among VALUES would not be.
        same_row = [col == bindparam(f"among_{i}", type_=col.type) for i, col in enumerate(by)]
        gone_rows = [{f"among_{i}": value for i, value in enumerate(row)} for row in values]
        await tx.execute(delete(table).where(*same_row), gone_rows)


async def try_lock(tx: Tx, key: str) -> bool:
    """Hold `key` until the transaction ends; False when another transaction holds it. SQLite has one writer: True."""
    if tx.dialect != "postgresql":
        return True
    query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))").bindparams(
        bindparam("key", type_=postgresql.TEXT())
    )
    return bool(await tx.scalar(query, {"key": key}))


async def expect_many_rows(tx: Tx) -> None:
    """What follows in this transaction joins a great many rows: never row by row.

    PostgreSQL plans by statistics, and those of a community that has just imported its history say "one row": a join
    of 100,000 entries with 350 days then took 8 s in a loop, 0.3 s by hashing. SQLite is not asked.
    """
    if tx.dialect == "postgresql":
        await tx.execute(text("SET LOCAL enable_nestloop = off"))
