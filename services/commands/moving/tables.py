"""The tables of one service, a chunk a transaction: its rows and how far the copy is, together or not at all."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table

from kit.database import PLACES_ON_THE_LOG, Database
from kit.database.copying import (
    HASHES,
    Hasher,
    all_rows,
    copy_in,
    count_on,
    position_of,
    renew_statistics,
    rows_after,
)
from services.commands.moving import progress
from services.commands.moving.progress import Copied

Say = Callable[[str], None]


class CannotCopy(Exception):
    """A table's rows cannot be written over there; names the table and the reason."""


def moved_tables(db: Database) -> list[Table]:
    """All but those that hold places on the log that is left behind."""
    return [t for _, t in sorted(db.metadata.tables.items()) if not t.info.get(PLACES_ON_THE_LOG)]


async def copy_service(source: Database, target: Database, *, chunk: int, say: Say) -> None:
    """Copy what is not over there yet. Killed at any moment, the next call goes on behind the last chunk."""
    tables = moved_tables(source)
    await progress.add_tables(target, target.service, [table.name for table in tables])
    for table in tables:
        while await _copy_chunk(source, target, table, chunk, say):
            pass


async def _copy_chunk(source: Database, target: Database, table: Table, chunk: int, say: Say) -> bool:
    """True when there may be more."""
    async with target.begin() as tx:
        at = await progress.of(tx, target.service, table.name, lock=True)
        if at.done:
            return False
        async with source.read() as reading:
            found = await rows_after(reading, table, at.position, chunk)
        if found:
            rows = translated(table, found)
            try:
                await copy_in(tx, table, rows)
            except Exception as error:
                # The driver's own errors: they pass SQLAlchemy by, and any of them leaves the chunk out as a whole.
                raise CannotCopy(f"{target.service}.{table.name}: {error}") from error
            position, rows_now = position_of(table, found[-1]), at.rows + len(found)
            now = Copied(position, rows_now, (at.hash + Hasher(table).of(rows)) % HASHES, done=False)
        else:
            await count_on(tx, table)
            await renew_statistics(tx, table)
            now = Copied(at.position, at.rows, at.hash, done=True)
        await progress.note(tx, target.service, table.name, now)
    say(f"copied {target.service}.{table.name} {now.rows}")
    return not now.done


def translated(table: Table, rows: Sequence[Any]) -> list[Sequence[Any]]:
    """The rows as they are over there: places on the log are marked as those of another one, with a negative
    partition, which no log has."""
    names = list(table.columns.keys())
    if "log_partition" not in names:
        return [tuple(row) for row in rows]
    index = names.index("log_partition")
    return [(*row[:index], -1 - row[index], *row[index + 1 :]) for row in rows]


async def hashed(db: Database, table: Table) -> tuple[int, int]:
    """How many rows the target has, and their hash."""
    count, total, hasher = 0, 0, Hasher(table)
    async with db.read() as tx:
        async for rows in all_rows(tx, table):
            count += len(rows)
            total += hasher.of([tuple(row) for row in rows])
    return count, total % HASHES
