"""Rows by many keys at once: what is among a list of values, found through the index on either database.

PostgreSQL is given one array per column, SQLite a list of values. A look-up of plain columns is written out once and
goes to the driver as it is: of a look-up of five hundred rows, composing it with SQLAlchemy took the greater part.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Row,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.types import TypeEngine

from kit.database.bulk import Processor, bind_of, insert_new, result_of
from kit.database.engine import Tx
from kit.database.types import encode_json

_PADDED_MOST = 2048
Key = tuple[Any, ...]


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
    columns = tuple(what.columns) if isinstance(what, Table) else tuple(what)
    if where is None and not order_by and all(type(c) is Column and c.table is by[0].table for c in columns):
        return await _look_up(tx, _plan(tx, columns, by, lock), keys)
    stmt = select(*columns)
    if tx.dialect == "postgresql":
        stmt, params = _joined_with_arrays(stmt, by, keys)
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


async def lock_rows(tx: Tx, table: Table, by: Sequence[Column[Any]], rows: Sequence[dict[str, Any]]) -> list[Row[Any]]:
    """Hold the rows with the keys of `rows` until the transaction ends; their columns as they are in the table.

    PostgreSQL has to have a row to lock: those that are missing are inserted as given. SQLite's writer is alone:
    nothing is inserted, and what is missing does not come back.
    """
    keys = sorted({tuple([row[c.name] for c in by]) for row in rows})
    while True:
        if tx.dialect == "postgresql":
            await insert_new(tx, table, rows, key=[c.name for c in by])
        found = await select_among(tx, table, by, keys, lock=True)
        # A row that was there may be deleted before it is locked; without the lock two would both begin from nothing.
        if tx.dialect != "postgresql" or len(found) == len(keys):
            return found


@dataclass(frozen=True, slots=True)
class _Plan:
    """`before` and `after` stand around the values: all of the statement on PostgreSQL is `before`."""

    before: str
    after: str
    binds: tuple[Processor, ...]
    rows: SimpleResultMetaData


_plans: dict[tuple[Any, ...], _Plan] = {}


def _plan(tx: Tx, columns: Sequence[Any], by: Sequence[Column[Any]], lock: bool) -> _Plan:
    cache_key = (tx.dialect, columns, by, lock)
    plan = _plans.get(cache_key)
    if plan is None:
        dialect = tx.conn.dialect
        full = dialect.identifier_preparer.format_column
        table = dialect.identifier_preparer.format_table(by[0].table)
        chosen = ", ".join(full(c, use_table=True) for c in columns)
        keys = [full(c, use_table=True) for c in by]
        order = f" ORDER BY {', '.join(keys)}" if lock else ""
        if tx.dialect == "postgresql":
            arrays = ", ".join(f"${i}::{_array_type(c, dialect)}[]" for i, c in enumerate(by, 1))
            names = ", ".join(f"k{i}" for i in range(len(by)))
            same = " AND ".join(f"{key} = among.k{i}" for i, key in enumerate(keys))
            held = f"{order} FOR UPDATE OF {table}" if lock else ""
            before = f"SELECT {chosen} FROM {table}, unnest({arrays}) AS among({names}) WHERE {same}{held}"
            after = ""
        elif len(by) == 1:
            before, after = f"SELECT {chosen} FROM {table} WHERE {keys[0]} IN (", f"){order}"
        else:
            # Not `(a, b) IN (VALUES …)`: for that SQLite reads the whole table, whatever its indexes. Joined, it looks
            # each up.
            same = " AND ".join(f"{key} = among.column{i}" for i, key in enumerate(keys, 1))
            before = f"SELECT {chosen} FROM (VALUES "
            after = f") AS among, {table} WHERE {same}{order}"
        results: list[Any] = [result_of(c, dialect) for c in columns]
        metadata = SimpleResultMetaData([c.name for c in columns], _processors=results)
        plan = _plans[cache_key] = _Plan(before, after, tuple(bind_of(c, dialect) for c in by), metadata)
    return plan


def _array_type(col: Column[Any], dialect: Any) -> str:
    # Without its length: a cast to it would cut a value that is too long, and find the row of another.
    name: str = col.type.compile(dialect=dialect)
    return name.partition("(")[0]


async def _look_up(tx: Tx, plan: _Plan, keys: list[Key]) -> list[Row[Any]]:
    columns = zip(*keys, strict=True)
    bound = [list(c) if bind is None else list(map(bind, c)) for bind, c in zip(plan.binds, columns, strict=True)]
    if tx.dialect == "postgresql":
        found = await tx.fetch(plan.before, bound)
    else:
        asked = _padded(list(zip(*bound, strict=True)), len(bound))
        sql = f"{plan.before}{_marks(len(asked), len(bound))}{plan.after}"
        found = await tx.fetch(sql, tuple([value for key in asked for value in key]))
    rows: IteratorResult[Any] = IteratorResult(plan.rows, iter(found))
    return list(rows.all())


def given(tx: Tx, name: str, columns: Mapping[str, TypeEngine[Any]], rows: Iterable[Sequence[Any]]) -> Any:
    """Rows of the caller's to join with, called `name` and with these columns: numbers, text, ids, days and instants,
    no nulls. Of any number in a statement that is always the same.

    What is joined to them is looked up for each; `(a, b) IN (VALUES …)` reads the whole table on SQLite, and with a
    third table in between that for each of its rows.
    """
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    if tx.dialect == "postgresql":
        arrays = [bindparam(None, list(v), ARRAY(t)) for v, t in zip(values, columns.values(), strict=True)]
        named = [column(key, kind) for key, kind in columns.items()]
        return func.unnest(*arrays).table_valued(*named, name=name).render_derived()
    encoded = []
    for told, kind in zip(values, columns.values(), strict=True):
        bind = kind.dialect_impl(tx.conn.dialect).bind_processor(tx.conn.dialect)
        encoded.append(told if bind is None else [bind(value) for value in told])
    listing = encode_json(list(zip(*encoded, strict=True)))
    each = func.json_each(bindparam(None, listing, Text)).table_valued("value")
    parts = [func.json_extract(each.c.value, f"$[{i}]", type_=t) for i, t in enumerate(columns.values())]
    return select(*(part.label(key) for part, key in zip(parts, columns, strict=True))).subquery(name)


def _marks(many: int, width: int = 1) -> str:
    return ", ".join(["?" if width == 1 else f"({', '.join('?' * width)})"] * many)


def _padded(keys: list[Key], width: int) -> list[Key]:
    # Lists come in a few lengths only, for the sake of the statements SQLite keeps: NULL equals nothing. Very long ones
    # are left as they are, so that filling up does not take them over the number of variables a statement may have.
    if len(keys) > _PADDED_MOST:
        return keys
    return keys + [(None,) * width] * ((1 << (len(keys) - 1).bit_length()) - len(keys))


def _joined_with_arrays(stmt: Any, by: Sequence[Column[Any]], keys: list[Key]) -> tuple[Any, dict[str, Any]]:
    arrays = [bindparam(f"among_{i}", type_=ARRAY(c.type)) for i, c in enumerate(by)]
    names = [column(f"k{i}", c.type) for i, c in enumerate(by)]
    wanted = func.unnest(*arrays).table_valued(*names, name="among").render_derived()
    for i, col in enumerate(by):
        stmt = stmt.where(col == wanted.c[f"k{i}"])
    return stmt, {f"among_{i}": [k[i] for k in keys] for i in range(len(by))}


def _joined_with_values(stmt: Any, by: Sequence[Column[Any]], keys: list[Key]) -> tuple[Any, dict[str, Any]]:
    keys = _padded(keys, len(by))
    if len(by) == 1:
        return stmt.where(by[0].in_(bindparam("among", expanding=True))), {"among": [k[0] for k in keys]}
    # As above: joined, because `IN` would read the whole table.
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
        same, params = _among_arrays(by, values)
        await tx.execute(delete(table).where(same), params)
    elif len(by) == 1:
        bind = bind_of(by[0], tx.conn.dialect)
        rows = _padded([v if bind is None else (bind(v[0]),) for v in values], 1)
        quote = tx.conn.dialect.identifier_preparer
        sql = f"DELETE FROM {quote.format_table(table)} WHERE {quote.format_column(by[0])} IN ({_marks(len(rows))})"
        await tx.fetch(sql, tuple([value for (value,) in rows]))
    else:
        # One by one on a prepared statement: each is looked up, which a row of many columns among VALUES would not be.
        same_row = [col == bindparam(f"among_{i}", type_=col.type) for i, col in enumerate(by)]
        gone_rows = [{f"among_{i}": value for i, value in enumerate(row)} for row in values]
        await tx.execute(delete(table).where(*same_row), gone_rows)


async def update_among(
    tx: Tx, table: Table, by: Sequence[Column[Any]], keys: Sequence[tuple[Any, ...]], values: Mapping[str, Any]
) -> None:
    """Set the same `values` (they may be expressions) in the rows whose columns `by` are among the keys; one round
    trip. Rows are locked in no particular order: who calls this holds them, or something that stands for them."""
    if not keys:
        return
    if tx.dialect == "postgresql":
        same, params = _among_arrays(by, keys)
        await tx.execute(update(table).where(same).values(**values), params)
    else:
        same_row = [col == bindparam(f"among_{i}", type_=col.type) for i, col in enumerate(by)]
        rows = [{f"among_{i}": value for i, value in enumerate(row)} for row in keys]
        await tx.execute(update(table).where(*same_row).values(**values), rows)


def _among_arrays(by: Sequence[Column[Any]], keys: Sequence[tuple[Any, ...]]) -> tuple[Any, dict[str, Any]]:
    """PostgreSQL's condition that the columns are among the keys, and its parameters."""
    arrays = [bindparam(f"among_{i}", type_=ARRAY(c.type)) for i, c in enumerate(by)]
    names = [column(f"k{i}", c.type) for i, c in enumerate(by)]
    wanted = func.unnest(*arrays).table_valued(*names, name="among").render_derived()
    same = tuple_(*by).in_(select(*(wanted.c[f"k{i}"] for i in range(len(by)))))
    return same, {f"among_{i}": [key[i] for key in keys] for i in range(len(by))}
