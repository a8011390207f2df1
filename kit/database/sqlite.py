"""The SQLite driver with one trip to its thread for each statement.

aiosqlite makes four of one statement: a cursor, the execution, the rows, the end of the cursor. Each is a queue, two
thread switches and a turn of the event loop, which for a look-up takes several times as long as SQLite does.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite

Row = tuple[Any, ...]


class Cursor:
    """What SQLAlchemy asks of an asynchronous cursor. Rows are all fetched with the execution."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        return await self._run("execute", sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> "Cursor":
        return await self._run("executemany", sql, parameters)

    async def _run(self, method: str, sql: str, parameters: Any) -> "Cursor":
        done = await self._connection.trip(partial(_on_thread, self._connection.sqlite, method, sql, parameters))
        self._rows, self.description, self.rowcount, self.lastrowid = done
        return self

    async def fetchall(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []


class Connection(aiosqlite.Connection):
    """aiosqlite's connection and thread, with cursors of our own."""

    def cursor(self) -> Any:
        return Cursor(self)

    @property
    def sqlite(self) -> sqlite3.Connection:
        return self._conn

    async def trip(self, work: Any) -> Any:
        """Run on the connection's thread, after what was asked for before."""
        return await self._execute(work)  # type: ignore[no-untyped-call]  # aiosqlite's own way, without types


def _on_thread(
    connection: sqlite3.Connection, method: str, sql: str, parameters: Any
) -> tuple[list[Row], Any, int, int | None]:
    cursor = connection.cursor()
    try:
        getattr(cursor, method)(sql, parameters)
        rows = cursor.fetchall() if cursor.description else []
        return rows, cursor.description, cursor.rowcount, cursor.lastrowid
    finally:
        cursor.close()


def connect(path: Path) -> Connection:
    """For `create_async_engine(async_creator=…)`; awaited, it is open."""
    connection = Connection(partial(sqlite3.connect, path, check_same_thread=False), iter_chunk_size=64)
    # A process that ends without closing its pools must not wait for their threads.
    connection._thread.daemon = True
    return connection
