"""Grouping without a timer: one batch per partition is in flight, what arrives meanwhile is the next batch."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from kit.log import LogUnavailable, Position, Record
from kit.log.kafka.bounds import APPEND_SECONDS, bounded

CLOSING = LogUnavailable("the log is closing")


@dataclass(slots=True)
class Call:
    """One `append`: where each of its records went, and how many are still on their way."""

    positions: list[Position | None]
    left: int
    done: asyncio.Future[None]

    def settle(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif self.left == 0:
            self.done.set_result(None)


Item = tuple[Record, Call, int]
"""A record, the call it belongs to, and its index there."""


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
        self._waiting: deque[Item] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, items: list[Item]) -> None:
        self._waiting.extend(items)
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
        sent: list[Item] = []
        try:
            producer = self._producer()
        except LogUnavailable as error:
            self._fail(sent, error)
            return
        batch = producer.create_batch()
        while self._waiting:
            record = self._waiting[0][0]
            if batch.append(timestamp=None, key=record.key, value=record.value) is None:
                break
            sent.append(self._waiting.popleft())
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
        for shift, (_, call, index) in enumerate(sent):
            call.positions[index] = Position(self._partition, base + shift)
            call.left -= 1
            call.settle(None)

    async def _send(self, producer: AIOKafkaProducer, batch: Any) -> int:
        future = await producer.send_batch(batch, self._topic, partition=self._partition)
        return int((await future).offset)

    def _fail(self, sent: list[Item], error: LogUnavailable) -> None:
        """Those in the batch, and those that came meanwhile: they would wait as long again for the same answer."""
        waiting, self._waiting = self._waiting, deque()
        for _, call, _ in (*sent, *waiting):
            call.settle(error)

    async def close(self, seconds: float) -> None:
        """Send what waits, for at most so long; what is left then fails."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        if self._task is not None:
            self._task.cancel()
        # A task that is cancelled before its first step never comes to its own end.
        self._fail([], CLOSING)
