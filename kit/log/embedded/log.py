"""The embedded log itself: topics, groups and housekeeping around one writer and some readers."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from kit.clock import Clock, system_clock
from kit.log import LogUnavailable, Partition, Position, Record, Topic, TopicMismatch, check_sizes
from kit.log.batches import Entry, unpack
from kit.log.compaction import compact_step
from kit.log.embedded.locking import hold
from kit.log.embedded.subscription import EmbeddedSubscription
from kit.log.embedded.writer import Place, Writer
from kit.log.partitioner import partition_of
from kit.log.positions import Positions

T = TypeVar("T")

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
class _Group:
    members: list[EmbeddedSubscription] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)


class EmbeddedLog:
    """See `kit.log.Log`. `partitions` is for new topics; one is right for one process."""

    def __init__(self, path: Path, *, partitions: int = 1, clock: Clock = system_clock) -> None:
        self._path = path
        self._partitions = partitions
        self._clock = clock
        self._topics: dict[str, tuple[int, Topic, int]] = {}
        self._names: dict[int, str] = {}
        self._ends: dict[Place, int] = {}
        self._groups: dict[str, _Group] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="log-reader")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer: Writer | None = None
        self._lock_file: int | None = None

    # Starting and stopping

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = hold(self._path)
        try:
            writer = self._connect(self._path, writing=True)
            writer.executescript(SCHEMA)
            self._load(writer)
        except sqlite3.Error as error:
            self._unlock()
            raise LogUnavailable(f"the log at {self._path} cannot be opened: {error}") from error
        self._writer = Writer(writer, self._ends, self._clock, self._wake)

    def _wake(self, topics: set[int]) -> None:
        for name in (self._names[id] for id in topics):
            self._wakes[name].set()
            self._wakes[name] = asyncio.Event()

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
        writer, self._writer = self._writer, None
        await asyncio.to_thread(self._readers.shutdown)
        # Readers first: the last connection of a file to close checkpoints it, and only the writer may.
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        if writer is not None:
            await writer.close()
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

    async def append(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        id, _, partitions = self._topics[topic]
        check_sizes(records)
        if not records:
            return []
        if partitions == 1:
            [base] = await self._open_writer().append([((id, 0), records)])
            following = range(base, base + len(records))
            return Positions(len(records), lambda: [Position(0, offset) for offset in following])
        return await self._append_spread(id, records, partitions)

    async def _append_spread(self, topic: int, records: Sequence[Record], partitions: int) -> list[Position]:
        chosen = [partition_of(record.key, partitions) for record in records]
        parts: dict[int, list[Record]] = {}
        for number, record in zip(chosen, records, strict=True):
            parts.setdefault(number, []).append(record)
        bases = await self._open_writer().append([((topic, number), part) for number, part in parts.items()])
        following = dict(zip(parts, map(count, bases), strict=True))
        return [Position(number, next(following[number])) for number in chosen]

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise LogUnavailable("the log is not open")
        return self._writer

    async def _do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run on the writing connection, durably."""
        return await self._open_writer().do(run)

    # Reading

    async def read(self, place: Partition, offset: int) -> list[Entry]:
        """Entries from `offset` on, some batches of them; [] at the end."""
        self._open_writer()
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

    async def subscribe(self, group: str, topics: Sequence[str]) -> EmbeddedSubscription:
        members = self._groups.setdefault(group, _Group()).members
        subscription = EmbeddedSubscription(self, group, tuple(topics))
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

    def leave(self, group: str, member: EmbeddedSubscription) -> None:
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
        await self._do(lambda c: c.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", rows).rowcount)
        self._groups[group].committed.update(offsets)

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
        return {place: max(0, end - at) for place, (at, end) in (await self.progress(group, topics)).items()}

    async def progress(self, group: str, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        committed = self._groups[group].committed if group in self._groups else {}
        out = {}
        for topic in topics:
            id, _, partitions = self._topics[topic]
            for number in range(partitions):
                place = Partition(topic, number)
                out[place] = committed.get(place, 0), self._ends[id, number]
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

    async def drop(self, place: Partition, before: int) -> None:
        """Forget the batches of which every record is before this offset. The newest stays, as above."""
        query = (
            "DELETE FROM batches WHERE topic = :t AND partition = :p AND last < :b "
            "AND last < (SELECT max(last) FROM batches WHERE topic = :t AND partition = :p)"
        )
        values = {"t": self._topics[place.topic][0], "p": place.number, "b": before}
        await self._do(lambda c: c.execute(query, values).rowcount)

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
