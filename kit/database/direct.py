"""Statements that are written as the driver takes them, sent within a transaction of SQLAlchemy's and past the rest of
it.

Of a statement that is ready, SQLAlchemy's context, cursor, result and switches of stacks took longer than the database
did, and an entry takes half a dozen. Begin, commit, savepoints and the pool stay SQLAlchemy's.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.database.sqlite import Connection

INTEGRITY = "23"
"""The class of PostgreSQL's states of constraints that do not hold."""


async def fetch(conn: AsyncConnection, sql: str, arguments: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """All rows of one statement; `arguments` in its order, or `Rows` for SQLite. Heard by whoever listens to the
    engine's `before_cursor_execute`. Errors are SQLAlchemy's. Who is cancelled loses the connection, as with it."""
    if not conn.in_transaction():
        await conn.begin()
    inner: Any = conn.sync_connection
    for hear in inner.dispatch.before_cursor_execute:
        hear(inner, None, sql, arguments, None, False)
    pooled = inner.connection
    driver = pooled.driver_connection
    try:
        if isinstance(driver, Connection):
            sqlite_rows: Sequence[Sequence[Any]] = await driver.fetch(sql, arguments)
            return sqlite_rows
        adapter = pooled.dbapi_connection
        if adapter._transaction is None:
            # The dialect begins with the first statement that it sends itself.
            await adapter._start_transaction()
        rows: Sequence[Sequence[Any]] = await driver.fetch(sql, *arguments)
    except OSError:
        await conn.invalidate()
        raise
    except Exception as error:
        # Whatever either driver raises: callers know SQLAlchemy's errors only, and tell by them what passes.
        lost = not isinstance(driver, Connection) and driver.is_closed()
        if lost:
            await conn.invalidate(error)
        raise _as_sqlalchemys(sql, error, lost) from error
    except BaseException as error:
        # Cancelled: the answer may be half read, and nobody knows what was done.
        await conn.invalidate(error)
        raise
    return rows


def _as_sqlalchemys(sql: str, error: Exception, lost: bool) -> Exception:
    state = getattr(error, "sqlstate", None)
    if state is not None and state.startswith(INTEGRITY):
        return IntegrityError(sql, None, error, connection_invalidated=lost)
    return DBAPIError.instance(sql, None, error, Exception, connection_invalidated=lost)
