"""Whether an event costs the same when a lot is stored already: the same day of new people, again and again."""

import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter, process_time

import uvloop

from bench import report
from bench.activities import Day, accepted
from bench.installation import Made, fill_log, prepare, settings_of
from bench.pipeline import drain
from bench.sizes import Size
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from services import server
from services.compose import compose
from services.engines import open_log
from services.events import wire

BATCH = 100
LEAST = 2_000
COLUMNS = ("stored", "ingest, µs an event", "pipeline, µs", "processor, µs", "ingest, of the first", "pipeline")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds an event: at the door (check and append, batches of 100, one after the other), through all consumers,
    and the processor time of the latter."""

    stored: int
    ingest: float
    pipeline: float
    processor: float


async def ingest(made: Made, day: Day, number: int) -> float:
    """The day through the door's own functions onto the log; seconds an event."""
    items = list(day.items(number))
    log = open_log(made.settings)
    await log.start()
    try:
        started = perf_counter()
        for start in range(0, len(items), BATCH):
            arrival = wire.Arrival(made.community, system_clock(), None, "bench", 64 * 1024)
            records = [accepted(wire.check(item, arrival)) for item in items[start : start + BATCH]]
            await log.append(ACTIVITY_TOPIC, records)
        return (perf_counter() - started) / len(items)
    finally:
        await log.stop()


async def through(made: Made, waiting: int) -> tuple[float, float]:
    """All services get through what waits on the log; seconds and processor seconds an event."""
    used = process_time()
    rate = await drain(compose(made.settings), waiting)
    return 1 / rate, (process_time() - used) / waiting


async def grow(size: Size, directory: Path) -> list[Cost]:
    made = await prepare(settings_of(directory / "growing"))
    end = system_clock()
    probe, filler = Day.of(max(LEAST, size.levels[0] // 2), end), Day.of(size.levels[0], end)
    server.tune_collector()
    out, stored, numbers = [], 0, count(1)
    for level in size.levels:
        while stored < level:
            records = filler.records(next(numbers), made.community, system_clock())
            await fill_log(made.settings, ACTIVITY_TOPIC, records)
            await through(made, len(records))
            stored += len(records)
        at_door = await ingest(made, probe, next(numbers))
        seconds, processor = await through(made, len(probe.events))
        out.append(Cost(stored, at_door, seconds, processor))
        stored += len(probe.events)
    return out


def run(size: Size) -> None:
    report.heading("Growth, embedded: what an event costs when so many are stored")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name:
        costs = uvloop.run(grow(size, Path(name)))
    first = costs[0]
    rows = []
    for cost in costs:
        figures = report.us(cost.ingest), report.us(cost.pipeline), report.us(cost.processor)
        ratios = report.ratio(cost.ingest / first.ingest), report.ratio(cost.pipeline / first.pipeline)
        rows.append((report.whole(cost.stored), *figures, *ratios))
    report.table(COLUMNS, rows)
