"""Grouping without a timer: one batch per partition is in flight, what arrives meanwhile is the next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaProducer

from kit.log import LogUnavailable, Position, Record
from kit.log.kafka.bounds import APPEND_SECONDS, bounded

CLOSING = LogUnavailable("the log is closing")


@dataclass(slots=True)
class Call:
    """One `append`: how many of its records are still on their way, and where the others went."""

    left: int
    done: asyncio.Future[None]
    runs: list[tuple[Sequence[int], int, int]] = field(default_factory=list)
    """(indexes in the caller's input, partition, offset of the first) of records that went together."""

    def settle(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif self.left == 0:
            self.done.set_result(None)

    def positions(self) -> list[Position]:
        """In input order, once all went."""
        found = {
            index: Position(partition, base + shift)
            for indexes, partition, base in self.runs
            for shift, index in enumerate(indexes)
        }
        return [found[index] for index in range(len(found))]


@dataclass(slots=True)
class Chunk:
    """The records of one call that go to one partition, and their indexes there; `taken` are in a batch already."""

    call: Call
    records: list[Record] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    taken: int = 0


Taken = tuple[Chunk, int, int]
"""The records from the first to before the second number of a chunk."""


class Lane:
    """One partition: what waits to be sent, and the task that sends batch after batch while there is something."""

    def __init__(
        self,
        topic: str,
        partition: int,
        producer: Callable[[], AIOKafkaProducer],
        replace: Callable[[AIOKafkaProducer], None],
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._producer = producer
        self._replace = replace
        self._waiting: deque[Chunk] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, chunk: Chunk) -> None:
        self._waiting.append(chunk)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"kafka-append-{self._topic}-{self._partition}")

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._send_next()
        finally:
            self._task = None
            self._fail([], CLOSING)

    async def _send_next(self) -> None:
        try:
            producer = self._producer()
        except LogUnavailable as error:
            self._fail([], error)
            return
        batch = producer.create_batch()
        sent = self._fill(batch)
        try:
            base = await bounded(self._send(producer, batch), APPEND_SECONDS, "Kafka did not take the records")
        except asyncio.CancelledError:
            self._fail(sent, CLOSING)
            raise
        except Exception as error:
            # Whatever it was, whoever appended must hear of it. After an ambiguous failure this producer may refuse
            # everything, or still hold the batch: a new one.
            unavailable = error if isinstance(error, LogUnavailable) else LogUnavailable(f"Kafka failed: {error!r}")
            self._fail(sent, unavailable)
            self._replace(producer)
            return
        for chunk, start, stop in sent:
            call = chunk.call
            call.runs.append((chunk.indexes[start:stop], self._partition, base))
            base += stop - start
            call.left -= stop - start
            call.settle(None)

    def _fill(self, batch: Any) -> list[Taken]:
        """Put into the batch what waits, as much as it takes."""
        append, sent = batch.append, []
        while self._waiting:
            chunk = self._waiting[0]
            start = chunk.taken
            for key, value in islice(chunk.records, start, None):
                if append(timestamp=None, key=key, value=value) is None:
                    break
                chunk.taken += 1
            if chunk.taken > start:
                sent.append((chunk, start, chunk.taken))
            if chunk.taken < len(chunk.records):
                break
            self._waiting.popleft()
        return sent

    async def _send(self, producer: AIOKafkaProducer, batch: Any) -> int:
        future = await producer.send_batch(batch, self._topic, partition=self._partition)
        return int((await future).offset)

    def _fail(self, sent: list[Taken], error: LogUnavailable) -> None:
        """Those in the batch, and those that came meanwhile: they would wait as long again for the same answer."""
        waiting, self._waiting = self._waiting, deque()
        for chunk in (*(chunk for chunk, _, _ in sent), *waiting):
            chunk.call.settle(error)

    async def close(self, seconds: float) -> None:
        """Send what waits, for at most so long; what is left then fails."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        if self._task is not None:
            self._task.cancel()
        # A task that is cancelled before its first step never comes to its own end.
        self._fail([], CLOSING)
