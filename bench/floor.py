"""What the database alone needs: the insert statements the product sent, sent again by the bare driver.

A tape keeps every INSERT (upserts are INSERTs too) with its parameters, transaction by transaction. Played on empty
tables of the same schema it is the same rows in the same number of statements and commits; no query, no rule, no
Python around it.
"""

import asyncio
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg  # type: ignore[import-untyped]  # it ships no types; only fetch and execute are used
from sqlalchemy import event
from sqlalchemy.engine import make_url

from kit.database import Database
from kit.database.sqlite import Rows

Statement = tuple[str, tuple[Any, ...]]
SQLITE = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=10000",
    "temp_store=MEMORY",
    "cache_size=-8000",
    "wal_autocheckpoint=4000",
)
"""What the product sets on its writing connection."""


class Tape:
    """The insert statements of one service, by transaction; those that were rolled back are not on it. `executed`
    counts statements of every kind, one for many rows that go in one trip."""

    def __init__(self, db: Database) -> None:
        self.service = db.service
        self.transactions: list[list[Statement]] = []
        self.executed = 0
        engine = db.engine.sync_engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)
        event.listen(engine, "begin", self._begin)

    @property
    def statements(self) -> int:
        return sum(map(len, self.transactions))

    def _statement(self, conn: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        self.executed += 1
        if sql.startswith("INSERT"):
            rows = parameters if many else [parameters]
            sent = parameters.statements(sql) if isinstance(parameters, Rows) else [(sql, tuple(row)) for row in rows]
            conn.info.setdefault("tape", []).extend(sent)

    def _commit(self, conn: Any) -> None:
        written = conn.info.pop("tape", [])
        if written:
            self.transactions.append(written)

    def _begin(self, conn: Any) -> None:
        # What was rolled back is forgotten here: a connection that broke has no place to keep anything any more.
        conn.info.pop("tape", None)


async def play(tapes: list[Tape], *, directory: Path, database_url: str) -> float:
    """Seconds until all of it is committed, the services side by side, each on one connection."""
    playing = [_postgres(t, database_url) if database_url else _sqlite(t, directory) for t in tapes]
    started = asyncio.get_running_loop().time()
    await asyncio.gather(*playing)
    return asyncio.get_running_loop().time() - started


async def _postgres(tape: Tape, database_url: str) -> None:
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url, server_settings={"search_path": tape.service})
    try:
        for statements in tape.transactions:
            async with connection.transaction():
                for sql, parameters in statements:
                    await connection.execute(sql, *parameters)
    finally:
        await connection.close()


async def _sqlite(tape: Tape, directory: Path) -> None:
    async with aiosqlite.connect(directory / f"{tape.service}.sqlite", isolation_level=None) as connection:
        for pragma in SQLITE:
            await connection.execute(f"PRAGMA {pragma}")
        for statements in tape.transactions:
            await connection.execute("BEGIN IMMEDIATE")
            for sql, parameters in statements:
                # Fetched to the end: a RETURNING that is left open does not let its transaction commit.
                await connection.execute_fetchall(sql, parameters)
            await connection.execute("COMMIT")
