"""Activities into points on Kafka and PostgreSQL, by the number of replicas of the rewards service (K61).

All of them share this machine with the broker and the database; how much of it was busy is printed beside the rate.
"""

import asyncio
import os
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import asyncpg  # type: ignore[import-untyped]  # it ships no types; three sums are read with it
import uvloop
from sqlalchemy.engine import make_url

from bench import producer, report
from bench.activities import Day
from bench.installation import Child, fill_log, prepare, running, settings_of
from bench.measure import cpu_seconds, machine_seconds
from bench.pipeline import start_postgres
from bench.sizes import Size
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.runtime import topics
from kit.settings import PREFIX, Settings
from services.engines import open_log

COLUMNS = ("replicas", "activities/s", "of one", "cores, rewards", "cores, all", "rewards, µs each")
REPLICAS = (1, 2, 4)
GROUP = f"guildhall.rewards:{ACTIVITY_TOPIC}"
SHARING_SECONDS = 8.0
"""Until a group of that many new members has shared out the partitions; no metric tells it."""
PATIENCE = 300.0
POLL_SECONDS = 0.1
"""Asking takes the time of what is measured."""


@dataclass(frozen=True, slots=True)
class Result:
    """`rate` in activities a second, `rewards` and `machine` in cores, `books` what was posted in the end."""

    rate: float
    rewards: float
    machine: float
    books: str


def run(size: Size) -> None:
    report.heading("Replicas of rewards, 12 partitions")
    day = Day.of(size.activities, system_clock())
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        producer.jars()
        postgres = start_postgres(directory, stack)
        if postgres is None:
            raise report.Skipped("PostgreSQL is not here")
        broker = KafkaBroker(directory / "kafka", lasting=True)
        broker.start()
        stack.callback(broker.stop)
        report.say(f"{len(day.events):,} activities of one simulated day, put on the log at once.\n")
        measured = [_measure(directory, postgres, broker, day, count) for count in REPLICAS]
    if len({result.books for result in measured}) != 1:
        raise RuntimeError(f"the books differ by the number of replicas: {[result.books for result in measured]}")
    report.table(COLUMNS, [_row(count, r, measured[0]) for count, r in zip(REPLICAS, measured, strict=True)])
    report.say(f"Every time the same books: {measured[0].books}.\n")


def _row(count: int, result: Result, first: Result) -> tuple[str, ...]:
    cores = f"{result.rewards:.2f}", f"{result.machine:.2f} of {os.cpu_count()}"
    each = report.us(result.rewards / result.rate)
    return (str(count), report.whole(result.rate), report.ratio(result.rate / first.rate), *cores, each)


def _measure(directory: Path, postgres: PostgresServer, broker: KafkaBroker, day: Day, count: int) -> Result:
    name = f"replicas_{count}"
    settings = settings_of(directory / name, postgres.create_database(name), broker.bootstrap, f"{name}.")
    community = uvloop.run(prepare(settings)).community
    records = day.records(1, community, system_clock())
    with ExitStack() as stack:
        children = [stack.enter_context(_replica(settings, number)) for number in range(count)]
        time.sleep(SHARING_SECONDS)
        ours, machine, started = _used(children), machine_seconds(), perf_counter()
        uvloop.run(fill_log(settings, ACTIVITY_TOPIC, records))
        uvloop.run(_drained(settings))
        took = perf_counter() - started
        rewards, busy = (_used(children) - ours) / took, (machine_seconds() - machine) / took
    return Result(len(records) / took, rewards, busy, uvloop.run(_books(settings)))


def _replica(settings: Settings, number: int) -> AbstractContextManager[Child]:
    directory = settings.data_dir / f"replica-{number}"
    directory.mkdir()
    given = {
        "DATABASE_URL": settings.database_url,
        "KAFKA": settings.kafka,
        "KAFKA_PREFIX": settings.kafka_prefix,
        "DATA_DIR": str(directory),
        "LOG_LEVEL": "error",
    }
    environment = {PREFIX + key: value for key, value in given.items()}
    return running("services", "serve", "rewards", "--port", "0", "--json", directory=directory, **environment)


def _used(children: list[Child]) -> float:
    return sum(cpu_seconds(child.pid) for child in children)


async def _drained(settings: Settings) -> None:
    """Until the group has read everything."""
    log = open_log(settings)
    await log.start()
    try:
        await log.ensure(topics(settings))
        deadline = perf_counter() + PATIENCE
        while left := sum((await log.lag(GROUP, [ACTIVITY_TOPIC])).values()):
            if perf_counter() > deadline:
                raise TimeoutError(f"{left} records are left after {PATIENCE:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await log.stop()


async def _books(settings: Settings) -> str:
    url = make_url(settings.database_url)
    connection = await asyncpg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        database=url.database,
        server_settings={"search_path": "rewards"},
    )
    try:
        row = await connection.fetchrow(
            "SELECT count(*) AS entries, sum(amount) FILTER (WHERE scored = 1) AS given, sum(amount) AS sum "
            "FROM entries"
        )
    finally:
        await connection.close()
    return f"{row['entries']:,} entries, {row['given']:,} given to members, all sums to {row['sum']}"
