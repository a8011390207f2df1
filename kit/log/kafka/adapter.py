"""The log on Kafka (see `kit.log.Log`).

Producing: idempotent, `acks=all`, linger 0. One batch per partition is in flight; what arrives meanwhile is the next
batch, so that many callers of one record each are grouped without any of them waiting for a timer.
Consuming: manual offsets; a batch in hand when the group rebalances may be finished for `FINISH_SECONDS`, then it is
lost to the next owner and its commit raises `Revoked`.

What "durable" means is the broker's business: one broker survives its own SIGKILL, three with
`min.insync.replicas=2` survive the loss of a machine.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from kit.log import (
    MAX_RECORD_BYTES,
    LogUnavailable,
    Partition,
    Position,
    Record,
    Stored,
    Topic,
    TopicMismatch,
    check_sizes,
)
from kit.log.kafka.bounds import (
    APPEND_SECONDS,
    CALL_SECONDS,
    FINISH_SECONDS,
    START_SECONDS,
    STOP_SECONDS,
    bounded,
    stopped,
)
from kit.log.kafka.consuming import KafkaSubscription
from kit.log.kafka.producing import Call, Chunk, Lane
from kit.log.kafka.security import Security
from kit.log.kafka.topics import CLEANUP, Found, Topics
from kit.log.partitioner import partition_of
from kit.log.positions import Positions

logger = structlog.get_logger(__name__)
T = TypeVar("T")

BATCH_BYTES = 256 * 1024
# The broker counts the whole batch: a record of the greatest size and what surrounds it must pass.
REQUEST_BYTES = MAX_RECORD_BYTES + 16 * 1024
# Back-pressure needs no pausing: the client asks for no more of a partition while it holds some of it, so a member
# whose batch takes long keeps at most so much of each partition in memory; an answer brings at most the other figure.
PARTITION_FETCH_BYTES, FETCH_BYTES = 1024 * 1024, 8 * 1024 * 1024
HEARTBEAT_MS, SESSION_MS, MAX_POLL_MS = 1000, 10_000, 30 * 60_000
# A broker that just started may not know its topics yet. Who joins a group then is given no partition at all, and hears
# of them only when it asks again: by default after five minutes.
METADATA_MS = 10_000


class KafkaLog:
    """`prefix` is put before the names of topics and groups, for installations that share a broker. `topics` compares
    and mends them."""

    def __init__(
        self,
        bootstrap: str,
        *,
        security: Security | None = None,
        partitions: int = 12,
        replication: int = 1,
        client_id: str = "guildhall",
        prefix: str = "",
    ) -> None:
        self._bootstrap = bootstrap
        self._security = security or Security()
        self._client_id = client_id
        self._prefix = prefix
        self.topics = Topics(self._ask, self.name, partitions, replication)
        self._counts: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._replacing: asyncio.Task[None] | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._subscriptions: WeakSet[KafkaSubscription] = WeakSet()
        self._admin: AIOKafkaAdminClient | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._producer: AIOKafkaProducer | None = None
        self._closing = False

    def name(self, topic_or_group: str) -> str:
        return self._prefix + topic_or_group

    def _reached(self) -> dict[str, Any]:
        """What every client of this log is made with."""
        return {"bootstrap_servers": self._bootstrap, **self._security.arguments}

    def _open_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise LogUnavailable("the log is not open")
        return self._producer

    # Starting and stopping

    async def start(self) -> None:
        self._closing = False
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            try:
                self._producer = await self._make_producer()
                break
            except LogUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                logger.warning("kafka.waiting", bootstrap=self._bootstrap)
                await asyncio.sleep(1)
        await self._open_readers()

    async def look(self, topics: Sequence[Topic]) -> dict[str, Found]:
        """The given topics as they are. A log that was not started is open afterwards for questions only (`topics`,
        `lag`, `ends`, `brokers`): nothing is made on the broker. LogUnavailable, without waiting for it to come up,
        when it cannot be reached or refuses us."""
        if self._admin is None:
            await self._open_readers()
        found = await self.topics.find(topics)
        self._counts.update({name: one.partitions for name, one in found.items()})
        return found

    async def _open_readers(self) -> None:
        self._admin = AIOKafkaAdminClient(**self._reached(), client_id=self._client_id)
        await bounded(self._admin.start(), CALL_SECONDS, f"Kafka at {self._bootstrap} cannot be reached, or refuses us")
        self._reader = AIOKafkaConsumer(**self._reached(), client_id=f"{self._client_id}-offsets")
        await bounded(self._reader.start(), CALL_SECONDS, "Kafka cannot be reached")

    async def brokers(self) -> int:
        """How many brokers the cluster has now. LogUnavailable when it does not say."""
        return len((await self._call(lambda: self._open_admin().describe_cluster()))["brokers"])

    async def _make_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._reached(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            request_timeout_ms=int(APPEND_SECONDS * 1000),
        )
        try:
            await bounded(
                producer.start(), CALL_SECONDS, f"Kafka at {self._bootstrap} cannot be reached, or refuses us"
            )
        except LogUnavailable:
            await stopped(producer)
            raise
        return producer

    def _replace_once(self, producer: AIOKafkaProducer) -> None:
        """Put another producer in the place of this one; once, however many lanes saw it fail."""
        if self._producer is producer and self._replacing is None:
            logger.warning("kafka.producer_replaced")
            self._replacing = asyncio.create_task(self._replace(producer), name="kafka-replace-producer")

    async def _replace(self, old: AIOKafkaProducer) -> None:
        with suppress(LogUnavailable):
            self._producer = await self._make_producer()
            task = asyncio.create_task(stopped(old))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        self._replacing = None

    async def stop(self) -> None:
        self._closing = True
        # A member left behind would go on owning partitions for as long as this process lives.
        await asyncio.gather(*(subscription.close() for subscription in list(self._subscriptions)))
        await asyncio.gather(*(lane.close(STOP_SECONDS) for lane in self._lanes.values()))
        if self._replacing is not None:
            self._replacing.cancel()
        clients: list[Any] = [c for c in (self._producer, self._reader) if c is not None]
        await asyncio.gather(*map(stopped, clients), *self._retired)
        if self._admin is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._admin.close(), STOP_SECONDS)
        self._producer = self._reader = self._admin = None
        self._lanes.clear()

    # Topics

    async def ensure(self, topics: Sequence[Topic]) -> None:
        await self.topics.create(topics)
        found = await self._known(topics)
        self._counts.update({topic.name: found[topic.name].partitions for topic in topics})
        differences = self.topics.differences(topics, found)
        for difference in differences:
            if difference.what == CLEANUP:
                raise TopicMismatch(f"{difference}; `guildhall topics repair` changes it")
            logger.warning("kafka.topic_differs", difference=str(difference), repair="guildhall topics repair")

    async def _known(self, topics: Sequence[Topic]) -> dict[str, Found]:
        """Topics that were made, as they are. The question may go to a broker that has not heard of them yet."""
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        while True:
            found = await self.topics.find(topics)
            unknown = [topic.name for topic in topics if found[topic.name].partitions == 0]
            if not unknown:
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise LogUnavailable(f"the topic {unknown[0]} is not known to the broker yet")
            await asyncio.sleep(0.1)

    def _open_admin(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise LogUnavailable("the log is not open")
        return self._admin

    async def _ask(self, make: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        return await self._call(lambda: make(self._open_admin()))

    async def _call(self, make: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question that may be asked again: a broker that just started knows no coordinator yet."""

        async def ask() -> T:
            while True:
                try:
                    return await make()
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    await asyncio.sleep(0.1)

        return await bounded(ask(), CALL_SECONDS, "Kafka did not answer")

    # Writing

    async def append(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        check_sizes(records)
        if not records:
            return []
        if self._producer is None or self._closing:
            raise LogUnavailable("the log is not open")
        call = Call(len(records), asyncio.get_running_loop().create_future())
        count = self._counts[topic]
        chunks: dict[int, Chunk] = {}
        for index, record in enumerate(records):
            number = partition_of(record.key, count)
            chunk = chunks.get(number)
            if chunk is None:
                chunk = chunks[number] = Chunk(call)
            chunk.records.append(record)
            chunk.indexes.append(index)
        for number, chunk in chunks.items():
            self._lane(topic, number).put(chunk)
        await call.done
        return Positions(len(records), call.positions)

    def _lane(self, topic: str, number: int) -> Lane:
        lane = self._lanes.get((topic, number))
        if lane is None:
            lane = self._lanes[topic, number] = Lane(self.name(topic), number, self._open_producer, self._replace_once)
        return lane

    # Reading

    async def subscribe(self, group: str, topics: Sequence[str]) -> KafkaSubscription:
        subscription = KafkaSubscription(partial(self._make_consumer, group), tuple(topics), self._prefix)
        await subscription.open()
        self._subscriptions.add(subscription)
        return subscription

    def _make_consumer(self, group: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._reached(),
            client_id=self._client_id,
            group_id=self.name(group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            heartbeat_interval_ms=HEARTBEAT_MS,
            session_timeout_ms=SESSION_MS,
            max_poll_interval_ms=MAX_POLL_MS,
            metadata_max_age_ms=METADATA_MS,
            rebalance_timeout_ms=SESSION_MS + int(FINISH_SECONDS * 1000),
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        )

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
        return {place: max(0, end - at) for place, (at, end) in (await self.progress(group, topics)).items()}

    async def progress(self, group: str, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        places = [TopicPartition(self.name(t), n) for t in topics for n in range(self._counts[t])]
        reader = self._reader
        if reader is None:
            raise LogUnavailable("the log is not open")
        committed = await self._call(lambda: self._open_admin().list_consumer_group_offsets(self.name(group)))
        ends = await self._call(lambda: reader.end_offsets(places))
        starts = await self._call(lambda: reader.beginning_offsets(places))
        out = {}
        for place in places:
            at = committed[place].offset if place in committed else -1
            out[Partition(place.topic.removeprefix(self._prefix), place.partition)] = (
                max(at, starts[place]),
                ends[place],
            )
        return out

    async def ends(self, topic: str) -> list[int]:
        """The next offset of each partition; of a topic that `ensure` or `look` has found."""
        reader = self._reader
        if reader is None:
            raise LogUnavailable("the log is not open")
        places = [TopicPartition(self.name(topic), number) for number in range(self._counts[topic])]
        ends = await self._call(lambda: reader.end_offsets(places))
        return [ends[place] for place in places]

    async def place(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Put a group that has no members at these next-to-read offsets. LogUnavailable when it has members, or the
        broker does not take it."""
        consumer = self._make_consumer(group)
        placed = {TopicPartition(self.name(p.topic), p.number): offset for p, offset in offsets.items()}
        try:
            await bounded(consumer.start(), CALL_SECONDS, "Kafka cannot be reached")
            consumer.assign(list(placed))
            await self._call(lambda: consumer.commit(placed))
        finally:
            await stopped(consumer)

    async def replay(self, topic: str) -> AsyncIterator[list[Stored]]:
        """What is on a topic from its oldest record to where it ends now, some at a time; as no group."""
        ends = await self.ends(topic)
        consumer = AIOKafkaConsumer(**self._reached(), client_id=f"{self._client_id}-replay", enable_auto_commit=False)
        try:
            await bounded(consumer.start(), CALL_SECONDS, "Kafka cannot be reached")
            places = {TopicPartition(self.name(topic), number): end for number, end in enumerate(ends)}
            consumer.assign(list(places))
            await self._call(lambda: consumer.seek_to_beginning(*places))
            while left := [p for p, end in places.items() if await self._call(partial(consumer.position, p)) < end]:
                found = await bounded(consumer.getmany(*left, timeout_ms=1000), CALL_SECONDS, "Kafka did not answer")
                for place, records in found.items():
                    yield [Stored(topic, place.partition, r.offset, r.key, r.value) for r in records]
        finally:
            await stopped(consumer)

    async def check(self) -> None:
        if self._replacing is not None:
            raise LogUnavailable("the producer is being replaced after a failure")
        await self._call(lambda: self._open_admin().describe_cluster())
