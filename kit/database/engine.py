"""Connections and transactions.

SQLite: one file per service, WAL, `synchronous=FULL`, exactly one writer connection (transactions are
`BEGIN IMMEDIATE`, and only that connection ever checkpoints: the system library may carry the WAL-reset fault,
which needs two), readers on connections of their own that see a snapshot and block nobody.
PostgreSQL: a schema per service through `search_path`; writers READ COMMITTED, readers REPEATABLE READ, so that a
page and its rank come from one instant.
"""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Date, Executable, MetaData, Row, Table, Uuid, event, text
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from kit.clock import Clock
from kit.database import direct
from kit.database.asking import Asker
from kit.database.questions import Question
from kit.database.sqlite import connect
from kit.database.types import HexUuid, IsoDate, encode_json
from kit.errors import Unavailable

Params = dict[str, Any] | list[dict[str, Any]] | None

ASKERS = 4
"""Connections of a database that answer questions (`Database.ask`), at most."""

QUESTION_TIMEOUT = "5s"

# Deadlock, serialization, lock not available, told to stop or too slow, shutdown, crash, starting up, too many
# connections.
_PASSING_STATES = {"40P01", "40001", "55P03", "57014", "57P01", "57P02", "57P03", "53300", "25006"}


class DatabaseUnavailable(Unavailable):
    """The database is away or asked us to try again; nothing of the transaction was kept."""

    default_code = "database_unavailable"


def is_infrastructure(error: BaseException) -> bool:
    """True for trouble that passes by itself (retry), false for trouble with the message or the code."""
    if isinstance(error, (Unavailable, PoolTimeout, OSError, asyncio.TimeoutError)):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in _PASSING_STATES or state.startswith("08"):
            return True
        return error.connection_invalidated or (not state and isinstance(error, (OperationalError, InterfaceError)))
    return False


def unwritable(error: BaseException) -> str | None:
    """What a disk that is full or may not be written to said, where that is at the bottom of an error; else None."""
    cause: BaseException | None = error
    while cause is not None:
        original = getattr(cause, "orig", None) or cause
        of_file = getattr(original, "sqlite_errorcode", None)
        # The lowest byte is the kind of it, the next one says more.
        if getattr(original, "errno", None) in _NO_ROOM or (of_file is not None and of_file & 0xFF in _NO_FILE):
            return str(original)
        cause = cause.__cause__
    return None


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}
_NO_FILE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


class Tx:
    """The unit of work: one transaction, first argument of every handler and store function.

    `now` is fixed when it begins. `last` runs before the commit (outbox rows are written last), `after_commit`
    once it is durable (of one that only reads: once it is over). `request_id` is that of the request it serves, if
    any, from the first announcement on.
    Not safe for concurrent use: statements of one transaction follow one another.
    """

    __slots__ = ("after_commit", "conn", "database", "last", "now", "outbox", "request_id")

    def __init__(self, database: "Database", conn: AsyncConnection, now: datetime) -> None:
        self.database = database
        self.conn = conn
        self.now = now
        self.request_id: str | None = None
        self.outbox: list[dict[str, Any]] = []
        self.last: list[Callable[[Tx], Awaitable[None]]] = []
        self.after_commit: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        return self.conn.dialect.name

    async def execute(self, stmt: Executable, params: Params = None) -> CursorResult[Any]:
        result: CursorResult[Any] = await self.conn.execute(stmt, params)
        return result

    async def all(self, stmt: Executable, params: Params = None) -> list[Row[Any]]:
        return list((await self.conn.execute(stmt, params)).all())

    async def one(self, stmt: Executable, params: Params = None) -> Row[Any]:
        """Exactly one row; anything else is a bug and raises."""
        return (await self.conn.execute(stmt, params)).one()

    async def first(self, stmt: Executable, params: Params = None) -> Row[Any] | None:
        return (await self.conn.execute(stmt, params)).first()

    async def scalar(self, stmt: Executable, params: Params = None) -> Any:
        return (await self.conn.execute(stmt, params)).scalar()

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """All rows of a statement as the driver takes it and gives them."""
        return await direct.fetch(self.conn, sql, arguments)

    async def ask(self, question: Question, **params: Any) -> list[Any]:
        """The rows of a question, as this transaction sees them. KeyError for a parameter that is missing."""
        dialect = self.conn.dialect
        raw = await direct.fetch(self.conn, question.compiled(dialect).sql, question.arguments(dialect, params))
        return question.rows(dialect, raw)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done inside is undone when it raises, including outbox rows and what was to follow the commit."""
        kept, waiting, following = len(self.outbox), len(self.last), len(self.after_commit)
        try:
            async with self.conn.begin_nested():
                yield
        except BaseException:
            del self.outbox[kept:]
            del self.last[waiting:]
            del self.after_commit[following:]
            raise


class Database:
    """One service's database. `begin` writes, `read` reads a snapshot; both raise `DatabaseUnavailable` for trouble
    that passes. On SQLite writers wait for each other in order; on PostgreSQL for a connection of the pool."""

    def __init__(
        self,
        service: str,
        clock: Clock,
        metadata: MetaData,
        publishes: frozenset[type],
        writer: AsyncEngine,
        reader: AsyncEngine,
        path: Path | None,
        asker: Asker,
    ) -> None:
        self.service = service
        self.clock = clock
        self.metadata = metadata
        self.publishes = publishes
        self.path = path
        self.secret = ""
        """The installation's secret, set at start; what handlers derive their own keys from."""
        self.outbox_written = asyncio.Event()
        """Set after a commit that left something for the relay."""
        self._writer = writer
        self._reader = reader
        self._asker = asker
        self._turn = asyncio.Lock() if path else None

    @property
    def dialect(self) -> str:
        return self._writer.dialect.name

    def table(self, name: str) -> Table:
        """One of the service's tables, the kit's own among them."""
        return self.metadata.tables[name]

    @property
    def engine(self) -> AsyncEngine:
        """For migrations only; everybody else uses `begin` and `read`."""
        return self._writer

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        """A write transaction: commits on leaving, rolls back when the body raises."""
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Tx]:
        if self._turn is not None:
            await self._turn.acquire()
        try:
            with _translated():
                async with self._writer.begin() as conn:
                    tx = Tx(self, conn, self.clock())
                    yield tx
                    for step in tx.last:
                        await step(tx)
        finally:
            if self._turn is not None:
                self._turn.release()
        for done in tx.after_commit:
            done()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A read-only snapshot."""
        with _translated():
            async with self._reader.connect() as conn:
                tx = Tx(self, conn, self.clock())
                yield tx
        for done in tx.after_commit:
            done()

    async def ask(self, question: Question, **params: Any) -> list[Any]:
        """The rows of a question, as they are committed at one instant; in one trip, without a transaction.

        Waits up to 5 s for a connection of its own few. KeyError for a parameter that is missing.
        """
        dialect = self._asker.dialect
        with _translated():
            raw = await self._asker.fetch(question.compiled(dialect).sql, question.arguments(dialect, params))
        return question.rows(dialect, raw)

    @asynccontextmanager
    async def leadership(self, name: str) -> AsyncIterator["Leadership"]:
        """A connection on which `name` can be held by one process at a time (PostgreSQL session advisory lock)."""
        if self.path is not None:
            yield Leadership(None, name)
            return
        async with self._writer.connect() as conn:
            conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
            leadership = Leadership(conn, f"{self.service}:{name}")
            try:
                yield leadership
            finally:
                # A pooled connection would keep the session lock; closing the socket is what gives it up for sure.
                await conn.invalidate()

    async def check(self) -> None:
        """Raises `DatabaseUnavailable` unless a statement goes through."""
        async with self.read() as tx:
            await tx.scalar(text("SELECT 1"))

    async def close(self) -> None:
        # Readers first: the last connection of a SQLite file to close checkpoints it, and only the writer may.
        await self._asker.close()
        if self._reader is not self._writer:
            await self._reader.dispose()
        await self._writer.dispose()


class Leadership:
    """Whether this process is the one that does a thing. On SQLite there is only one process, and it is."""

    def __init__(self, conn: AsyncConnection | None, name: str) -> None:
        self._conn = conn
        self._name = name
        self._held = conn is None

    async def acquire(self) -> bool:
        """True while this process leads. Also notices that the connection, and with it the lead, was lost."""
        if self._conn is None:
            return True
        if self._held:
            await self._conn.execute(text("SELECT 1"))
            return True
        query = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        self._held = bool((await self._conn.execute(query, {"name": self._name})).scalar())
        return self._held


class _translated:
    """Turns passing trouble into `DatabaseUnavailable` and leaves everything else alone."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (DBAPIError, PoolTimeout, StatementError)) and is_infrastructure(error):
            raise DatabaseUnavailable("the database is not reachable just now; try again", retry_after=1) from error
        if isinstance(error, OSError) and not isinstance(error, Unavailable):
            raise DatabaseUnavailable("the database is not reachable just now; try again", retry_after=1) from error


def open_database(
    service: str,
    clock: Clock,
    *,
    metadata: MetaData,
    publishes: Iterable[type] = (),
    url: str = "",
    directory: Path | None = None,
    pool: int = 10,
    read_only: bool = False,
) -> Database:
    """PostgreSQL at `url` (schema named like the service), or `<directory>/<service>.sqlite`. Connects lazily.

    With `read_only` nothing can be written through it, and a file that is not there is not made.
    """
    if not url:
        if directory is None:
            raise ValueError("an embedded database needs a directory")
        path = directory / f"{service}.sqlite"
        if read_only:
            looking = _sqlite(path, writer=False, read_only=True)
            asker = Asker(_sqlite(path, writer=False, read_only=True), ASKERS)
            return Database(service, clock, metadata, frozenset(publishes), looking, looking, path, asker)
        engines = _sqlite(path, writer=True), _sqlite(path, writer=False)
        asker = Asker(_sqlite(path, writer=False), ASKERS)
        return Database(service, clock, metadata, frozenset(publishes), *engines, path, asker)
    unwritten = {"default_transaction_read_only": "on"}
    engine = _postgres(url, service, pool, **(unwritten if read_only else {}))
    reader = engine.execution_options(isolation_level="REPEATABLE READ")
    # Questions are few and the same: a plan made once for each, and none worth compiling to machine code. A server does
    # not notice that nobody waits any more, and would work on an abandoned one to its end.
    kept = {"plan_cache_mode": "force_generic_plan", "jit": "off", "statement_timeout": QUESTION_TIMEOUT, **unwritten}
    asker = Asker(_postgres(url, service, ASKERS, **kept), ASKERS)
    return Database(service, clock, metadata, frozenset(publishes), engine, reader, None, asker)


def _postgres(url: str, service: str, pool: int, **settings: str) -> AsyncEngine:
    return create_async_engine(
        make_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=5,
        json_serializer=encode_json,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": 5,
            "server_settings": {"search_path": service, "application_name": f"guildhall {service}", **settings},
        },
    )


def _sqlite(path: Path, *, writer: bool, read_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        async_creator=partial(connect, path, read_only=read_only),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if writer else 4,
        max_overflow=0,
        pool_timeout=30,
        # Each connection has a page cache and statements of its own: whoever reads alone keeps to one of the readers
        # instead of filling the caches of all in turns.
        pool_use_lifo=True,
    )
    engine.sync_engine.dialect.colspecs = {**engine.sync_engine.dialect.colspecs, Uuid: HexUuid, Date: IsoDate}
    pragmas = ["busy_timeout=10000", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "mmap_size=0"]
    pragmas += (
        ["journal_mode=WAL", "cache_size=-8000", "wal_autocheckpoint=4000"]
        if writer
        else ["query_only=ON", "wal_autocheckpoint=0", "cache_size=-4000"]
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: a read that later writes would then fail as busy.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(conn: Any) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine
