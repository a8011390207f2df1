"""What befalls a distributed installation while a large chat flows in: one of three brokers killed after the other,
replicas that come and go, a database that is slow, a network that loses everything or answers alone, the whole log
read again. As in `test_crash`: nothing is lost, nothing counts twice, what a member did keeps its order.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from deploy.local.kafka import KafkaBroker, KafkaCluster
from deploy.local.postgres import PostgresServer
from kit.log import Partition
from kit.log.kafka import KafkaLog
from kit.settings import load_settings
from services.compose import compose
from services.events.importers import client
from tests.crash import harness
from tests.crash.faults import Cut, Replicas, Slow
from tests.crash.processes import Engine, Installation, Process, Server, split
from tests.crash.schedule import Kill
from tests.crash.test_crash import MANY_KILLS, SEED, say, some_events
from tests.journeys.books import Books, read_books, table
from tests.support.http import client_of
from tests.support.network import Network, SlowLine

FEW_EVENTS = 3_000


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A database server of this test's own that keeps what it committed."""
    folder = Path(tempfile.mkdtemp(prefix="guildhall-faults-"))
    server = PostgresServer(folder / "data", socket=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def three(kafka_broker: KafkaBroker, tmp_path: Path) -> AsyncIterator[KafkaCluster]:
    """Three brokers; asking for the shared one skips where there is none."""
    cluster = KafkaCluster(tmp_path / "brokers")
    try:
        await asyncio.to_thread(cluster.start)
        yield cluster
    finally:
        await asyncio.to_thread(cluster.stop)


@contextmanager
def installed(tmp_path: Path, url: str, kafka: str, **settings: str) -> Iterator[Installation]:
    installation = split(tmp_path, url, kafka, prefix="faults.", **settings)
    try:
        yield installation
    finally:
        installation.stop()


def befall(installation: Installation, faults: Mapping[str, Server], seconds: float) -> None:
    """From now on these are among the victims, each for so many seconds at a time."""
    installation.engines = {name: Engine(fault, seconds) for name, fault in faults.items()}


def in_turns(names: list[str], times: int, every: int) -> list[Kill]:
    """One after the other, `every` batches apart."""
    return [Kill(every * (number + 1), 0.0, names[number % len(names)]) for number in range(times)]


async def with_three_brokers(tmp_path: Path, url: str, cluster: KafkaCluster, count: int | None, kills: int) -> None:
    events = some_events(count)
    pace = 0.5 if count else 0.3
    with installed(tmp_path, url, cluster.bootstrap, kafka_replication="3") as installation:
        befall(installation, {f"broker-{n}": broker for n, broker in enumerate(cluster.brokers, 1)}, 1.0)
        plan = in_turns(list(installation.engines), kills, max(1, len(events) // harness.BATCH // (kills + 1)))
        await harness.carry_out(installation, events, plan, say=say, pace=pace)


async def test_each_of_three_brokers_is_killed_in_turn(
    tmp_path: Path, database: PostgresServer, three: KafkaCluster
) -> None:
    await with_three_brokers(tmp_path, database.create_database("crash"), three, FEW_EVENTS, 3)


@pytest.mark.soak
async def test_each_of_three_brokers_is_killed_in_turn_many_times(
    tmp_path: Path, database: PostgresServer, three: KafkaCluster
) -> None:
    await with_three_brokers(tmp_path, database.create_database("crash"), three, None, MANY_KILLS)


async def with_replicas_that_come_and_go(tmp_path: Path, url: str, kafka: str, count: int | None, times: int) -> None:
    events = some_events(count)
    with installed(tmp_path, url, kafka) as installation:
        replicas = Replicas(lambda n: installation.another("rewards", tmp_path, n), 3, Random(SEED))
        befall(installation, {"replicas": replicas}, 0.0)
        plan = in_turns(["replicas"], times, max(1, len(events) // harness.BATCH // (times + 1)))
        try:
            await harness.carry_out(installation, events, plan, say=say, pace=0.5 if count else 0.1)
        finally:
            replicas.stop()


async def test_replicas_of_rewards_come_and_go_all_the_time(
    tmp_path: Path, database: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    url = database.create_database("crash")
    await with_replicas_that_come_and_go(tmp_path, url, kafka_broker.bootstrap, FEW_EVENTS, 8)


@pytest.mark.soak
async def test_replicas_of_rewards_come_and_go_many_times(
    tmp_path: Path, database: PostgresServer, mortal: KafkaBroker
) -> None:
    url = database.create_database("crash")
    await with_replicas_that_come_and_go(tmp_path, url, mortal.bootstrap, None, MANY_KILLS)


async def with_a_slow_database(tmp_path: Path, database: PostgresServer, kafka: str, count: int | None) -> None:
    """Slow twice, and once it does not answer for longer than anybody waits for a connection."""
    line = SlowLine(database.port)
    line.start()
    try:
        url = database.create_database("crash").replace(f":{database.port}/", f":{line.port}/")
        with installed(tmp_path, url, kafka) as installation:
            befall(installation, {"slow": Slow(line, 0.05), "still": Slow(line, 12.0)}, 10.0)
            plan = [Kill(5, 0.0, "slow"), Kill(12, 0.0, "still"), Kill(22, 0.0, "slow")]
            await harness.carry_out(installation, some_events(count), plan, say=say, pace=1.0)
    finally:
        line.stop()


async def test_the_database_is_slow_and_stands_still(
    tmp_path: Path, database: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    await with_a_slow_database(tmp_path, database, kafka_broker.bootstrap, FEW_EVENTS)


async def test_the_network_to_the_broker_loses_everything_and_then_answers_alone(
    tmp_path: Path, database: PostgresServer, kafka_broker: KafkaBroker, network: Network
) -> None:
    host = network.host()
    broker = KafkaBroker(tmp_path / "broker", host=host.address, within=host.within)
    await asyncio.to_thread(broker.start)
    try:
        with installed(tmp_path, database.create_database("crash"), broker.bootstrap) as installation:
            befall(installation, {"network": Cut(host)}, 12.0)
            plan = [Kill(6, 0.0, "network"), Kill(20, 0.0, "network")]
            answered = await harness.carry_out(installation, some_events(FEW_EVENTS), plan, say=say, pace=1.0)
        assert answered.retries == 0, "the spool takes what the broker does not"
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_replica_that_loses_the_broker_and_keeps_the_database_does_no_harm(
    tmp_path: Path, database: PostgresServer, kafka_broker: KafkaBroker, network: Network
) -> None:
    """Its partitions go to the other; what it had in hand when it was cut off, both of them work on."""
    one, other = network.host(), network.host()
    broker = KafkaBroker(tmp_path / "broker", host=one.address, within=one.within)
    await asyncio.to_thread(broker.start)
    replica: Process | None = None
    try:
        url = database.create_database("crash")
        with installed(tmp_path, url, broker.bootstrap) as installation:
            replica = installation.another("rewards", tmp_path, 2, database_url=database.socket_url("crash"))
            replica.within = other.within
            await asyncio.to_thread(replica.start)
            befall(installation, {"network": Cut(other)}, 15.0)
            plan = [Kill(4, 0.0, "network"), Kill(18, 0.0, "network")]
            await harness.carry_out(installation, some_events(FEW_EVENTS), plan, say=say, pace=1.0)
            assert await asyncio.to_thread(replica.stop) == 0
    finally:
        if replica is not None:
            replica.stop()
        await asyncio.to_thread(broker.stop)


async def test_the_whole_log_is_delivered_a_second_time(
    tmp_path: Path, database: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    """Every group of every service is put back to the beginning, as after a restore of the broker's offsets."""
    with installed(tmp_path, database.create_database("crash"), kafka_broker.bootstrap) as installation:
        await harness.carry_out(installation, some_events(FEW_EVENTS), [], say=say)
        await started(installation)
        # Nobody is told of history: these are told of their points.
        await check_in(installation, 40)
        await worked_off(installation)
        books, told = await kept(installation)
        assert told >= 40
        say(f"{await put_back(installation)} groups put back to the beginning; {told} messages")
        await started(installation)
        await worked_off(installation)
        assert await kept(installation) == (books, told)


async def started(installation: Installation) -> None:
    for process in installation.processes.values():
        await asyncio.to_thread(process.start)


async def worked_off(installation: Installation) -> None:
    await harness.drained(installation)
    assert set((await asyncio.to_thread(installation.stop)).values()) == {0}


async def check_in(installation: Installation, people: int) -> None:
    """As a bot would post it: so many people check in now."""
    events = [
        {
            "specversion": "1.0",
            "id": f"checkin-{number}",
            "source": "/bots/faults",
            "type": "checkin.submitted",
            "data": {"actor": f"qq:{number}", "group": "qq:1"},
        }
        for number in range(people)
    ]
    headers = {"Authorization": f"Bearer {installation.key}", "Content-Type": client.BATCH_TYPE}
    async with client_of(installation.url("events"), headers=headers) as http:
        assert (await http.post("/v1/events", json=events)).json()["accepted"] == people


async def kept(installation: Installation) -> tuple[Books, int]:
    """What the stopped installation has in its books, and how many messages it has made."""
    runtime = compose(settings_of(installation))
    databases = {name: one.db for name, one in runtime.services.items()}
    try:
        async with databases["notify"].read() as tx:
            told = int(await tx.scalar(select(func.count()).select_from(table(databases["notify"], "messages"))))
        return await read_books(databases["rewards"], UUID(installation.community)), told
    finally:
        for db in databases.values():
            await db.close()


async def put_back(installation: Installation) -> int:
    """Every consumer of the stopped installation will read everything again; how many groups that is."""
    settings = settings_of(installation)
    runtime = compose(settings)
    log = KafkaLog(settings.kafka, partitions=settings.kafka_partitions, prefix=settings.kafka_prefix)
    await log.start()
    try:
        for consumer in runtime.consumers:
            topic = consumer.group.rpartition(":")[2]
            await log.place(consumer.group, {Partition(topic, n): 0 for n in range(settings.kafka_partitions)})
        return len(runtime.consumers)
    finally:
        await log.stop()
        for one in runtime.services.values():
            await one.db.close()


def settings_of(installation: Installation) -> Any:
    values: dict[str, Any] = dict(installation.settings)
    return load_settings({}, **{**values, "data_dir": Path(values["data_dir"])})
