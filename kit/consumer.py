"""From the log into a service: batch → one transaction (inbox, effects, outbox) → commit → offsets.

Exactly once in effect: the offset is committed after the transaction, so a crash in between delivers the batch
again and the inbox drops it. Trouble with the infrastructure waits and retries for ever. A message that cannot be
handled is isolated inside its batch and becomes a dead letter in the same transaction; so many of them in a row
(`dead_letters_in_a_row`) stop the consumer, because then it is the code that is wrong and not the messages.

One consumer per service and topic: a topic whose handlers wait for another topic's news cannot starve it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from kit import codec, dead_letters, inbox
from kit.contracts import RESERVED_PREFIX, Envelope, contract_of
from kit.contracts.events import Activity
from kit.database import Tx, is_infrastructure
from kit.errors import BadMessage, Unavailable
from kit.log import LogUnavailable, Partition, Revoked, Stored, Subscription
from kit.metrics import CONSUMED, CONSUMER_BATCH_SECONDS, CONSUMER_RETRIES, CONSUMER_STOPPED
from kit.service import Handler, ServiceRuntime
from kit.turns import in_turns

logger = structlog.get_logger(__name__)

FETCH_WAIT_SECONDS = 0.3
GATHER_SECONDS = 0.02
BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1, 2, 5, 10)


class NotYet(Unavailable):
    """Raised by a handler that needs news still on its way (a community not known yet): the batch is tried again."""

    default_code = "not_yet"


def group_name(service: str, topic: str) -> str:
    """The consumer group of a service on a topic."""
    return f"guildhall.{service}:{topic}"


class Consumer:
    """Feeds one topic to one service's handlers. `stopped_by` says why it stopped for good, else None."""

    def __init__(self, runtime: ServiceRuntime, topic: str, handlers: Mapping[type, Sequence[Handler]]) -> None:
        self._runtime = runtime
        self._topic = topic
        self._handlers = handlers
        self._contracts = frozenset(contract_of(cls).type for cls in handlers if cls is not Activity)
        self._dead_run = 0
        self.group = group_name(runtime.service.name, topic)
        self.stopped_by: str | None = None
        self._log = logger.bind(service=runtime.service.name, topic=topic)
        # From 0 on: what appears with its first value has not increased in the eyes of Prometheus.
        CONSUMED.labels(runtime.service.name, topic)
        CONSUMER_STOPPED.labels(runtime.service.name, topic).set(0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set or too many dead letters in a row; leaves the group in order."""
        failures = 0
        subscription: Subscription | None = None
        try:
            while not stopping.is_set() and self.stopped_by is None:
                try:
                    if subscription is None:
                        subscription = await self._runtime.log.subscribe(self.group, [self._topic])
                    await self._step(subscription, stopping)
                    failures = 0
                except Revoked:
                    self._log.info("consumer.revoked")
                    await self._abandon(subscription)
                except Exception as error:
                    # Whatever it is, the batch was rolled back and is not lost; a bug is logged with its trace.
                    if is_infrastructure(error) or isinstance(error, LogUnavailable):
                        self._log.warning("consumer.waiting", error=str(error), attempt=failures + 1)
                    else:
                        self._log.exception("consumer.failed", attempt=failures + 1)
                    CONSUMER_RETRIES.labels(self._runtime.service.name, self._topic).inc()
                    await self._abandon(subscription)
                    await _pause(stopping, BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                    failures += 1
        finally:
            if subscription is not None:
                await subscription.close()

    async def _abandon(self, subscription: Subscription | None) -> None:
        if subscription is None:
            return
        try:
            await subscription.abandon()
        except LogUnavailable as error:
            self._log.warning("consumer.waiting", error=str(error))

    async def _step(self, subscription: Subscription, stopping: asyncio.Event) -> None:
        records = await self._fetch(subscription, stopping)
        if not records:
            return
        try:
            with CONSUMER_BATCH_SECONDS.labels(self._runtime.service.name, self._topic).time():
                handled = await self._apply(records)
        except Exception as error:
            # A handler may raise anything; what does not pass by itself is one message's fault, and which is found out.
            if is_infrastructure(error):
                raise
            self._log.warning("consumer.isolating", error=repr(error), records=len(records))
            await self._isolate(subscription, records)
            return
        await subscription.commit(_next_to_read(records))
        if handled:
            self._dead_run = 0
        self._done(records)
        if len(records) < self._runtime.settings.consumer_batch // 10:
            # A transaction costs much the same for one record as for fifty: let the next few come together.
            await asyncio.sleep(GATHER_SECONDS)

    async def _fetch(self, subscription: Subscription, stopping: asyncio.Event) -> list[Stored]:
        """The next records; none when the platform stops. What a cancelled fetch had taken comes again: it was never
        committed."""
        limit = self._runtime.settings.consumer_batch
        fetch = asyncio.ensure_future(subscription.fetch(limit, FETCH_WAIT_SECONDS))
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({fetch, stop}, return_when=asyncio.FIRST_COMPLETED)
            return fetch.result() if fetch.done() else []
        finally:
            stop.cancel()
            if not fetch.done():
                fetch.cancel()
                await asyncio.wait({fetch})

    def _done(self, records: Sequence[Stored]) -> None:
        CONSUMED.labels(self._runtime.service.name, self._topic).inc(len(records))
        self._runtime.wake.fire()

    async def _apply(self, records: Sequence[Stored]) -> bool:
        """The whole batch in one transaction; raises at the first message that is bad. False when none of it was new
        and this service's business."""
        async with self._runtime.db.begin() as tx:
            envelopes: list[Envelope[Any]] = []
            async for part in in_turns(records):
                envelopes += [e for e in map(self._decode, part) if e is not None]
            fresh = await inbox.keep_new(tx, envelopes)
            await self._run_handlers(tx, fresh)
        return bool(fresh)

    def _wanted(self, kind: str) -> bool:
        """Whether events of this CloudEvents type have a handler here."""
        if kind.startswith(RESERVED_PREFIX):
            return kind in self._contracts
        types = self._runtime.service.activity_types
        return Activity in self._handlers and (types is None or kind in types)

    def _decode(self, record: Stored) -> Envelope[Any] | None:
        """The event of a record; None for one that no handler would do anything about."""
        envelope = codec.decode(record, self._wanted)
        if envelope is None:
            return None
        concerned = self._runtime.service.concerned.get(type(envelope.event))
        return envelope if concerned is None or concerned(envelope.event) else None

    async def _run_handlers(self, tx: Tx, envelopes: Sequence[Envelope[Any]]) -> None:
        for cls, handlers in self._handlers.items():
            batch = [e for e in envelopes if type(e.event) is cls]
            if batch:
                for handler in handlers:
                    await handler(tx, batch)

    async def _isolate(self, subscription: Subscription, records: Sequence[Stored]) -> None:
        """The batch again in small transactions in which bad messages become dead letters.

        The step is the number of dead letters that stops the consumer, so that a wrong deployment leaves only a
        few of them behind before a person is asked.
        """
        limit = self._runtime.settings.dead_letters_in_a_row
        for start in range(0, len(records), limit):
            part = records[start : start + limit]
            went_well = await self._isolate_apart(part)
            await subscription.commit(_next_to_read(part))
            self._done(part)
            self._count_dead(part, went_well)
            if self.stopped_by is not None:
                return

    async def _isolate_apart(self, part: Sequence[Stored]) -> dict[tuple[int, int], bool]:
        """One small part in a transaction; where that fails as it ends, each record in one of its own."""
        try:
            async with self._runtime.db.begin() as tx:
                return await self._isolate_part(tx, part)
        except Exception as error:
            # What a transaction does last is outside of every savepoint, and as likely to have a bug as any handler.
            if is_infrastructure(error):
                raise
            if len(part) == 1:
                return await self._give_up(part[0], error)
        went_well: dict[tuple[int, int], bool] = {}
        for record in part:
            went_well |= await self._isolate_apart([record])
        return went_well

    async def _give_up(self, record: Stored, error: Exception) -> dict[tuple[int, int], bool]:
        """The dead letter of a record whose transaction could not end."""
        self._log.error("consumer.dead_letter", offset=record.offset, error=repr(error))
        envelope = self._decode(record)
        async with self._runtime.db.begin() as tx:
            await inbox.keep_new(tx, [envelope] if envelope is not None else [])
            await dead_letters.give_up(tx, self.group, record, envelope, error)
        return {(record.partition, record.offset): False}

    async def _isolate_part(self, tx: Tx, part: Sequence[Stored]) -> dict[tuple[int, int], bool]:
        """Handle one small part; returns (partition, offset) → whether it went well. What was seen before, or is not
        this service's business, says nothing about the code and is not in there."""
        went_well: dict[tuple[int, int], bool] = {}
        envelopes = []
        by_position = {(r.partition, r.offset): r for r in part}
        for record in part:
            try:
                envelope = self._decode(record)
            except BadMessage as bad:
                await dead_letters.give_up(tx, self.group, record, None, bad)
                went_well[record.partition, record.offset] = False
                continue
            if envelope is not None:
                envelopes.append(envelope)
        fresh = await inbox.keep_new(tx, envelopes)
        went_well.update({(e.origin.partition, e.origin.offset): True for e in fresh})
        for envelope, error in await self._halve(tx, fresh):
            position = (envelope.origin.partition, envelope.origin.offset)
            went_well[position] = False
            await dead_letters.give_up(tx, self.group, by_position[position], envelope, error)
        return went_well

    async def _halve(self, tx: Tx, envelopes: list[Envelope[Any]]) -> list[tuple[Envelope[Any], Exception]]:
        """Handle what can be handled, each attempt in a savepoint; returns what cannot, with its error."""
        if not envelopes:
            return []
        try:
            async with tx.savepoint():
                await self._run_handlers(tx, envelopes)
        except Exception as error:
            # Whatever a handler raises over one message alone is that message's dead letter, a bug of ours included.
            if is_infrastructure(error):
                raise
            if len(envelopes) == 1:
                self._log.error("consumer.dead_letter", event_id=str(envelopes[0].id), error=repr(error))
                return [(envelopes[0], error)]
            middle = len(envelopes) // 2
            return await self._halve(tx, envelopes[:middle]) + await self._halve(tx, envelopes[middle:])
        return []

    def _count_dead(self, part: Sequence[Stored], went_well: Mapping[tuple[int, int], bool]) -> None:
        for record in part:
            if (record.partition, record.offset) not in went_well:
                continue
            self._dead_run = 0 if went_well[record.partition, record.offset] else self._dead_run + 1
            if self._dead_run >= self._runtime.settings.dead_letters_in_a_row:
                self.stopped_by = f"{self._dead_run} dead letters in a row on {self._topic}"
                CONSUMER_STOPPED.labels(self._runtime.service.name, self._topic).set(1)
                self._log.error("consumer.stopped", reason=self.stopped_by)
                return


def _next_to_read(records: Sequence[Stored]) -> dict[Partition, int]:
    return {Partition(r.topic, r.partition): r.offset + 1 for r in records}


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
