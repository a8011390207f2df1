"""A log that is accepted for while it is away: a bounded file in front of it, forwarded in order once it is back (K36).

For topics that are written without a database behind them (the door's activities); everything else waits in an outbox
and needs no second place.

Guaranteed on top of `kit.log`: what `append` returned for is in the log or durably in the file; records reach the log
in the order they were taken, and while anything waits in the file what comes later goes behind it. A file that a
killed process left is forwarded by the next one that opens it. A log that is away at the start is waited for while the
file takes what comes.

Not guaranteed: positions (those of what went into the file are not known yet: `UNPLACED`); that a record reaches the
log once (an append that was given up after `patience` may have arrived: consumers are idempotent); the order of two
appends of which neither waited for the other; anything about a file whose disk is lost.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from kit.clock import Clock, system_clock
from kit.log import Log, LogUnavailable, Partition, Position, Record, Stored, Subscription, Topic, TopicMismatch
from kit.log.embedded import EmbeddedLog
from kit.metrics import SPOOL_BYTES, SPOOL_LIMIT_BYTES, SPOOL_RECORDS, SPOOL_REFUSED, SPOOLED

logger = structlog.get_logger(__name__)

UNPLACED = -1
"""The offset of a record that waits in the file."""

PATIENCE_SECONDS = 2.0
RETRY_SECONDS = 1.0
DRAIN_SECONDS = 3.0
START_SECONDS = 5.0
CHECK_SECONDS = 1.0
GROUP = "forwarder"
"""Who reads the file."""
_FORWARDED_AT_ONCE = 500


class SpoolFull(LogUnavailable):
    """The log is away and the file holds all it may: nothing of the append was taken."""


class SpooledLog:
    """`log` with a file of at most `limit_bytes` (keys and values of what waits) in front of `topics`.

    An append that the log has not taken within `patience` seconds goes into the file. The file is this process's own:
    opening one that another process uses raises LogUnavailable.
    """

    def __init__(
        self,
        log: Log,
        path: Path,
        *,
        topics: Collection[str],
        limit_bytes: int,
        patience: float = PATIENCE_SECONDS,
        clock: Clock = system_clock,
    ) -> None:
        self._log = log
        self._file = EmbeddedLog(path, clock=clock)
        self._topics = tuple(sorted(topics))
        self._limit = limit_bytes
        self._patience = patience
        self._records = 0
        self._bytes = 0
        self._waiting: Subscription | None = None
        self._opening: asyncio.Task[None] | None = None
        self._ensuring: asyncio.Task[None] | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._unfit: TopicMismatch | None = None

    @property
    def waiting(self) -> int:
        """Records that are in the file and not known to be in the log."""
        return self._records

    # Starting and stopping

    async def start(self) -> None:
        """Returns after `START_SECONDS` although the log is still away; everything but the file is unavailable then."""
        try:
            await self._file.start()
        except OSError as error:
            raise LogUnavailable(f"the spool cannot be opened: {error}; GUILDHALL_SPOOL_MB=0 goes without") from error
        try:
            await self._file.ensure([Topic(name) for name in self._topics])
            self._waiting = await self._file.subscribe(GROUP, self._topics)
            await self._count_what_waits(self._waiting)
            await self._open_log()
        except BaseException:
            await self._file.stop()
            raise
        SPOOL_LIMIT_BYTES.set(self._limit)
        if self._records:
            logger.warning("spool.found", records=self._records, bytes=self._bytes)

    async def _open_log(self) -> None:
        self._opening = asyncio.create_task(self._until_open(), name="spool-open-log")
        done, _ = await asyncio.wait([self._opening], timeout=START_SECONDS)
        if done:
            self._opening.result()
        else:
            logger.warning("spool.started_without_log")

    async def _until_open(self) -> None:
        while True:
            try:
                await self._log.start()
                return
            except Exception as error:
                # Whatever it was, what the file takes meanwhile must get there.
                logger.warning("spool.log_away", error=str(error))
                # What it had opened before it failed.
                await self._log.stop()
                await asyncio.sleep(RETRY_SECONDS)

    async def _count_what_waits(self, waiting: Subscription) -> None:
        while found := await waiting.fetch(_FORWARDED_AT_ONCE, 0):
            self._count(len(found), sum(map(_size, found)))
        await waiting.abandon()

    async def ensure(self, topics: Sequence[Topic]) -> None:
        """As the log's; of one that is away, once it is there. Until its topics are as described it is not written to,
        and `check` says what is wrong with them."""
        if self._opening is not None and not self._opening.done():
            self._ensuring = asyncio.create_task(self._ensure_when_open(self._opening, topics), name="spool-ensure")
            return
        await self._log.ensure(topics)
        self._begin()

    async def _ensure_when_open(self, opening: asyncio.Task[None], topics: Sequence[Topic]) -> None:
        await opening
        while True:
            try:
                await self._log.ensure(topics)
                break
            except LogUnavailable as error:
                logger.warning("spool.log_away", error=str(error))
            except TopicMismatch as error:
                self._unfit = error
                logger.error("spool.log_unfit", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        self._unfit = None
        self._begin()

    def _begin(self) -> None:
        """Not before its topics are known: then what waits, and what comes, goes to the log."""
        if self._forwarding is None and self._waiting is not None:
            self._forwarding = asyncio.create_task(self._forward(self._waiting), name="spool-forwarder")

    def _there(self) -> Log:
        if self._forwarding is None:
            raise LogUnavailable(str(self._unfit or "the log was away at the start and is not back yet"))
        return self._log

    async def stop(self) -> None:
        """What waits gets `DRAIN_SECONDS` to leave; what did not is in the file for the next start."""
        for beginning in (self._opening, self._ensuring):
            if beginning is not None and not beginning.done():
                beginning.cancel()
                await asyncio.wait([beginning])
        if self._forwarding is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    while self._records:
                        await asyncio.sleep(0.05)
            self._forwarding.cancel()
            await asyncio.wait([self._forwarding])
        if self._records:
            logger.warning("spool.not_drained", records=self._records, bytes=self._bytes)
        await self._file.stop()
        await self._log.stop()

    # Writing

    async def append(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        if topic not in self._topics:
            return await self._there().append(topic, records)
        if not self._records:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._there().append(topic, records)
            except (LogUnavailable, TimeoutError) as error:
                logger.warning("spool.log_away", error=str(error) or f"no answer within {self._patience:g} s")
        return await self._keep(topic, records)

    async def _keep(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        size = sum(map(_size, records))
        if self._bytes + size > self._limit:
            SPOOL_REFUSED.inc(len(records))
            raise SpoolFull(f"the log is away and the spool is full ({self._records} records wait in it)")
        # Before it is durable: from now on nobody may go past it.
        self._count(len(records), size)
        try:
            await asyncio.shield(self._durable(topic, records, size))
        except LogUnavailable as error:
            SPOOL_REFUSED.inc(len(records))
            raise LogUnavailable(f"the log is away and the spool cannot be written: {error}") from error
        return [Position(0, UNPLACED)] * len(records)

    async def _durable(self, topic: str, records: Sequence[Record], size: int) -> None:
        """Shielded from callers who leave: what is in the file is counted, what did not get there is not."""
        try:
            await self._file.append(topic, records)
        except BaseException:
            self._count(-len(records), -size)
            raise
        SPOOLED.inc(len(records))

    def _count(self, records: int, size: int) -> None:
        self._records += records
        self._bytes += size
        SPOOL_RECORDS.set(self._records)
        SPOOL_BYTES.set(self._bytes)

    # Forwarding

    async def _forward(self, waiting: Subscription) -> None:
        while True:
            try:
                found = await waiting.fetch(_FORWARDED_AT_ONCE, 60)
                if found:
                    await self._forward_some(waiting, found)
            except Exception as error:
                # Whatever it was, what was acknowledged must go on being tried.
                logger.warning("spool.waiting", error=str(error), records=self._records)
                await waiting.abandon()
                await asyncio.sleep(RETRY_SECONDS)

    async def _forward_some(self, waiting: Subscription, found: Sequence[Stored]) -> None:
        by_topic: dict[str, list[Stored]] = {}
        for one in found:
            by_topic.setdefault(one.topic, []).append(one)
        for topic, some in by_topic.items():
            await self._log.append(topic, [Record(one.key, one.value) for one in some])
            place = Partition(topic, some[-1].partition)
            await waiting.commit({place: some[-1].offset + 1})
            self._count(-len(some), -sum(map(_size, some)))
            await self._file.drop(place, some[-1].offset + 1)
        if not self._records:
            logger.info("spool.empty")

    # What has nothing to do with the file

    async def subscribe(self, group: str, topics: Sequence[str]) -> Subscription:
        return await self._there().subscribe(group, topics)

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
        return await self._there().lag(group, topics)

    async def progress(self, group: str, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        return await self._there().progress(group, topics)

    async def check(self) -> None:
        """Passes while the log is away as long as the file takes more: what is sent here is taken."""
        if self._unfit is not None:
            raise LogUnavailable(str(self._unfit))
        if not self._records:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._there().check()
                    return
            except (LogUnavailable, TimeoutError) as error:
                logger.warning("spool.log_away", error=str(error) or f"no answer within {CHECK_SECONDS:g} s")
        if self._bytes >= self._limit:
            raise SpoolFull("the log is away and the spool is full")
        await self._file.check()


def _size(record: Record | Stored) -> int:
    return len(record.key) + len(record.value or b"")
