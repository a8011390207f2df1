"""Whole tables from one database to another: read in the order of their keys, written with COPY.

A chunk is what stands behind a position; a position is the key of a chunk's last row, as bytes that can be kept.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, Row, Table, func, literal, select, text, tuple_

from kit.database.engine import Tx
from kit.database.types import JsonText, UtcDateTime

_HASH_BYTES = 8
HASHES = 1 << (8 * _HASH_BYTES)
_READ_AHEAD = 2000


def key_of(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def position_of(table: Table, row: Row[Any]) -> bytes:
    return msgspec.json.encode([row._mapping[column] for column in key_of(table)])


def _key_at(table: Table, position: bytes) -> list[Any]:
    values = msgspec.json.decode(position)
    return [msgspec.convert(v, _python(c)) for v, c in zip(values, key_of(table), strict=True)]


def _python(column: Column[Any]) -> type:
    if isinstance(column.type, UtcDateTime):
        return datetime
    found = column.type.python_type
    return found if found in (UUID, date, bytes, int, str) else str


async def rows_after(tx: Tx, table: Table, position: bytes | None, limit: int) -> Sequence[Row[Any]]:
    """The next rows in the order of the primary key, as this database sorts it."""
    key = key_of(table)
    stmt = select(table).order_by(*key).limit(limit)
    if position is not None:
        last = [literal(v, c.type) for v, c in zip(_key_at(table, position), key, strict=True)]
        stmt = stmt.where(key[0] > last[0] if len(key) == 1 else tuple_(*key) > tuple_(*last))
    return await tx.all(stmt)


async def all_rows(tx: Tx, table: Table) -> AsyncIterator[Sequence[Row[Any]]]:
    """Every row of a table on PostgreSQL once, in no order, some at a time through a cursor of the server."""
    result = await tx.conn.stream(select(table), execution_options={"yield_per": _READ_AHEAD})
    async for rows in result.partitions(_READ_AHEAD):
        yield rows


async def copy_in(tx: Tx, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Write rows (values in the order of the table's columns) into PostgreSQL, in the transaction of the caller, which
    must have run a statement in it before: only that begins it, and COPY goes past SQLAlchemy."""
    dialect = tx.conn.dialect
    binds = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.columns]
    columns = [
        values if bind is None else map(bind, values)
        for bind, values in zip(binds, zip(*rows, strict=True), strict=True)
    ]
    driver = (await tx.conn.get_raw_connection()).driver_connection
    assert driver is not None
    await driver.copy_records_to_table(
        table.name,
        schema_name=tx.database.service,
        columns=[column.name for column in table.columns],
        records=zip(*columns, strict=True),
    )


async def count_on(tx: Tx, table: Table) -> None:
    """Let a key that counts by itself go on behind the highest one that was copied in."""
    column = table.autoincrement_column
    if column is None or tx.dialect != "postgresql":
        return
    sequence = await tx.scalar(
        text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": f"{tx.database.service}.{table.name}", "c": column.name}
    )
    if sequence is not None:
        highest = await tx.scalar(select(func.coalesce(func.max(column), 0)))
        await tx.execute(text("SELECT setval(CAST(:s AS regclass), :n, false)"), {"s": sequence, "n": highest + 1})


async def renew_statistics(tx: Tx, table: Table) -> None:
    """Tell the planner what is there now; it still believes the table to be empty."""
    await tx.execute(text(f'ANALYZE "{table.name}"'))


class Hasher:
    """A number for rows that is the same whichever database they come from and in whichever order they come: the sum of
    a 64-bit hash of each. Equal sums of equal counts mean equal rows, but for a chance of one in 2^64."""

    def __init__(self, table: Table) -> None:
        self._json = [i for i, column in enumerate(table.columns) if isinstance(column.type, JsonText)]
        self._encode = msgspec.msgpack.Encoder().encode

    def of(self, rows: Sequence[Sequence[Any]]) -> int:
        total = 0
        for row in rows:
            values = list(row)
            for index in self._json:
                values[index] = _plain(values[index])
            total += int.from_bytes(blake2b(self._encode(values), digest_size=_HASH_BYTES).digest(), "big")
        return total % HASHES


def _plain(value: Any) -> Any:
    """A JSON value without what `jsonb` does not keep: the order of names, and how a number was written."""
    if isinstance(value, dict):
        return [[name, _plain(value[name])] for name in sorted(value)]
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, int) and abs(value) < 1 << 53:
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else repr(number)
