"""How far a move has come, kept in the target and in the very transactions that bring it further."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)
from sqlalchemy import inspect as inspect_connection

from kit.database import Database, Tx, UtcDateTime

SCHEMA = "guildhall_move"

_metadata = MetaData(schema=SCHEMA)

moves = Table(
    "moves",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)

# `hash` is of the rows copied so far, `position` the key of the last of them.
copied = Table(
    "copied",
    _metadata,
    Column("service", String(30), primary_key=True),
    Column("table_name", String(60), primary_key=True),
    Column("position", LargeBinary),
    Column("rows", BigInteger, nullable=False),
    Column("hash", Numeric(20, 0), nullable=False),
    Column("done", Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Move:
    """A move to this target; `finished_at` is None while it is under way."""

    source: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Copied:
    position: bytes | None = None
    rows: int = 0
    hash: int = 0
    done: bool = False


async def prepare(db: Database) -> Move | None:
    """Make the tables of this module in the target; the move it knows of, if any."""
    async with db.engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:n, 0))"), {"n": SCHEMA})
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        await connection.run_sync(_metadata.create_all)
    async with db.read() as tx:
        row = await tx.first(select(moves))
    return None if row is None else Move(row.source, row.started_at, row.finished_at)


async def begin(db: Database, source: str) -> None:
    """Note that this target is being filled, and from what."""
    async with db.begin() as tx:
        await tx.execute(insert(moves).values(id=1, source=source, started_at=tx.now, finished_at=None))


async def finish(tx: Tx) -> None:
    await tx.execute(update(moves).values(finished_at=tx.now))


async def of(tx: Tx, service: str, table: str, *, lock: bool = False) -> Copied:
    """How far one table is; `lock` keeps a second process that does the same out until the transaction ends."""
    stmt = select(copied).where(copied.c.service == service, copied.c.table_name == table)
    row = await tx.first(stmt.with_for_update() if lock else stmt)
    return Copied() if row is None else Copied(row.position, row.rows, int(row.hash), row.done)


async def add_tables(db: Database, service: str, tables: list[str]) -> None:
    """A row for each that has none yet."""
    async with db.begin() as tx:
        there = {row.table_name for row in await tx.all(select(copied).where(copied.c.service == service))}
        for name in sorted(set(tables) - there):
            values = {"service": service, "table_name": name, "rows": 0, "hash": 0, "done": False}
            await tx.execute(insert(copied).values(**values))


async def note(tx: Tx, service: str, table: str, now: Copied) -> None:
    stmt = update(copied).where(copied.c.service == service, copied.c.table_name == table)
    await tx.execute(stmt.values(position=now.position, rows=now.rows, hash=now.hash, done=now.done))


async def strangers(db: Database) -> list[str]:
    """What is in the service's schema of the target and keeps a move out: tables that are not ours, rows in ours."""

    def names(connection: object) -> list[str]:
        return list(inspect_connection(connection).get_table_names(schema=db.service))

    async with db.read() as tx:
        there = await tx.conn.run_sync(names)
        ours = set(db.metadata.tables) | {"alembic_version"}
        out = [f"a table {db.service}.{name} of somebody else's" for name in there if name not in ours]
        for name in sorted(ours & set(there) - {"alembic_version"}):
            if await tx.first(select(db.table(name)).limit(1)) is not None:
                out.append(f"rows in {db.service}.{name}")
    return out
