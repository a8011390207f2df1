"""The connections that questions go over: few, opened when first needed, and each asked by one caller at a time.

They are asked directly, past SQLAlchemy's pool and transaction: `questions` says why.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kit.database.sqlite import Connection

Rows = Sequence[Sequence[Any]]
PATIENCE = 5.0
"""Seconds a question waits for a connection."""


class _Driver(Protocol):
    """One connection. Cancelled, `fetch` leaves it such that the next statement gets its own answer, or `lost`."""

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Rows: ...

    @property
    def lost(self) -> bool: ...


class _Sqlite:
    """A reader of a SQLite file: one trip to its thread for a statement and all its rows."""

    lost = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Rows:
        return await self._connection.ask(sql, arguments)


class _Postgres:
    """A connection of asyncpg outside any transaction: one round trip for a statement it has prepared before."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Rows:
        try:
            rows: Rows = await self._connection.fetch(sql, *arguments)
        except asyncio.CancelledError:
            # The answer may be half read; a connection is made sooner than that is sorted out with the server.
            self._connection.terminate()
            raise
        return rows

    @property
    def lost(self) -> bool:
        return bool(self._connection.is_closed())


class Asker:
    """At most `most` connections of an engine, which is the asker's own. The one used last is used first, since its
    caches are warm. Errors are SQLAlchemy's, as if it had been asked; its `TimeoutError` after `PATIENCE`."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._room = asyncio.Semaphore(most)
        self._idle: list[tuple[AsyncConnection, _Driver]] = []

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Rows:
        """All rows of one statement. A caller that is cancelled leaves nothing behind that the next one would meet."""
        await self._enter()
        try:
            conn, driver = await self._connection()
            try:
                return await driver.fetch(sql, arguments)
            except Exception as error:
                # Whatever either driver raises: callers know SQLAlchemy's errors only, and tell by them what passes.
                raise DBAPIError.instance(sql, None, error, Exception) from error
            finally:
                if driver.lost:
                    await _drop(conn)
                else:
                    self._idle.append((conn, driver))
        finally:
            self._room.release()

    async def _enter(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._room.acquire()
        except TimeoutError as error:
            raise PoolTimeout(f"no connection for a question within {PATIENCE:.0f} s") from error

    async def _connection(self) -> tuple[AsyncConnection, _Driver]:
        while self._idle:
            conn, driver = self._idle.pop()
            if not driver.lost:
                return conn, driver
            await _drop(conn)
        conn = await self._engine.connect()
        try:
            raw = (await conn.get_raw_connection()).driver_connection
        except BaseException:
            await _drop(conn)
            raise
        return conn, _Sqlite(raw) if isinstance(raw, Connection) else _Postgres(raw)

    async def close(self) -> None:
        """Nobody asks any more."""
        while self._idle:
            await self._idle.pop()[0].close()
        await self._engine.dispose()


async def _drop(conn: AsyncConnection) -> None:
    await conn.invalidate()
    await conn.close()
