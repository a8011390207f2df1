"""The writer of the embedded log: one thread with the only writing connection, committing whatever queued up."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.clock import Clock
from kit.log import LogUnavailable, Position, Record
from kit.log.batches import MAX_RECORDS, Entry, pack

T = TypeVar("T")

Place = tuple[int, int]
"""(topic id, partition)."""


@dataclass(slots=True)
class _Append:
    topic: int
    by_partition: dict[int, list[tuple[int, Record]]]
    done: asyncio.Future[list[Position]]


@dataclass(slots=True)
class _Work:
    """Anything else the connection is asked to do, in the transaction of its turn."""

    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class Writer:
    """`ends` are the next offsets, known to all; `appended` is called on the event loop with the topics of a commit."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ends: dict[Place, int],
        clock: Clock,
        appended: Callable[[set[int]], None],
    ) -> None:
        self._connection = connection
        self._ends = ends
        self._clock = clock
        self._appended = appended
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Append | _Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def append(self, topic: int, by_partition: dict[int, list[tuple[int, Record]]]) -> list[Position]:
        """Make the records durable; each comes with its index in the caller's input."""
        positions: list[Position] = await self._put(lambda done: _Append(topic, by_partition, done))
        return positions

    async def do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run on the writing connection, durably. What it returns must not be a cursor: one that dies in another
        thread resets the statement in use here."""
        result: T = await self._put(lambda done: _Work(run, done))
        return result

    async def _put(self, make: Callable[[asyncio.Future[Any]], _Append | _Work]) -> Any:
        if self._closed or not self._thread.is_alive():
            raise LogUnavailable("the log is not open")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(make(done))
        return await done

    async def close(self) -> None:
        """Commit what was asked for until now, then close the connection."""
        # First of all nothing more is taken: what came behind the last word would never be answered.
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # On the thread

    def _work(self) -> None:
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
                self._commit(jobs)
        self._connection.close()

    def _commit(self, jobs: list[_Append | _Work]) -> None:
        ends: dict[Place, int] = {}
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = self._write([j for j in jobs if isinstance(j, _Append)], ends)
            for job in jobs:
                if isinstance(job, _Work):
                    results[id(job)] = job.run(self._connection)
            self._connection.execute("COMMIT")
        except Exception as error:
            # Whatever it was (disk full, I/O), nothing of this commit is durable and every caller must hear it.
            failure = LogUnavailable(f"the log could not be written: {error}")
            self._tell(lambda: [j.done.set_exception(failure) for j in jobs if not j.done.done()])
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return
        # Only what changed: topics may have become known on the event loop meanwhile.
        self._ends.update(ends)
        touched = {j.topic for j in jobs if isinstance(j, _Append)}

        def announce() -> None:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(results[id(job)])
            self._appended(touched)

        self._tell(announce)

    def _tell(self, what: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _write(self, appends: list[_Append], ends: dict[Place, int]) -> dict[int, Any]:
        """Insert all records as batches; fills `ends` with the new next offsets."""
        results: dict[int, Any] = {}
        at = int(self._clock().timestamp() * 1_000_000)
        gathered: dict[Place, list[Entry]] = {}
        for job in appends:
            positions: list[Position | None] = [None] * sum(map(len, job.by_partition.values()))
            for partition, records in job.by_partition.items():
                place = (job.topic, partition)
                entries = gathered.setdefault(place, [])
                offset = ends.get(place, self._ends[place])
                for index, record in records:
                    positions[index] = Position(partition, offset)
                    entries.append((offset, record.key, record.value))
                    offset += 1
                ends[place] = offset
            results[id(job)] = positions
        rows = [
            (topic, partition, part[-1][0], at, pack(part))
            for (topic, partition), entries in gathered.items()
            for part in (entries[i : i + MAX_RECORDS] for i in range(0, len(entries), MAX_RECORDS))
        ]
        insert = "INSERT INTO batches (topic, partition, last, at, body) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(insert, rows)
        return results
