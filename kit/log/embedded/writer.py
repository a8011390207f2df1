"""The writer of the embedded log: one thread with the only writing connection, committing whatever queued up.

One commit is under way at a time; what is asked for meanwhile is the next one. The event loop packs and counts, the
thread only runs statements: each time it comes back from SQLite it must get the interpreter again, and under load
every such moment is a wait for it.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kit.clock import Clock
from kit.log import LogUnavailable, Record
from kit.log.batches import MAX_RECORDS, pack

T = TypeVar("T")

Place = tuple[int, int]
"""(topic id, partition)."""

Part = tuple[Place, Sequence[Record]]
"""The records of one append that go to one place."""

Row = tuple[int, int, int, int, bytes]

INSERT = "INSERT INTO batches (topic, partition, last, at, body) VALUES (?, ?, ?, ?, ?)"


@dataclass(slots=True)
class _Append:
    parts: Sequence[Part]
    done: asyncio.Future[list[int]]


@dataclass(slots=True)
class _Work:
    """Anything else the connection is asked to do, in the transaction of its turn."""

    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Commit:
    """One transaction: the rows it inserts, what else it does, and whom to tell."""

    rows: list[Row] = field(default_factory=list)
    works: list[_Work] = field(default_factory=list)
    ends: dict[Place, int] = field(default_factory=dict)
    answers: list[tuple[asyncio.Future[Any], Any]] = field(default_factory=list)
    failure: LogUnavailable | None = None


class Writer:
    """`ends` are the next offsets, known to all; `appended` is called with the topics of a commit. Lives on the event
    loop it is made on."""

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
        self._waiting: list[_Append | _Work] = []
        self._busy = False
        self._queue: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._closed = False
        self._thread.start()

    def append(self, parts: Sequence[Part]) -> asyncio.Future[list[int]]:
        """Make the records durable, all in one commit; of each part the offset of its first record."""
        done: asyncio.Future[list[int]] = self._loop.create_future()
        self._put(_Append(parts, done))
        return done

    def do(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run on the writing connection, durably. What it returns must not be a cursor: one that dies in another
        thread resets the statement in use here."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._put(_Work(run, done))
        return done

    def _put(self, job: _Append | _Work) -> None:
        if self._closed:
            raise LogUnavailable("the log is not open")
        self._waiting.append(job)
        if not self._busy:
            # Not at once: what else asks in this turn of the loop goes into the same commit.
            self._busy = True
            self._loop.call_soon(self._hand_over)

    async def close(self) -> None:
        """Commit what was asked for until now, then close the connection."""
        # First of all nothing more is taken: what came behind the last word would never be answered.
        self._closed = True
        while self._busy and self._thread.is_alive():
            await asyncio.sleep(0.001)
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        jobs, self._waiting = self._waiting, []
        if not jobs:
            self._busy = False
            return
        try:
            commit = self._commit_of(jobs)
        except Exception as error:
            # What cannot be packed must not leave its caller, or whoever asks later, waiting for ever.
            commit = _Commit(answers=[(job.done, None) for job in jobs])
            commit.failure = LogUnavailable(f"the log could not take it: {error!r}")
            self._loop.call_soon(self._committed, commit)
            return
        self._queue.put(commit)

    def _commit_of(self, jobs: list[_Append | _Work]) -> _Commit:
        """Offsets given out and batches packed; nothing of it counts before the commit."""
        commit = _Commit()
        gathered: dict[Place, list[Record]] = {}
        for job in jobs:
            if isinstance(job, _Work):
                commit.works.append(job)
                continue
            bases = []
            for place, records in job.parts:
                base = commit.ends.get(place)
                if base is None:
                    base = self._ends[place]
                    gathered[place] = []
                gathered[place].extend(records)
                bases.append(base)
                commit.ends[place] = base + len(records)
            commit.answers.append((job.done, bases))
        at = int(self._clock().timestamp() * 1_000_000)
        for (topic, partition), records in gathered.items():
            first = commit.ends[topic, partition] - len(records)
            for start in range(0, len(records), MAX_RECORDS):
                part, base = records[start : start + MAX_RECORDS], first + start
                commit.rows.append((topic, partition, base + len(part) - 1, at, pack(base, part)))
        return commit

    def _committed(self, commit: _Commit) -> None:
        """Tell everybody, and begin with what was asked for meanwhile."""
        if commit.failure is None:
            # Only what changed: topics may have become known meanwhile.
            self._ends.update(commit.ends)
            for done, result in commit.answers:
                if not done.done():
                    done.set_result(result)
            if commit.ends:
                self._appended({topic for topic, _ in commit.ends})
        else:
            for done in (*(done for done, _ in commit.answers), *(work.done for work in commit.works)):
                if not done.done():
                    done.set_exception(commit.failure)
        self._hand_over()

    # On the thread

    def _work(self) -> None:
        while (commit := self._queue.get()) is not None:
            try:
                self._run(commit)
            except Exception as error:
                # Whatever it was (disk full, I/O), nothing of this commit is durable and every caller must hear it.
                commit.failure = LogUnavailable(f"the log could not be written: {error}")
                with suppress(sqlite3.Error):  # then the next BEGIN fails and says so to its callers
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._committed, commit)
        self._connection.close()

    def _run(self, commit: _Commit) -> None:
        if len(commit.rows) == 1 and not commit.works:
            # A statement alone is a transaction by itself, in one step instead of three.
            self._connection.execute(INSERT, commit.rows[0])
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(INSERT, commit.rows)
        done = [(work.done, work.run(self._connection)) for work in commit.works]
        self._connection.execute("COMMIT")
        commit.answers += done
