"""The door: events over HTTP, one a request and a hundred, against an application that only decodes them."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop
from sqlalchemy import func, select

from bench import report, wrk
from bench.installation import Child, counter, prepare, running, settings_of, up
from bench.sizes import Size
from bench.wrk import Load
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.runtime import topics
from kit.settings import Settings
from services.compose import BY_NAME, compose
from services.engines import open_log
from services.events.tables import activities

COLUMNS = ("", "requests/s", "events/s", "p50 ms", "p99 ms", "of bare")
DRAIN_SECONDS = 240.0
INGESTED = "guildhall_events_ingested_total"


class Counted:
    """Runs on one server, and how many events went in by its answers."""

    def __init__(self, child: Child, key: str, directory: Path) -> None:
        self.child = child
        self.answered = 0
        self.in_flight = 0
        self._key = key
        self._directory = directory

    def load(self, batch: int, connections: int, seconds: int, pause_ms: int = 0) -> Load:
        script = wrk.post_script(system_clock(), batch, self._key)
        shape = {"connections": connections, "seconds": seconds, "pause_ms": pause_ms}
        done = wrk.run(self.child.url, script, self._directory, **shape)
        self.answered += done.requests * batch
        self.in_flight += connections * batch
        return done


def line(name: str, load: Load, batch: int, bare: Load) -> tuple[str, ...]:
    figures = report.whole(load.rate), report.whole(load.rate * batch), report.ms(load.p50), report.ms(load.p99)
    return (name, *figures, "" if load is bare else report.ratio(load.rate / bare.rate))


def check_counts(name: str, stored: int, accepted: int, runs: Counted) -> None:
    """What is kept must be what was accepted, and that what was answered (at the end of a run some answers of what
    was under way are not waited for)."""
    if stored != accepted or not runs.answered <= accepted <= runs.answered + runs.in_flight:
        raise wrk.WrongAnswers(f"{name}: {stored} stored, {accepted} accepted, {runs.answered} answered")
    report.say(f"{name}: every answer 2xx; {accepted:,} accepted, {stored:,} kept.")


def run(size: Size) -> None:
    report.heading("Ingest, embedded")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        made = uvloop.run(prepare(settings_of(directory / "door")))
        bare = Counted(stack.enter_context(running("bench.bare", directory=directory)), "", directory)
        arguments = ("--data-dir", str(made.settings.data_dir))
        with running("bench.door", *arguments, directory=directory) as child:
            door = Counted(child, made.api_key, directory)
            with up(directory) as whole:
                product = Counted(whole, whole.said["api_key"], directory)
                _compare(size, bare, door, product)
                whole.resume()
                accepted = counter(whole.url, INGESTED)
            stored = uvloop.run(_drained(settings_of(directory / "up")))
            check_counts("the product", stored, accepted, product)
            at_door = counter(child.url, INGESTED)
        check_counts("its door alone", uvloop.run(on_log(made.settings)), at_door, door)


def _compare(size: Size, bare: Counted, door: Counted, product: Counted) -> None:
    product.child.pause()
    for batch in (1, 100):
        for server in (bare, door):
            server.load(batch, 8, 1)
        peak = 0.0
        for connections in size.connections:
            ceiling, alone = (server.load(batch, connections, size.seconds) for server in (bare, door))
            with _awake(product):
                whole = product.load(batch, connections, size.seconds)
            report.say(f"{batch} a request, {connections} connections:\n")
            named = {"bare FastAPI, decodes": ceiling, "the door alone": alone, "product, consumers at work": whole}
            report.table(COLUMNS, [line(name, load, batch, ceiling) for name, load in named.items()])
            peak = alone.rate
        if batch == 1:
            _half(size, door, product, peak)


def _half(size: Size, door: Counted, product: Counted, peak: float) -> None:
    """At the peak latency is the length of the queue; at half of it, it is the server's."""
    connections = size.connections[-1]
    # The rest of a connection's turn is the answer itself.
    pause = max(1, round(connections / (peak / 2) * 1000 * 0.7))
    alone = door.load(1, connections, size.seconds, pause)
    with _awake(product):
        whole = product.load(1, connections, size.seconds, pause)
    report.say(f"1 a request, {connections} connections, each waiting {pause} ms before it sends again:\n")
    named = {"the door alone": alone, "product, consumers at work": whole}
    rows = [
        (name, report.whole(load.rate), report.ratio(load.rate / peak), report.ms(load.p50), report.ms(load.p99))
        for name, load in named.items()
    ]
    report.table(("", "requests/s", "of the door's peak", "p50 ms", "p99 ms"), rows)


@contextmanager
def _awake(server: Counted) -> Iterator[None]:
    """Only while it is measured: being behind, its consumers would take time from the others' turns."""
    server.child.resume()
    try:
        yield
    finally:
        server.child.pause()


async def _drained(settings: Settings) -> int:
    """Activities stored once the events service has read all of its log."""
    runtime = compose(settings, [BY_NAME["events"]])
    await runtime.start(migrating=False)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while sum((await runtime.lag()).values()):
                await asyncio.sleep(0.05)
        async with runtime.services["events"].db.read() as tx:
            return int(await tx.scalar(select(func.count()).select_from(activities)))
    finally:
        await runtime.stop()


async def on_log(settings: Settings) -> int:
    """Activities on the log of an installation."""
    log = open_log(settings)
    await log.start()
    await log.ensure(topics(settings))
    try:
        return sum((await log.lag("nobody", [ACTIVITY_TOPIC])).values())
    finally:
        await log.stop()
