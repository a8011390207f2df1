"""The door on Kafka and PostgreSQL, alone and in the events service that stores meanwhile, against the application that
only decodes and against Kafka's own producer test on the same broker."""

import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it ships no types; one count is read with it
import httpx2
import uvloop
from sqlalchemy.engine import make_url

from bench import producer, report
from bench.activities import ACTOR, ID, accepted, actor, door_event
from bench.ingest import COLUMNS, INGESTED, Counted, check_counts, line, on_log
from bench.installation import NOT_REFUSED, Child, counter, running, settings_of
from bench.sizes import Size
from demo.replay import STORING
from deploy.local.split import Installation, engines, environment, wait_until_known
from kit.clock import system_clock
from kit.log import Topic
from kit.log.kafka import KafkaLog
from services.events import wire

TOPIC = "bench.producer"
PAYLOADS = 2_000
DRAIN_SECONDS = 240.0


def payloads() -> list[bytes]:
    """Records as the door puts them on the log, key and value together."""
    now = system_clock()
    event, arrival = door_event(now), wire.Arrival(UUID(int=1), now, None, "bench", 64 * 1024)
    items = (event.replace(ID, f"payload-{n}").replace(ACTOR, actor(n)).encode() for n in range(PAYLOADS))
    records = [accepted(wire.check(item, arrival)) for item in items]
    return [record.key + (record.value or b"") for record in records]


async def _topic(bootstrap: str) -> None:
    log = KafkaLog(bootstrap)
    await log.start()
    await log.ensure([Topic(TOPIC)])
    await log.stop()


def producers(bootstrap: str, size: Size, directory: Path) -> dict[str, float]:
    """Kafka's own rate without compression (its default) and with the product's."""
    asyncio.run(_topic(bootstrap))
    ready = payloads()
    report.say(f"Records of {sum(map(len, ready)) // len(ready)} bytes, key included, 12 partitions.\n")
    warm = size.producer_records // 5
    producer.rate(bootstrap, TOPIC, ready, warm, directory)
    return {
        kind: producer.rate(bootstrap, TOPIC, ready, size.producer_records, directory, compression_type=kind)
        for kind in ("none", "zstd")
    }


def events_service(directory: Path, database_url: str, bootstrap: str) -> tuple[Installation, str]:
    """The events service, alone, on an installation whose first community it knows; with that community's key."""
    installation = Installation(directory, environment(database_url, bootstrap, directory) | NOT_REFUSED)
    installation.guildhall("migrate")
    installation.start("members")
    installation.start("events")
    key = json.loads(installation.guildhall("bootstrap"))["api_key"]
    wait_until_known(installation.urls, key)
    members = installation.processes.pop("members")
    del installation.urls["members"]
    members.terminate()
    members.wait(60)
    return installation, key


def run(size: Size) -> None:
    report.heading("Ingest, Kafka and PostgreSQL")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        producer.jars()
        database_url, bootstrap = stack.enter_context(engines(directory))
        own = producers(bootstrap, size, directory)
        installation, key = events_service(directory, database_url, bootstrap)
        stack.callback(installation.stop)
        bare = Counted(stack.enter_context(running("bench.bare", directory=directory)), "", directory)
        service = Child(installation.processes["events"], {"url": installation.urls["events"]})
        best = _door(size, directory, (database_url, bootstrap), bare, key)
        ours = Counted(service, key, directory)
        _compare(size, bare, ours, "the events service, storing")
        kept = counter(service.url, INGESTED)
        _drain(service.url)
        check_counts("the events service", uvloop.run(_stored(database_url)), kept, ours)
        report.say("")
        rows = [
            (f"Kafka's own producer, compression {kind}", report.whole(rate), report.ratio(best / rate))
            for kind, rate in own.items()
        ]
        report.table((f"our door's best in batches: {best:,.0f} events/s", "records/s", "we reach"), rows)


def _door(size: Size, directory: Path, where: tuple[str, str], bare: Counted, key: str) -> float:
    """The door alone, on topics of its own that nobody reads; its most events a second in batches."""
    database_url, bootstrap = where
    # Beside the service's: what a process takes while the broker is away is its own.
    arguments = ("--data-dir", str(directory / "door"), "--database-url", database_url, "--kafka", bootstrap)
    prefix = "door."
    with running("bench.door", *arguments, "--kafka-prefix", prefix, directory=directory) as child:
        door = Counted(child, key, directory)
        best = _compare(size, bare, door, "the door alone")
        accepted = counter(child.url, INGESTED)
        stored = uvloop.run(on_log(settings_of(directory, database_url, bootstrap, prefix)))
        check_counts("the door alone", stored, accepted, door)
    return best


def _compare(size: Size, bare: Counted, ours: Counted, name: str) -> float:
    """Tables of both; our most events a second in batches. A service goes on storing what came in before."""
    best = 0.0
    for batch in (1, 100):
        bare.load(batch, 8, 1)
        ours.load(batch, 8, 1)
        rows = []
        for connections in size.connections:
            ceiling = bare.load(batch, connections, size.seconds)
            done = ours.load(batch, connections, size.seconds)
            rows.append(line(f"bare FastAPI, {connections} connections", ceiling, batch, ceiling))
            rows.append(line(f"{name}, {connections}", done, batch, ceiling))
            best = max(best, done.rate * batch)
        report.say(f"{batch} a request:\n")
        report.table(COLUMNS, rows)
    return best


def _drain(url: str) -> None:
    """Until the service has stored what is on the log."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while lag := _lag(url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the events service is still {lag} records behind after {DRAIN_SECONDS:.0f} s")
        time.sleep(0.5)


def _lag(url: str) -> int:
    checks = httpx2.get(f"{url}/readyz", timeout=30).json()["checks"]
    return sum(int(check["detail"]) for check in checks if check["name"] == f"lag:{STORING}")


async def _stored(database_url: str) -> int:
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM events.activities"))
    finally:
        await connection.close()
