"""What only a broker can do: be away, be killed, be configured otherwise."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.kafka import KafkaBroker, free_ports
from kit.log import LogUnavailable, Record, Topic
from kit.log.kafka import KafkaLog, adapter, producing
from tests.kit.log.conftest import PARTITIONS
from tests.kit.log.support import by_key, everything, next_to_read, read, records, topic, values

PATIENCE = 120.0
ROOT = Path(__file__).parents[3]
T = TypeVar("T")


@asynccontextmanager
async def opened(bootstrap: str, prefix: str = "", **more: int) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(
        bootstrap, partitions=more.get("partitions", PARTITIONS), replication=1, client_id="t", prefix=prefix
    )
    try:
        await log.start()
        yield log
    finally:
        await log.stop()


async def test_a_broker_that_is_not_there_is_said_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "START_SECONDS", 3.0)
    [port] = free_ports(1)
    log = KafkaLog(f"127.0.0.1:{port}", partitions=1, replication=1, client_id="t")
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LogUnavailable):
            await log.start()
        with pytest.raises(LogUnavailable):
            await log.check()
        await log.stop()


async def test_topics_are_configured_as_described(kafka_broker: KafkaBroker, prefix: str) -> None:
    async with opened(kafka_broker.bootstrap, prefix) as log:
        await log.ensure([Topic("state", compacted=True), Topic("things", retention=timedelta(days=7)), Topic("ever")])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await admin.start()
    found: dict[str, dict[str, str]] = {}
    for name in ("state", "things", "ever"):
        [reply] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, prefix + name)])
        found[name] = {entry[0]: entry[1] for entry in reply.resources[0][4]}
    described = await admin.describe_topics([prefix + "things"])
    await admin.close()
    assert found["state"]["cleanup.policy"] == "compact"
    assert found["things"]["cleanup.policy"] == "delete"
    assert found["things"]["retention.ms"] == str(7 * 24 * 3600 * 1000)
    assert found["ever"]["retention.ms"] == "-1"
    assert len(described[0]["partitions"]) == PARTITIONS


async def test_a_topic_keeps_its_partitions_when_the_setting_changes(kafka_broker: KafkaBroker, prefix: str) -> None:
    """Another number would send the records of a key to another partition than before."""
    async with opened(kafka_broker.bootstrap, prefix) as log:
        await topic(log)
        before = await log.append("things", records(20))
    async with opened(kafka_broker.bootstrap, prefix, partitions=PARTITIONS * 2) as log:
        await topic(log)
        after = await log.append("things", records(20))
    assert [p.partition for p in after] == [p.partition for p in before]


async def test_logs_with_different_prefixes_share_a_broker_and_nothing_else(kafka_broker: KafkaBroker) -> None:
    left, right = f"l{uuid4().hex[:8]}.", f"r{uuid4().hex[:8]}."
    async with opened(kafka_broker.bootstrap, left) as one, opened(kafka_broker.bootstrap, right) as two:
        await topic(one)
        await topic(two)
        await one.append("things", records(10))
        await two.append("things", records(10, start=100))
        assert sorted(values(await everything(one, "things", 10))) == list(range(10))
        assert sorted(values(await everything(two, "things", 10))) == list(range(100, 110))


async def test_a_member_that_is_killed_loses_its_partitions_to_the_next(kafka_broker: KafkaBroker, prefix: str) -> None:
    """The broker notices within the session timeout; what was committed stays, what was in hand is read again."""
    async with opened(kafka_broker.bootstrap, prefix, partitions=1) as log:
        things = await topic(log)
        await log.append(things, records(100))
        command = [sys.executable, "-m", "tests.kit.log.reader", kafka_broker.bootstrap, prefix]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"holding\n"
        process.kill()
        await process.wait()
        heir = await log.subscribe("g", [things])
        assert values(await read(heir, 60, commit=True)) == list(range(40, 100))
        await heir.close()


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, once the broker that was started again gives it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await ask()
            except LogUnavailable:
                await asyncio.sleep(0.2)


class Writers:
    """Callers that append for as long as they are let, try again what failed, and note what was acknowledged."""

    def __init__(self, log: KafkaLog, name: str, count: int) -> None:
        self.acknowledged: dict[bytes, list[int]] = {b"w%d" % n: [] for n in range(count)}
        self.refused = 0
        self._log = log
        self._name = name
        self._finished = asyncio.Event()
        self._tasks = [asyncio.create_task(self._write(key)) for key in self.acknowledged]

    async def _write(self, key: bytes) -> None:
        number = 0
        while not self._finished.is_set():
            try:
                await self._log.append(self._name, [Record(key, b"%d" % number)])
            except LogUnavailable:
                self.refused += 1
                await asyncio.sleep(0.2)
            else:
                self.acknowledged[key].append(number)
                number += 1

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    async def go_on(self, more: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = self.total + more
        async with asyncio.timeout(PATIENCE):
            while self.total < wanted:
                await asyncio.sleep(0.02)

    async def finish(self) -> None:
        self._finished.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)


async def test_a_broker_killed_under_appends_loses_nothing_acknowledged(mortal: KafkaBroker) -> None:
    draw = random.Random(4)
    async with opened(mortal.bootstrap) as log:
        things = await topic(log)
        writers = Writers(log, things, 20)
        for _ in range(2):
            await writers.go_on(draw.randrange(200, 2000))
            await asyncio.to_thread(mortal.restart)
        await writers.go_on(500)
        await writers.finish()
        subscription = await log.subscribe("all", [things])
        there = sum((await patiently(lambda: log.lag("all", [things]))).values())
        got = await read(subscription, there)
        stored = by_key(got)
        for key, numbers in writers.acknowledged.items():
            # A retried append may stand twice: consumers drop the second by its id. None is missing, none overtakes.
            assert list(dict.fromkeys(stored[key]))[: len(numbers)] == numbers
        await subscription.close()


async def test_a_broker_that_stays_away_is_said_to_appenders_and_readers_and_forgiven_when_it_returns(
    mortal: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "APPEND_SECONDS", 5.0)
    monkeypatch.setattr(producing, "APPEND_SECONDS", 5.0)
    async with opened(mortal.bootstrap) as log:
        things = await topic(log)
        await log.append(things, records(10))
        subscription = await log.subscribe("g", [things])
        await subscription.commit(next_to_read(await read(subscription, 10)))
        await asyncio.to_thread(mortal.kill)
        async with asyncio.timeout(PATIENCE):
            told = await asyncio.gather(*(log.append(things, records(3)) for _ in range(5)), return_exceptions=True)
            assert {type(one) for one in told} == {LogUnavailable}
            with pytest.raises(LogUnavailable):
                await log.check()
            with pytest.raises(LogUnavailable):
                await log.lag("g", [things])
        await asyncio.to_thread(mortal.start)
        await patiently(lambda: log.append(things, [Record(b"after", b"77")]))
        await patiently(log.check)
        got: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while 77 not in got:
                batch = await patiently(lambda: subscription.fetch(100, 1.0))
                if batch:
                    await patiently(partial(subscription.commit, next_to_read(batch)))
                got += values(batch)
        await subscription.close()
