"""One member of a consumer group: manual offsets, a bounded end of what is in hand when partitions move."""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, RebalanceInProgressError

from kit.log import LogUnavailable, Partition, Revoked, Stored
from kit.log.kafka.bounds import (
    CALL_SECONDS,
    FETCH_SECONDS,
    FINISH_SECONDS,
    SILENT_SECONDS,
    bounded,
    stopped,
)

logger = structlog.get_logger(__name__)


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]  # the client ships no types
    """See `kit.log.Subscription`. `make` builds an unstarted consumer of the group."""

    def __init__(self, make: Callable[[], AIOKafkaConsumer], topics: tuple[str, ...], prefix: str) -> None:
        self._make = make
        self._topics = [prefix + topic for topic in topics]
        self._prefix = prefix
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: frozenset[Partition] = frozenset()
        # Counts the times partitions were taken away: a batch fetched before must not be committed after.
        self._taken_away = 0
        self._fetched_at = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._quiet_since = 0.0

    async def open(self) -> None:
        consumer = self._make()
        try:
            await bounded(consumer.start(), CALL_SECONDS, "the consumer cannot reach Kafka")
        except LogUnavailable:
            await stopped(consumer)
            raise
        consumer.subscribe(topics=self._topics, listener=self)
        self._consumer = consumer
        self._quiet_since = asyncio.get_running_loop().time()

    # Rebalances: the client awaits these before it joins again.

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the batch in hand be finished, for a while; then it is the next owner's."""
        if revoked:
            try:
                await asyncio.wait_for(self._idle.wait(), FINISH_SECONDS)
            except TimeoutError:
                logger.warning("kafka.batch_lost_to_rebalance", topics=self._topics)
            self._taken_away += 1
        self._assigned = frozenset()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._assigned = frozenset(self._ours(place) for place in assigned)

    def _ours(self, place: TopicPartition) -> Partition:
        return Partition(place.topic.removeprefix(self._prefix), place.partition)

    def _theirs(self, place: Partition) -> TopicPartition:
        return TopicPartition(self._prefix + place.topic, place.number)

    def assigned(self) -> frozenset[Partition]:
        return self._assigned

    # Reading

    async def fetch(self, limit: int, wait: float) -> list[Stored]:
        self._idle.set()
        if self._consumer is None:
            await self.open()
        assert self._consumer is not None
        getting = self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=limit)
        try:
            found = await bounded(getting, wait + FETCH_SECONDS, "Kafka could not be read")
        except LogUnavailable:
            # What failed inside the client says so at every later question, or nothing any more.
            await self._reopen()
            raise
        if not found:
            await self._watch()
            return []
        # No await since the client handed the records over: a rebalance that begins now finds them in hand.
        self._idle.clear()
        self._fetched_at = self._taken_away
        self._quiet_since = asyncio.get_running_loop().time()
        return [
            Stored(place.topic.removeprefix(self._prefix), place.partition, r.offset, r.key or b"", r.value)
            for place, records in found.items()
            for r in records
        ]

    async def _watch(self) -> None:
        """A member that is silent although there is something to read is made anew: the client may lose its place in
        the group without a word."""
        now = asyncio.get_running_loop().time()
        if now - self._quiet_since < SILENT_SECONDS or self._consumer is None:
            return
        self._quiet_since = now
        places = [self._theirs(place) for place in self._assigned]
        ends = await bounded(self._consumer.end_offsets(places), CALL_SECONDS, "Kafka did not answer") if places else {}
        for place, end in ends.items():
            at = await bounded(self._consumer.position(place), CALL_SECONDS, "Kafka did not answer")
            if at < end:
                logger.warning("kafka.silent_consumer", topic=place.topic, partition=place.partition, behind=end - at)
                await self._reopen()
                return

    async def _reopen(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assigned = frozenset()
        self._taken_away += 1
        if consumer is not None:
            await stopped(consumer)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        if self._consumer is None or self._fetched_at != self._taken_away:
            self._idle.set()
            raise Revoked("the group was rebalanced since the batch was fetched")
        lost = set(offsets) - self._assigned
        if lost:
            self._idle.set()
            raise Revoked(f"no longer ours: {sorted(lost)}")
        theirs = {self._theirs(place): following for place, following in offsets.items()}
        try:
            await bounded(self._commit(self._consumer, theirs), CALL_SECONDS, "Kafka did not take the offsets")
        except LogUnavailable:
            # A client that lost its coordinator may never find it again, although records go on coming.
            await self._reopen()
            raise
        finally:
            self._idle.set()

    async def _commit(self, consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError, RebalanceInProgressError) as error:
            raise Revoked(f"the group was rebalanced: {error!r}") from error

    async def abandon(self) -> None:
        self._idle.set()
        if self._consumer is None:
            return
        try:
            for place in self._assigned:
                await bounded(self._rewind(self._consumer, self._theirs(place)), CALL_SECONDS, "Kafka did not answer")
        except LogUnavailable as error:
            # A new one begins where the group committed, which is what was asked for.
            logger.warning("kafka.consumer_replaced", topics=self._topics, error=str(error))
            await self._reopen()

    async def _rewind(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        committed = await consumer.committed(place)
        try:
            if committed is None:
                await consumer.seek_to_beginning(place)
            else:
                consumer.seek(place, committed)
        except IllegalStateError:
            # Taken away meanwhile: whoever owns it starts at the committed offset anyway.
            return

    async def close(self) -> None:
        self._idle.set()
        await self._reopen()
