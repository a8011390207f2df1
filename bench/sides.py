"""The whole product both ways, side by side: one process on its own files, four on Kafka and PostgreSQL. Events over
HTTP until their points are on the board, beside what the engines do by themselves on the same machine."""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

import httpx2
import uvloop

from bench import pipeline, producer, report
from bench.activities import Day
from bench.installation import NOT_REFUSED, up
from bench.kafka import producers
from bench.measure import cpu_seconds, machine_seconds, resident
from bench.sizes import Size
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from deploy.local.split import Installation, environment, wait_until_known
from kit.clock import system_clock

BATCH, LANES = 100, 8
CALM_SECONDS, CALM_TIMES = 0.2, 3
PATIENCE = 600.0
JSON_BATCH = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Side:
    """An installation that runs: where each service answers, a key, the product's own processes."""

    urls: tuple[str, ...]
    door: str
    board: str
    key: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """`door` and `through` in events a second; `ours` and `machine` in cores meanwhile; `resident` in bytes."""

    door: float
    through: float
    ours: float
    machine: float
    resident: int
    total: int


@contextmanager
def embedded(directory: Path) -> Iterator[Side]:
    with up(directory) as child:
        yield Side((child.url,), child.url, child.url, child.said["api_key"], (child.pid,))


@contextmanager
def split(directory: Path, database_url: str, bootstrap: str) -> Iterator[Side]:
    directory.mkdir()
    installation = Installation(directory, environment(database_url, bootstrap, directory) | NOT_REFUSED)
    installation.guildhall("migrate")
    try:
        for name in ("members", "events", "rewards", "notify"):
            installation.start(name)
        key = json.loads(installation.guildhall("bootstrap"))["api_key"]
        wait_until_known(installation.urls, key)
        urls, pids = installation.urls, tuple(process.pid for process in installation.processes.values())
        yield Side(tuple(urls.values()), urls["events"], urls["rewards"], key, pids)
    finally:
        installation.stop()


async def _post(side: Side, items: Sequence[bytes]) -> None:
    """All of them, a hundred a request, eight requests at a time; RuntimeError unless every one is accepted."""
    waiting = iter(items)
    headers = {"Authorization": f"Bearer {side.key}", "Content-Type": JSON_BATCH}

    async def lane(http: httpx2.AsyncClient) -> None:
        while batch := list(islice(waiting, BATCH)):
            reply = await http.post("/v1/events", content=b"[" + b",".join(batch) + b"]")
            if reply.status_code != 200 or reply.json()["accepted"] != len(batch):
                raise RuntimeError(f"the door answered {reply.status_code}: {reply.text[:300]}")

    async with (
        httpx2.AsyncClient(base_url=side.door, headers=headers, timeout=60.0) as http,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(LANES):
            group.create_task(lane(http))


async def _worked_off(side: Side) -> None:
    """Until nobody has anything left to read, seen several times: one's work is another's input."""
    deadline, calm = perf_counter() + PATIENCE, 0
    async with httpx2.AsyncClient(timeout=60.0) as http:
        while calm < CALM_TIMES:
            left = sum([await _lag(http, url) for url in side.urls])
            calm = 0 if left else calm + 1
            if perf_counter() > deadline:
                raise TimeoutError(f"{left} records are left after {PATIENCE:.0f} s")
            await asyncio.sleep(CALM_SECONDS)


async def _lag(http: httpx2.AsyncClient, url: str) -> int:
    checks = (await http.get(f"{url}/readyz")).json()["checks"]
    known = [int(check["detail"]) for check in checks if check["name"].startswith("lag:")]
    # One that has no time to say how far behind it is, is not through.
    return sum(known) if known else 1


async def measure(side: Side, items: Sequence[bytes]) -> Result:
    ours, machine, started = _used(side), machine_seconds(), perf_counter()
    await _post(side, items)
    posted = perf_counter()
    await _worked_off(side)
    # What was waited for only to see that it stays so.
    took = perf_counter() - started - CALM_SECONDS * CALM_TIMES
    cores = (_used(side) - ours) / took, (machine_seconds() - machine) / took
    headers = {"Authorization": f"Bearer {side.key}"}
    async with httpx2.AsyncClient(base_url=side.board, headers=headers, timeout=60.0) as http:
        total = int((await http.get("/v1/boards/xp", params={"limit": 1})).json()["total"])
    return Result(len(items) / (posted - started), len(items) / took, *cores, sum(map(resident, side.pids)), total)


def _used(side: Side) -> float:
    return sum(map(cpu_seconds, side.pids))


def run(size: Size) -> None:
    report.heading("Side by side: one process on files, four on Kafka and PostgreSQL")
    day = Day.of(size.activities, system_clock())
    items = list(day.items(1))
    warm = list(Day.of(BATCH * LANES, system_clock()).items(2))
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        producer.jars()
        postgres = pipeline.start_postgres(directory, stack)
        if postgres is None:
            raise report.Skipped("PostgreSQL is not here")
        broker = KafkaBroker(directory / "kafka", lasting=True)
        broker.start()
        stack.callback(broker.stop)
        with embedded(directory) as one:
            uvloop.run(_warmed(one, warm))
            files = uvloop.run(measure(one, items))
        with split(directory / "split", postgres.create_database("sides"), broker.bootstrap) as four:
            uvloop.run(_warmed(four, warm))
            engines = uvloop.run(measure(four, items))
        if files.total != engines.total:
            raise RuntimeError(f"{files.total} on the embedded board, {engines.total} on the other")
        report.say(f"{len(items):,} activities of one simulated day, {BATCH} a request, {LANES} requests at once.\n")
        report.table(("", "embedded", "split", "split of embedded"), list(_rows(files, engines)))
        _ceilings(size, directory, day, postgres, broker)


async def _warmed(side: Side, items: Sequence[bytes]) -> None:
    await _post(side, items)
    await _worked_off(side)


def _rows(files: Result, engines: Result) -> Iterator[tuple[str, ...]]:
    def row(what: str, of: Callable[[Result], float], written: Callable[[float], str]) -> tuple[str, ...]:
        return (what, written(of(files)), written(of(engines)), report.ratio(of(engines) / of(files)))

    yield row("accepted, events/s", lambda r: r.door, report.whole)
    yield row("on the board, events/s", lambda r: r.through, report.whole)
    yield row("the product's processors, µs an event", lambda r: r.ours / r.through, report.us)
    yield row("all processors (with the load), µs an event", lambda r: r.machine / r.through, report.us)
    yield row(f"cores busy, of {os.cpu_count()}", lambda r: r.machine, lambda value: f"{value:.2f}")
    yield row("the product's memory, MiB", lambda r: r.resident / 2**20, report.whole)


def _ceilings(size: Size, directory: Path, day: Day, postgres: PostgresServer, broker: KafkaBroker) -> None:
    """What the engines do by themselves: Kafka's producer test, the databases doing only the product's inserts."""
    producing = producers(broker.bootstrap, size, directory)
    rows = [(f"Kafka's own producer, compression {kind}", report.whole(rate)) for kind, rate in producing.items()]
    for engine, server in (("SQLite", None), ("PostgreSQL", postgres)):
        everybody = pipeline.SCOPES["all services"]
        _, alone = pipeline.against_inserts(f"{engine} alone", directory, server, day, everybody)
        rows.append((f"{engine}, the inserts of all services", report.whole(alone)))
    report.table(("the engines by themselves", "events/s"), rows)
