"""The log in one SQLite file, for a platform that is one process.

Appends are group-committed: everything that was queued while the last commit ran is one transaction with
`synchronous=FULL`, and all records of one partition in it are one row, a batch compressed as a whole. A single
writer thread owns the only writing connection; readers use connections of their own and block nobody.
A second process on the same file refuses to start. Consumer groups live in this process, their offsets in the file.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from kit.clock import Clock, system_clock
from kit.log import LogUnavailable, Partition, Position, Record, RecordTooLarge, Revoked, Stored, Topic, TopicMismatch
from kit.log.batches import MAX_RECORDS, Entry, pack, unpack
from kit.log.compaction import compact_step
from kit.log.partitioner import partition_of

logger = structlog.get_logger(__name__)
T = TypeVar("T")

MAX_RECORD_BYTES = 1024 * 1024
READ_ROWS = 16
RETENTION_STEP = 100

SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, partitions INTEGER NOT NULL,
  compacted INTEGER NOT NULL, retention INTEGER);
CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
  last INTEGER NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS batches_by_offset ON batches (topic, partition, last);
CREATE TABLE IF NOT EXISTS positions (consumers TEXT NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
  next INTEGER NOT NULL, PRIMARY KEY (consumers, topic, partition)) WITHOUT ROWID;
"""


@dataclass(slots=True)
class _Append:
    topic: int
    by_partition: dict[int, list[tuple[int, Record]]]
    done: asyncio.Future[list[Position]]
    size: int


@dataclass(slots=True)
class _Work:
    """Anything else the writer connection is asked to do, inside a transaction of its own turn."""

    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Group:
    members: list["_Subscription"] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)


class EmbeddedLog:
    """See `kit.log.Log`. `partitions` is for new topics; one is right for one process."""

    def __init__(self, path: Path, *, partitions: int = 1, clock: Clock = system_clock) -> None:
        self._path = path
        self._partitions = partitions
        self._clock = clock
        self._queue: queue.SimpleQueue[_Append | _Work | None] = queue.SimpleQueue()
        self._topics: dict[str, tuple[int, Topic, int]] = {}
        self._names: dict[int, str] = {}
        self._ends: dict[tuple[int, int], int] = {}
        self._groups: dict[str, _Group] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="log-reader")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._thread: threading.Thread | None = None
        self._lock_file: int | None = None

    # Starting and stopping

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock()
        try:
            writer = self._connect(self._path, writing=True)
            writer.executescript(SCHEMA)
            self._load(writer)
        except sqlite3.Error as error:
            self._unlock()
            raise LogUnavailable(f"the log at {self._path} cannot be opened: {error}") from error
        self._thread = threading.Thread(target=self._write_loop, args=(writer,), name="log-writer", daemon=True)
        self._thread.start()

    def _lock(self) -> None:
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise LogUnavailable(
                f"another process uses {self._path.parent}; an embedded installation is one process: stop it first, "
                "or choose another GUILDHALL_DATA_DIR"
            ) from error
        self._lock_file = handle

    def _connect(self, path: Path, *, writing: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        pragmas = ["journal_mode=WAL", "synchronous=FULL"] if writing else ["query_only=ON", "wal_autocheckpoint=0"]
        for pragma in (*pragmas, "mmap_size=0", "cache_size=-4000"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _load(self, writer: sqlite3.Connection) -> None:
        for id, name, partitions, compacted, retention in writer.execute("SELECT * FROM topics"):
            keep = None if retention is None else timedelta(microseconds=retention)
            self._know(id, Topic(name, bool(compacted), keep), partitions)
        ends = "SELECT topic, partition, max(last) FROM batches GROUP BY topic, partition"
        for topic, partition, last in writer.execute(ends):
            self._ends[topic, partition] = last + 1
        for group, topic, partition, following in writer.execute("SELECT * FROM positions"):
            name = self._names[topic]
            self._groups.setdefault(group, _Group()).committed[Partition(name, partition)] = following

    def _know(self, id: int, topic: Topic, partitions: int) -> None:
        self._topics[topic.name] = (id, topic, partitions)
        self._names[id] = topic.name
        self._wakes.setdefault(topic.name, asyncio.Event())
        for partition in range(partitions):
            self._ends.setdefault((id, partition), 0)

    async def stop(self) -> None:
        # From here on appends are refused: one that was queued behind the last word would never be answered.
        thread, self._thread = self._thread, None
        await asyncio.to_thread(self._readers.shutdown)
        # Readers first: the last connection of a file to close checkpoints it, and only the writer may.
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    # Topics

    async def ensure(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            known = self._topics.get(topic.name)
            if known is None:
                retention = None if topic.retention is None else topic.retention // timedelta(microseconds=1)
                row = (topic.name, self._partitions, int(topic.compacted), retention)
                insert = "INSERT INTO topics (name, partitions, compacted, retention) VALUES (?, ?, ?, ?)"
                id = await self._do(partial(_insert_row, insert, row))
                self._know(id, topic, self._partitions)
            elif known[1].compacted != topic.compacted:
                raise TopicMismatch(
                    f"{topic.name} exists with compacted={known[1].compacted}; move the data away first"
                )
            elif known[1].retention != topic.retention:
                retention = None if topic.retention is None else topic.retention // timedelta(microseconds=1)
                await self._do(
                    partial(_insert_row, "UPDATE topics SET retention = ? WHERE id = ?", (retention, known[0]))
                )
                self._know(known[0], topic, known[2])

    # Writing

    async def append(self, topic: str, records: Sequence[Record]) -> list[Position]:
        id, _, partitions = self._topics[topic]
        by_partition: dict[int, list[tuple[int, Record]]] = {}
        size = 0
        for index, record in enumerate(records):
            length = len(record.key) + len(record.value or b"")
            if length > MAX_RECORD_BYTES:
                raise RecordTooLarge(f"a record of {length} bytes is over the limit of {MAX_RECORD_BYTES}")
            size += length
            partition = partition_of(record.key, partitions) if partitions > 1 else 0
            by_partition.setdefault(partition, []).append((index, record))
        if not records:
            return []
        positions: list[Position] = await self._put(lambda done: _Append(id, by_partition, done, size))
        return positions

    async def _do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run on the writer connection, durably."""
        result: T = await self._put(lambda done: _Work(run, done))
        return result

    async def _put(self, make: Callable[[asyncio.Future[Any]], _Append | _Work]) -> Any:
        if self._thread is None or not self._thread.is_alive():
            raise LogUnavailable("the log is not open")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(make(done))
        return await done

    def _write_loop(self, writer: sqlite3.Connection) -> None:
        going = True
        while going:
            jobs: list[_Append | _Work] = []
            first = self._queue.get()
            going = first is not None
            if first is not None:
                jobs.append(first)
            while True:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    going = False
                else:
                    jobs.append(job)
            if jobs:
                self._commit(writer, jobs)
        writer.close()

    def _commit(self, writer: sqlite3.Connection, jobs: list[_Append | _Work]) -> None:
        ends = dict(self._ends)
        try:
            writer.execute("BEGIN IMMEDIATE")
            results = self._write_appends(writer, [j for j in jobs if isinstance(j, _Append)], ends)
            for job in jobs:
                if isinstance(job, _Work):
                    results[id(job)] = job.run(writer)
            writer.execute("COMMIT")
        except Exception as error:
            # Whatever it was (disk full, I/O), nothing of this commit is durable and every caller must hear it.
            failure = LogUnavailable(f"the log could not be written: {error}")
            self._tell(lambda: [j.done.set_exception(failure) for j in jobs if not j.done.done()])
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            return
        self._ends = ends
        touched = {self._names[j.topic] for j in jobs if isinstance(j, _Append)}

        def announce() -> None:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(results[id(job)])
            for name in touched:
                self._wakes[name].set()
                self._wakes[name] = asyncio.Event()

        self._tell(announce)

    def _tell(self, what: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _write_appends(
        self, writer: sqlite3.Connection, appends: list[_Append], ends: dict[tuple[int, int], int]
    ) -> dict[int, Any]:
        results: dict[int, Any] = {}
        at = int(self._clock().timestamp() * 1_000_000)
        gathered: dict[tuple[int, int], list[Entry]] = {}
        for job in appends:
            positions: list[Position | None] = [None] * sum(map(len, job.by_partition.values()))
            for partition, records in job.by_partition.items():
                place = (job.topic, partition)
                entries = gathered.setdefault(place, [])
                for index, record in records:
                    positions[index] = Position(partition, ends[place])
                    entries.append((ends[place], record.key, record.value))
                    ends[place] += 1
            results[id(job)] = positions
        rows = [
            (topic, partition, part[-1][0], at, pack(part))
            for (topic, partition), entries in gathered.items()
            for part in (entries[i : i + MAX_RECORDS] for i in range(0, len(entries), MAX_RECORDS))
        ]
        writer.executemany("INSERT INTO batches (topic, partition, last, at, body) VALUES (?, ?, ?, ?, ?)", rows)
        return results

    # Reading

    async def read(self, place: Partition, offset: int) -> list[Entry]:
        """Entries from `offset` on, some batches of them; [] at the end."""
        if self._thread is None:
            raise LogUnavailable("the log is not open")
        id = self._topics[place.topic][0]
        if self._ends[id, place.number] <= offset:
            return []
        query = "SELECT body FROM batches WHERE topic = ? AND partition = ? AND last >= ? ORDER BY last LIMIT ?"
        try:
            return await self._loop.run_in_executor(
                self._readers, self._read, query, (id, place.number, offset, READ_ROWS), offset
            )
        except sqlite3.Error as error:
            raise LogUnavailable(f"the log could not be read: {error}") from error

    def _read(self, query: str, parameters: tuple[Any, ...], offset: int) -> list[Entry]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(self._path, writing=False)
            self._opened.append(connection)
        rows = connection.execute(query, parameters).fetchall()
        return [entry for (body,) in rows for entry in unpack(body) if entry[0] >= offset]

    async def subscribe(self, group: str, topics: Sequence[str]) -> "_Subscription":
        members = self._groups.setdefault(group, _Group()).members
        subscription = _Subscription(self, group, tuple(topics))
        members.append(subscription)
        self.rebalance(group)
        return subscription

    def rebalance(self, group: str) -> None:
        """Deal the partitions of each topic out over the members that want it."""
        members = self._groups[group].members
        shares: dict[int, set[Partition]] = {id(m): set() for m in members}
        for topic in {t for m in members for t in m.topics}:
            takers = [m for m in members if topic in m.topics]
            for number in range(self._topics[topic][2]):
                shares[id(takers[number % len(takers)])].add(Partition(topic, number))
        for member in members:
            member.assign(frozenset(shares[id(member)]))

    def leave(self, group: str, member: "_Subscription") -> None:
        members = self._groups[group].members
        if member in members:
            members.remove(member)
            self.rebalance(group)

    def committed(self, group: str, place: Partition) -> int:
        return self._groups[group].committed.get(place, 0)

    def wake_of(self, topic: str) -> asyncio.Event:
        return self._wakes[topic]

    async def move(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Durably set the group's next-to-read offsets."""
        rows = [(group, self._topics[p.topic][0], p.number, following) for p, following in offsets.items()]
        # Only a number leaves the writer thread: a cursor that dies in another one resets the statement in use there.
        await self._do(lambda c: c.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", rows).rowcount)
        self._groups[group].committed.update(offsets)

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
        committed = self._groups[group].committed if group in self._groups else {}
        out = {}
        for topic in topics:
            id, _, partitions = self._topics[topic]
            for number in range(partitions):
                place = Partition(topic, number)
                out[place] = max(0, self._ends[id, number] - committed.get(place, 0))
        return out

    async def check(self) -> None:
        await self._do(lambda c: c.execute("SELECT 1").fetchone())

    # Housekeeping

    async def maintain(self) -> None:
        """Drop what is past retention, and what compaction supersedes, in small steps between appends."""
        for id, topic, partitions in list(self._topics.values()):
            for number in range(partitions):
                if topic.compacted:
                    await self._compact(id, number)
                elif topic.retention is not None:
                    await self._expire(id, number, topic.retention)

    async def _expire(self, topic: int, partition: int, keep: timedelta) -> None:
        before = int((self._clock() - keep).timestamp() * 1_000_000)
        # The newest row stays whatever its age: it is what remembers the next offset.
        query = (
            "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE topic = :t AND partition = :p AND at < :b "
            "AND last < (SELECT max(last) FROM batches WHERE topic = :t AND partition = :p) ORDER BY last LIMIT :n)"
        )
        values = {"t": topic, "p": partition, "b": before, "n": RETENTION_STEP}
        while await self._do(lambda c: c.execute(query, values).rowcount) == RETENTION_STEP:
            await asyncio.sleep(0)

    async def _compact(self, topic: int, partition: int) -> None:
        seen: dict[bytes, int] = {}
        below: int | None = None
        while True:
            below = await self._do(partial(_compact_from, topic, partition, seen, below))
            if below is None:
                return


def _insert_row(statement: str, row: tuple[Any, ...], writer: sqlite3.Connection) -> int:
    return writer.execute(statement, row).lastrowid or 0


def _compact_from(
    topic: int, partition: int, seen: dict[bytes, int], below: int | None, writer: sqlite3.Connection
) -> int | None:
    return compact_step(writer, topic, partition, seen, below)


class _Subscription:
    """See `kit.log.Subscription`."""

    def __init__(self, log: EmbeddedLog, group: str, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self._log = log
        self._group = group
        self._assigned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._buffers: dict[Partition, list[Entry]] = {}
        self._lost: set[Partition] = set()
        self._changed = asyncio.Event()
        self._turn = 0

    def assign(self, partitions: frozenset[Partition]) -> None:
        for gone in self._assigned - partitions:
            self._positions.pop(gone, None)
            self._buffers.pop(gone, None)
            self._lost.add(gone)
        for new in partitions - self._assigned:
            self._positions[new] = self._log.committed(self._group, new)
        self._assigned = partitions
        self._changed.set()

    def assigned(self) -> frozenset[Partition]:
        return self._assigned

    async def fetch(self, limit: int, wait: float) -> list[Stored]:
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            self._changed.clear()
            wakes = [self._log.wake_of(topic) for topic in self.topics]
            records = await self._take(limit)
            if records:
                return records
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            waits = [asyncio.ensure_future(event.wait()) for event in (*wakes, self._changed)]
            try:
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    async def _take(self, limit: int) -> list[Stored]:
        """Up to `limit` records over the assigned partitions, another partition first each time."""
        order = sorted(self._assigned)
        self._turn += 1
        out: list[Stored] = []
        for place in order[self._turn % len(order) :] + order[: self._turn % len(order)] if order else []:
            while len(out) < limit and place in self._assigned:
                if not self._buffers.get(place):
                    entries = await self._log.read(place, self._positions[place])
                    if not entries or place not in self._assigned:
                        break
                    self._buffers[place] = entries
                buffered = self._buffers[place]
                taken, self._buffers[place] = buffered[: limit - len(out)], buffered[limit - len(out) :]
                self._positions[place] = taken[-1][0] + 1
                self._lost.discard(place)
                out.extend(Stored(place.topic, place.number, offset, key, value) for offset, key, value in taken)
        return out

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        # One that went away and came back counts as lost: its owner in between may have gone further.
        lost = {place for place in offsets if place not in self._assigned or place in self._lost}
        if lost:
            raise Revoked(f"no longer ours: {sorted(lost)}")
        await self._log.move(self._group, offsets)

    async def abandon(self) -> None:
        self._buffers.clear()
        self._lost.clear()
        for place in self._assigned:
            self._positions[place] = self._log.committed(self._group, place)

    async def close(self) -> None:
        self._log.leave(self._group, self)
