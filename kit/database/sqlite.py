"""The SQLite driver with one trip to its thread for each statement, or for all rows of an insert.

aiosqlite makes four of one statement: a cursor, the execution, the rows, the end of the cursor. Each is a queue, two
thread switches and a turn of the event loop, which for a look-up takes several times as long as SQLite does.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

Row = tuple[Any, ...]
STOP_SECONDS = 0.02

# SQLite keeps prepared statements, and one of many rows is large: 128 of 500 rows were 130 MB. Pieces of a few fixed
# sizes are a handful of small statements, prepared once each. Not one row at a time: between two executions the thread
# lets go of the interpreter's lock, and gets it back late while the event loop is busy.
_PIECES = (128, 32, 8, 2, 1)


class Rows(tuple[Row, ...]):
    """The parameters of one INSERT of many rows, all inserted on one trip. Its statement says `VALUES (?, …)` once."""

    def statements(self, sql: str) -> Iterator[tuple[str, Row]]:
        """What is sent for it: the statement with several rows, and their values one after the other."""
        head, _, rest = sql.partition("VALUES (")
        one, _, tail = rest.partition(")")
        start = 0
        for size in _PIECES:
            while len(self) - start >= size:
                many = f"{head}VALUES {', '.join([f'({one})'] * size)}{tail}"
                yield many, tuple(value for row in self[start : start + size] for value in row)
                start += size


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
        work = _rows_on_thread if isinstance(parameters, Rows) else partial(_on_thread, method)
        done = await self._connection.trip(partial(work, self._connection.sqlite, sql, parameters))
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

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """All rows of one statement, on one trip; those of an INSERT of many `Rows` together."""
        if isinstance(parameters, Rows):
            returned: list[Row] = (await self.trip(partial(_rows_on_thread, self.sqlite, sql, parameters)))[0]
            return returned
        rows: list[Row] = await self.trip(partial(_one_on_thread, self.sqlite, sql, parameters))
        return rows

    async def ask(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """All rows of one statement. When the caller is cancelled it is stopped, and over before this returns."""

        def on_thread() -> list[Row]:
            return self.sqlite.execute(sql, parameters).fetchall() if wanted else []

        wanted = True
        future: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, on_thread))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            wanted = False
            # Again and again: an interruption that comes just before the statement runs stops nothing.
            while not future.done():
                self.sqlite.interrupt()
                await asyncio.wait({future}, timeout=STOP_SECONDS)
            # How it ended is nobody's business, and looked at so that the event loop does not complain of it.
            future.exception()
            raise


def _rows_on_thread(connection: sqlite3.Connection, sql: str, rows: Rows) -> tuple[list[Row], Any, int, int | None]:
    cursor = connection.cursor()
    try:
        returned: list[Row] = []
        for statement, values in rows.statements(sql):
            cursor.execute(statement, values)
            if cursor.description:
                returned += cursor.fetchall()
        return returned, cursor.description, -1, None
    finally:
        cursor.close()


def _one_on_thread(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    cursor = connection.cursor()
    try:
        return cursor.execute(sql, parameters).fetchall()
    finally:
        cursor.close()


def _on_thread(
    method: str, connection: sqlite3.Connection, sql: str, parameters: Any
) -> tuple[list[Row], Any, int, int | None]:
    cursor = connection.cursor()
    try:
        getattr(cursor, method)(sql, parameters)
        rows = cursor.fetchall() if cursor.description else []
        return rows, cursor.description, cursor.rowcount, cursor.lastrowid
    finally:
        cursor.close()


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """For `create_async_engine(async_creator=…)`; awaited, it is open. `read_only`: see `read_only_uri`."""
    place = read_only_uri(path) if read_only else str(path)
    opening = partial(sqlite3.connect, place, uri=read_only, check_same_thread=False)
    connection = Connection(opening, iter_chunk_size=64)
    # A process that ends without closing its pools must not wait for their threads.
    connection._thread.daemon = True
    return connection


def read_only_uri(path: Path) -> str:
    """For `sqlite3.connect(…, uri=True)`: a file that must be there, and of which no byte is written.

    What a process that was killed left in the write-ahead log is read too and stays there: closing does not fold it
    into the file, as the last connection that could write would. (Beside the file `-shm` and an empty `-wal` may be
    left, which SQLite uses to keep readers and writers apart.)
    """
    return f"file:{quote(str(path.absolute()))}?mode=ro"
