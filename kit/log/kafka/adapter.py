"""The log on Kafka (see `kit.log.Log`).

Producing: idempotent, `acks=all`, linger 0. One batch per partition is in flight; what arrives meanwhile is the next
batch, so that many callers of one record each are grouped without any of them waiting for a timer.
Consuming: manual offsets; a batch in hand when the group rebalances may be finished for `FINISH_SECONDS`, then it is
lost to the next owner and its commit raises `Revoked`.

What "durable" means is the broker's business: one broker survives its own SIGKILL, three with
`min.insync.replicas=2` survive the loss of a machine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from kit.log import (
    MAX_RECORD_BYTES,
    LogUnavailable,
    Partition,
    Position,
    Record,
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
from kit.log.partitioner import partition_of
from kit.log.positions import Positions

logger = structlog.get_logger(__name__)
T = TypeVar("T")

BATCH_BYTES = 256 * 1024
# The broker counts the whole batch: a record of the greatest size and what surrounds it must pass.
REQUEST_BYTES = MAX_RECORD_BYTES + 16 * 1024
HEARTBEAT_MS, SESSION_MS, MAX_POLL_MS = 1000, 10_000, 30 * 60_000


class KafkaLog:
    """`prefix` is put before the names of topics and groups, for installations that share a broker."""

    def __init__(
        self,
        bootstrap: str,
        *,
        partitions: int = 12,
        replication: int = 1,
        client_id: str = "guildhall",
        prefix: str = "",
    ) -> None:
        self._bootstrap = bootstrap
        self._partitions = partitions
        self._replication = replication
        self._client_id = client_id
        self._prefix = prefix
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
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, client_id=self._client_id)
        await bounded(self._admin.start(), CALL_SECONDS, "Kafka cannot be reached")
        self._reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, client_id=f"{self._client_id}-offsets")
        await bounded(self._reader.start(), CALL_SECONDS, "Kafka cannot be reached")

    async def _make_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
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
            await bounded(producer.start(), CALL_SECONDS, f"Kafka at {self._bootstrap} cannot be reached")
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
        await self._create(topics)
        described = await self._call(lambda: self._open_admin().describe_topics([self.name(t.name) for t in topics]))
        counts = {d["topic"]: len(d["partitions"]) for d in described}
        for topic in topics:
            self._counts[topic.name] = counts[self.name(topic.name)]
            if self._counts[topic.name] == 0:
                raise LogUnavailable(f"the topic {topic.name} is not known to the broker yet")
        configs = await self._configs(topics)
        for topic in topics:
            present = configs[topic.name].get("cleanup.policy", "")
            if ("compact" in present) != topic.compacted:
                wanted = "compact" if topic.compacted else "delete"
                raise TopicMismatch(
                    f"{self.name(topic.name)} has cleanup.policy={present}, it must be {wanted}: "
                    f"kafka-configs --alter --entity-type topics --entity-name {self.name(topic.name)} "
                    f"--add-config cleanup.policy={wanted}"
                )

    async def _create(self, topics: Sequence[Topic]) -> None:
        """Create what is missing, and wait until every broker tells of it."""
        new = [
            NewTopic(self.name(t.name), self._partitions, self._replication, topic_configs=_config(t)) for t in topics
        ]
        answer = await self._call(lambda: self._open_admin().create_topics(new, timeout_ms=int(CALL_SECONDS * 1000)))
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise LogUnavailable(f"the topic {name} could not be created: {error.__name__} {message}")
        for _ in range(50):
            described = await self._call(lambda: self._open_admin().describe_topics([n.name for n in new]))
            led = [p["leader"] >= 0 for d in described for p in d["partitions"]]
            if all(d["partitions"] for d in described) and all(led):
                return
            await asyncio.sleep(0.1)

    async def _configs(self, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, self.name(t.name)) for t in topics]
        out: dict[str, dict[str, str]] = {t.name: {} for t in topics}
        for response in await self._call(lambda: self._open_admin().describe_configs(resources)):
            for _, _, _, name, entries in response.resources:
                out[name.removeprefix(self._prefix)].update({e[0]: e[1] for e in entries})
        return out

    def _open_admin(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise LogUnavailable("the log is not open")
        return self._admin

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
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            group_id=self.name(group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            heartbeat_interval_ms=HEARTBEAT_MS,
            session_timeout_ms=SESSION_MS,
            max_poll_interval_ms=MAX_POLL_MS,
            rebalance_timeout_ms=SESSION_MS + int(FINISH_SECONDS * 1000),
        )

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
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
            behind = ends[place] - max(at, starts[place])
            out[Partition(place.topic.removeprefix(self._prefix), place.partition)] = max(0, behind)
        return out

    async def check(self) -> None:
        if self._replacing is not None:
            raise LogUnavailable("the producer is being replaced after a failure")
        await self._call(lambda: self._open_admin().describe_cluster())


def _config(topic: Topic) -> dict[str, str]:
    if topic.compacted:
        return {"cleanup.policy": "compact"}
    keep = -1 if topic.retention is None else topic.retention // timedelta(milliseconds=1)
    return {"cleanup.policy": "delete", "retention.ms": str(keep)}
