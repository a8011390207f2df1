"""What one process of the whole product holds in memory: at the start, after the demo, after a million events."""

import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from time import sleep
from typing import Any

import msgspec
import uvloop

from bench import report
from bench.activities import Day
from bench.installation import up
from bench.measure import resident
from bench.sizes import Size
from demo.generator import generate
from demo.replay import replay
from kit.clock import system_clock

MEMBERS, DAYS = 200, 60
MANY_MEMBERS = 10_000
PATIENCE = 600.0
CALM_SECONDS = 1.0


def days(events: int) -> Iterator[dict[str, Any]]:
    """So many events: the same day again and again, of as many groups of people as make up K60's members."""
    day = Day.of(10_000, system_clock())
    groups = -(-MANY_MEMBERS // day.people)
    every = (msgspec.json.decode(item) for number in count() for item in day.items(number, number % groups))
    return islice(every, events)


def run(size: Size) -> None:
    report.heading("Memory, embedded: everything in one process")
    rows = []
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, up(Path(name)) as child:

        def note(what: str, events: int) -> None:
            # What is measured is what stays, not the last batch on its way out.
            sleep(CALM_SECONDS)
            rows.append((what, report.whole(events), f"{resident(child.pid) / 2**20:.0f}"))

        note("after the start", 0)
        demo = list(generate(seed=1, members=MEMBERS, days=DAYS, end=system_clock()))
        key = child.said["api_key"]
        uvloop.run(_posted(child.url, key, demo, "demo"))
        note(f"after the demo ({MEMBERS} members, {DAYS} days)", len(demo))
        if size.stored:
            uvloop.run(_posted(child.url, key, days(size.stored), "many"))
            note("after many events", len(demo) + size.stored)
    report.table(("", "events posted", "resident MiB"), rows)


async def _posted(url: str, key: str, events: Any, name: str) -> None:
    await replay(url, key, events, name=name, patience=PATIENCE)
