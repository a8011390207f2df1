"""Forgetting beside ingesting: the same events taken in and stored, in turns with a purge at work and without."""

import asyncio
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import uvloop
from sqlalchemy import func, select

from bench import report
from bench.activities import Day, accepted
from bench.installation import Made, prepare, settings_of
from bench.pipeline import start_postgres
from bench.sizes import Size
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.runtime import Runtime
from kit.settings import Settings
from services import server
from services.compose import BY_NAME, compose
from services.events import retention, tables, wire
from services.events.store import activities, keeping

BATCH = 100
TURNS = 12
OLD_FOR_EACH = 12
"""So many old rows for every new one, so that there is something to forget until the end."""

COLUMNS = ("", "alone, events/s", "beside, events/s", "beside / alone", "forgotten, rows/s")


def _old(community: UUID, number: int, template: dict[str, Any]) -> dict[str, Any]:
    at = system_clock() - timedelta(days=500, seconds=number)
    return {
        **template, "event_id": uuid4(), "community_id": community, "source_id": f"old{number}", "occurred_at": at,
        "received_at": at, "effective_at": at, "day": at.date(), "log_partition": 0, "log_offset": -1 - number,
    }  # fmt: skip


async def _fill(runtime: Runtime, made: Made, many: int) -> None:
    """Rows whose time is over, and the community's word that it is."""
    db = runtime.services["events"].db
    template: dict[str, Any] = {
        **{column.name: None for column in tables.activities.columns},
        "source": "/bots/bench-main", "type": "message.created", "actor": "qq:1", "actor_id": uuid4(),
        "group_ref": "qq:342561735", "flags": (), "data": {"actor": "qq:1", "length": 11, "kind": "text"},
    }  # fmt: skip
    for start in range(0, many, 1000):
        async with db.begin() as tx:
            await activities.add(tx, rows=[_old(made.community, start + n, template) for n in range(1000)])
    async with db.begin() as tx:
        said = {"changed_at": tx.now, "changed_by": "bench"}
        await keeping.wish(tx, row={"community_id": made.community, "keep_text_days": 0, "activity_days": 400, **said})


async def _through(runtime: Runtime, made: Made, items: list[bytes]) -> float:
    """Checked, appended and stored; events a second."""
    started = perf_counter()
    for start in range(0, len(items), BATCH):
        arrival = wire.Arrival(made.community, system_clock(), None, "bench", 64 * 1024)
        records = [accepted(wire.check(item, arrival)) for item in items[start : start + BATCH]]
        await runtime.log.append(ACTIVITY_TOPIC, records)
    while any((await runtime.lag()).values()):
        await asyncio.sleep(0.005)
    return len(items) / (perf_counter() - started)


async def _rows(runtime: Runtime) -> int:
    async with runtime.services["events"].db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(tables.activities)))


async def _measure(settings: Settings, size: Size) -> tuple[str, ...]:
    made = await prepare(settings)
    # Without its own loops: it forgets when it is told to.
    runtime = compose(settings, [replace(BY_NAME["events"], loops=())])
    server.tune_collector()
    each = max(2_000, size.activities // 4)
    day, numbers = Day.of(each, system_clock()), count(1)
    one = runtime.services["events"]
    await runtime.start(migrating=False)
    rates: dict[bool, list[float]] = {False: [], True: []}
    gone = seconds = 0.0
    try:
        await _fill(runtime, made, each * OLD_FOR_EACH)
        await _through(runtime, made, list(day.items(next(numbers))))
        for turn in range(TURNS):
            beside, before, started = bool(turn % 2), await _rows(runtime), perf_counter()
            purge = asyncio.create_task(retention.purge(one, one.stopping)) if beside else None
            rates[beside].append(await _through(runtime, made, list(day.items(next(numbers)))))
            if purge is not None:
                if purge.done():
                    raise RuntimeError("everything was forgotten before the turn was over; more old rows are needed")
                purge.cancel()
                with suppress(asyncio.CancelledError):
                    await purge
                seconds += perf_counter() - started
                gone += before + len(day.events) - await _rows(runtime)
    finally:
        await runtime.stop()
    alone, with_purge = median(rates[False]), median(rates[True])
    return report.whole(alone), report.whole(with_purge), report.ratio(with_purge / alone), report.whole(gone / seconds)


def run(size: Size) -> None:
    report.heading("Retention: ingesting and storing beside a purge")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        rows = [("SQLite", *uvloop.run(_measure(settings_of(directory / "sqlite"), size)))]
        postgres = start_postgres(directory, stack)
        if postgres is not None:
            settings = settings_of(directory / "split", postgres.create_database("retention"))
            rows.append(("PostgreSQL", *uvloop.run(_measure(settings, size))))
        report.table(COLUMNS, rows)
