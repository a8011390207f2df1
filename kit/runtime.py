"""Starting and stopping: which services run in this process, on which log and databases, in which order.

Start: log → schemas at head → topics → copies (where there are none) → consumers, relays, loops. Stop: fetch no more
→ finish what is in hand → commit → close, bounded by `stop_seconds`; what did not drain is logged with its numbers.
"""

import asyncio
import secrets
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog

from kit import copies, idempotency, inbox, outbox
from kit.auth import authenticator_of
from kit.clock import Clock
from kit.consumer import Consumer
from kit.contracts import ACTIVITY_TOPIC, MEMBERS_TOPIC, NOTIFY_TOPIC, REWARDS_TOPIC, contract_of
from kit.contracts.events import Activity
from kit.contracts.platform import KeyUsed
from kit.database import Database, is_infrastructure
from kit.dead_letters import count_dead
from kit.declaration import Declaration, WiringError
from kit.log import Log, LogUnavailable, Topic
from kit.metrics import (
    CONSUMER_LAG,
    DEAD_LETTERS,
    DEAD_LETTERS_WRITTEN,
    DISK_FREE,
    DISK_SIZE,
    GAUGES_REFRESHED,
    LOG_APPEND_FAILURES,
    READY,
)
from kit.rebuilding import rebuild
from kit.revisions import at_head, to_head
from kit.service import Handler, Loop, Service, ServiceRuntime
from kit.settings import Settings, load_settings

logger = structlog.get_logger(__name__)

HOUSEKEEPING_SECONDS = 600.0
CHECK_SECONDS, LAG_SECONDS = 1.5, 1.0
"""What /readyz takes at most, in this order; together less than a gateway waits for it."""


class MaintainedLog(Protocol):
    """A log that wants housekeeping of its own (the embedded one; a broker does its own)."""

    async def maintain(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /readyz."""

    name: str
    ok: bool
    detail: str


def topics(settings: Settings) -> tuple[Topic, ...]:
    """Every topic of the platform."""
    keep = timedelta(days=settings.log_retention_days)
    return (
        Topic(MEMBERS_TOPIC, compacted=True),
        Topic(ACTIVITY_TOPIC, retention=keep),
        Topic(REWARDS_TOPIC, retention=keep),
        Topic(NOTIFY_TOPIC, retention=keep),
    )


def _topic_of(cls: type) -> str:
    return ACTIVITY_TOPIC if cls is Activity else contract_of(cls).topic


def check_wiring(services: Iterable[Service], everyone: Iterable[Declaration]) -> None:
    """Raises WiringError unless every event has a topic and one publisher, and every subscription a contract."""
    known = {t.name for t in topics(load_settings({}))}
    published: dict[type, str] = {}
    prefixes: dict[str, str] = {}
    for service in everyone:
        for cls in service.publishes:
            if contract_of(cls).topic not in known:
                raise WiringError(f"{cls.__name__} goes to an unknown topic {contract_of(cls).topic}")
            if cls in published:
                raise WiringError(f"{cls.__name__} is published by {published[cls]} and by {service.name}")
            published[cls] = service.name
        for prefix in service.prefixes:
            if prefix in prefixes:
                raise WiringError(f"/v1/{prefix} belongs to {prefixes[prefix]} and to {service.name}")
            prefixes[prefix] = service.name
    for service in services:
        for cls in service.subscriptions:
            if cls not in published and cls not in (Activity, KeyUsed):
                raise WiringError(f"{service.name} subscribes to {cls.__name__}, which nobody publishes")


def handlers_of(service: Service) -> dict[type, list[Handler]]:
    """The kit's own handlers (copies of communities, keys, members) before the service's."""
    merged: dict[type, list[Handler]] = {cls: [handler] for cls, handler in copies.SUBSCRIPTIONS.items()}
    for cls, handler in service.subscriptions.items():
        merged.setdefault(cls, []).append(handler)
    return merged


def consumed_topics(service: Service) -> list[str]:
    """The topics a service reads, each with a consumer of its own."""
    return sorted({_topic_of(cls) for cls in handlers_of(service)})


class Runtime:
    """The services of this process and everything that runs for them."""

    def __init__(
        self,
        services: Collection[Service],
        *,
        everyone: Iterable[Declaration],
        settings: Settings,
        clock: Clock,
        log: Log,
        open_db: Callable[[Service, frozenset[type]], Database],
    ) -> None:
        check_wiring(services, everyone)
        self.settings = settings
        self.clock = clock
        self.log = log
        self.stopping = asyncio.Event()
        self.services: dict[str, ServiceRuntime] = {}
        self.consumers: list[Consumer] = []
        for service in services:
            handlers = handlers_of(service)
            db = open_db(service, frozenset({*service.publishes, KeyUsed}))
            db.secret = settings.secret_key
            one = ServiceRuntime(service, db, log, clock, settings, handlers=handlers, stopping=self.stopping)
            self.services[service.name] = one
            for topic in consumed_topics(service):
                chosen = {cls: hs for cls, hs in handlers.items() if _topic_of(cls) == topic}
                self.consumers.append(Consumer(one, topic, chosen))
        self._tasks: list[asyncio.Task[None]] = []
        self._relays: list[asyncio.Task[None]] = []
        self._relays_stopping = asyncio.Event()

    async def start(self, *, migrating: bool) -> None:
        """Open everything and begin to work. `migrating` brings schemas to head; without it they must be there."""
        await self.log.start()
        for one in self.services.values():
            if migrating:
                await to_head(one.db, one.service.migrations)
            elif not await at_head(one.db, one.service.migrations):
                raise WiringError(f"the schema of {one.service.name} is not at head: run `guildhall migrate`")
        await self.log.ensure(topics(self.settings))
        for one in self.services.values():
            await rebuild(one)
        for consumer in self.consumers:
            self._spawn(consumer.group, partial(consumer.run, self.stopping))
        for one in self.services.values():
            relay = partial(outbox.relay, one.db, self.log, self._relays_stopping)
            self._relays.append(self._spawn(f"relay:{one.service.name}", relay))
            for loop in (*one.service.loops, *KIT_LOOPS):
                self._spawn(f"{one.service.name}:{loop.name}", partial(self._keep_running, one, loop))
        self._spawn("waking", self._wake_when_stopping)
        self._spawn("metrics", self._refresh_metrics)
        self._spawn("log", self._maintain_log)

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def run() -> None:
            await work()

        task = asyncio.create_task(run(), name=name)
        self._tasks.append(task)
        return task

    async def _keep_running(self, one: ServiceRuntime, loop: Loop) -> None:
        while not self.stopping.is_set():
            try:
                await loop.run(one, self.stopping)
                return
            except Exception as error:
                # A loop that ended silently would be due work that is never done: say it and begin again.
                passing = is_infrastructure(error) or isinstance(error, LogUnavailable)
                (logger.warning if passing else logger.exception)("loop.failed", loop=loop.name, error=str(error))
                await pause(self.stopping, 2.0)

    async def _wake_when_stopping(self) -> None:
        """Who waits for a commit looks whether it shall go on: else a stop would take as long as the longest wait."""
        await self.stopping.wait()
        for one in self.services.values():
            one.wake.fire()

    async def stop(self) -> None:
        """Finish what is in hand, then close; after `stop_seconds` what still runs is cancelled and named."""
        self.stopping.set()
        if self._tasks:
            deadline = asyncio.get_running_loop().time() + self.settings.stop_seconds
            before = set(self._tasks) - set(self._relays)
            if before:
                await asyncio.wait(before, timeout=self.settings.stop_seconds)
            # After the consumers: what their last batches announced leaves now rather than at the next start.
            self._relays_stopping.set()
            left = max(1.0, deadline - asyncio.get_running_loop().time())
            _, late = await asyncio.wait(self._tasks, timeout=left)
            for task in late:
                logger.warning("stop.cut_short", task=task.get_name())
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self.services.values():
            with suppress(Exception):  # the count is a courtesy; a database that is gone must not stop the stopping
                async with one.db.read() as tx:
                    left, _ = await outbox.waiting(tx)
                if left:
                    logger.warning("stop.not_drained", service=one.service.name, outbox_rows=left)
        await self.log.stop()
        for one in self.services.values():
            await one.db.close()

    async def lag(self) -> dict[str, int]:
        """Records each consumer group of this process has yet to read."""
        out = {}
        for consumer in self.consumers:
            service, _, topic = consumer.group.removeprefix("guildhall.").partition(":")
            out[consumer.group] = sum((await self.log.lag(consumer.group, [topic])).values())
            CONSUMER_LAG.labels(service, topic).set(out[consumer.group])
        GAUGES_REFRESHED.labels("log").set(self.clock().timestamp())
        return out

    async def settle(self, timeout: float = 30.0) -> None:
        """Wait until outboxes and consumers are drained (tests, the demo). TimeoutError says what is left."""
        deadline = asyncio.get_running_loop().time() + timeout
        calm = 0
        while calm < 2:
            left = {name: n for name, n in (await self.lag()).items() if n}
            for one in self.services.values():
                async with one.db.read() as tx:
                    rows, _ = await outbox.waiting(tx)
                if rows:
                    left[f"outbox:{one.service.name}"] = rows
            calm = 0 if left else calm + 1
            if left and asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"not settled: {left}")
            if calm < 2:
                await asyncio.sleep(0.02)

    async def readiness(self, patience: float = LAG_SECONDS) -> list[Check]:
        """What /readyz shows: databases, schemas, log, consumers and, if told within `patience` seconds, their lag."""
        databases = [_checked(f"database:{name}", one.db.check()) for name, one in self.services.items()]
        checks = await asyncio.gather(*databases, _checked("log", self.log.check()))
        log = checks[-1]
        for consumer in self.consumers:
            if consumer.stopped_by:
                checks.append(Check(f"consumer:{consumer.group}", False, consumer.stopped_by))
        if not log.ok:
            # Asking on would take its own time to fail, and the caller's patience.
            return checks
        try:
            lags = await asyncio.wait_for(self.lag(), patience)
        except (LogUnavailable, TimeoutError):
            # A log that takes what is sent while it cannot be read (it has a spool) is fit to work.
            return [*checks, Check("lag", True, "not known")]
        most = self.settings.ready_max_lag
        return checks + [Check(f"lag:{group}", lag <= most, str(lag)) for group, lag in sorted(lags.items())]

    async def _refresh_metrics(self) -> None:
        for name in self.services:
            # From 0 on: what appears with its first value has not increased in the eyes of Prometheus.
            DEAD_LETTERS_WRITTEN.labels(name)
            LOG_APPEND_FAILURES.labels(name)
        for source in ("database", "log"):
            GAUGES_REFRESHED.labels(source)
        while not self.stopping.is_set():
            for refresh in (self._refresh_checks, self._refresh_database_gauges):
                try:
                    await refresh()
                except Exception as error:
                    # Gauges grow old while the database or the log is away; the next round makes them fresh.
                    logger.warning("metrics.stale", error=str(error))
            await pause(self.stopping, self.settings.metrics_seconds)

    async def _refresh_checks(self) -> None:
        checks = await self.readiness(patience=30.0)
        READY.clear()
        for check in checks:
            READY.labels(check.name).set(check.ok)
        if self.settings.data_dir.exists():
            disk = shutil.disk_usage(self.settings.data_dir)
            DISK_FREE.set(disk.free)
            DISK_SIZE.set(disk.total)

    async def _refresh_database_gauges(self) -> None:
        for name, one in self.services.items():
            await outbox.refresh_metrics(one.db)
            async with one.db.read() as tx:
                DEAD_LETTERS.labels(name).set(await count_dead(tx))
        GAUGES_REFRESHED.labels("database").set(self.clock().timestamp())

    async def _maintain_log(self) -> None:
        maintain = getattr(self.log, "maintain", None)
        while maintain is not None and not self.stopping.is_set():
            await pause(self.stopping, HOUSEKEEPING_SECONDS)
            if not self.stopping.is_set():
                try:
                    await maintain()
                except LogUnavailable as error:
                    logger.warning("log.maintenance_failed", error=str(error))


async def _checked(name: str, check: Awaitable[None]) -> Check:
    try:
        await asyncio.wait_for(check, CHECK_SECONDS)
    except Exception as error:
        # Whatever keeps the check from passing is exactly what /readyz is asked to say.
        return Check(name, False, str(error) or type(error).__name__)
    return Check(name, True, "ok")


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, or less when the platform stops."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _housekeeping(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        await inbox.purge(one.db, timedelta(days=one.settings.inbox_days))
        await idempotency.purge(one.db, timedelta(hours=one.settings.idempotency_hours))
        await pause(stopping, HOUSEKEEPING_SECONDS)


async def _announce_used_keys(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        await pause(stopping, 15.0)
        used = authenticator_of(one).used(one.clock())
        if used:
            async with one.db.begin() as tx:
                for event in used:
                    outbox.add(tx, event)


KIT_LOOPS = (Loop("housekeeping", _housekeeping), Loop("used-keys", _announce_used_keys))


def with_secret(settings: Settings) -> Settings:
    """The settings with the installation secret: as given, or read from (made once in) `data_dir/secret`.

    WiringError when there is none and no data directory is in use: replicas must share it.
    """
    if settings.secret_key:
        return settings
    if not settings.embedded:
        raise WiringError("GUILDHALL_SECRET_KEY is not set; replicas share it: make one with `openssl rand -hex 32`")
    path = settings.data_dir / "secret"
    if not path.exists():
        _write_secret(path)
    return replace_secret(settings, path.read_text().strip())


def _write_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32) + "\n")


def replace_secret(settings: Settings, secret: str) -> Settings:
    return settings.model_copy(update={"secret_key": secret})


def describe(checks: Sequence[Check]) -> dict[str, Any]:
    """The body of /readyz."""
    return {
        "ready": all(c.ok for c in checks),
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
    }
