"""Events into points and boards: what the consumers get through, against the database doing only their inserts."""

import asyncio
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import uvloop
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from bench import lag, report
from bench.activities import Day
from bench.floor import Tape, play
from bench.installation import Made, fill_log, prepare, settings_of
from bench.sizes import Size
from deploy.local.postgres import PostgresMissing, PostgresServer
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.database import Database
from kit.migrations import migrate
from kit.runtime import Runtime
from kit.settings import Settings
from services import server
from services.compose import BY_NAME, SERVICES, compose
from services.rewards.domain.rules import RuleSet
from services.rewards.handlers import rules as rule_sets

COLUMNS = (
    "",
    "activities/s",
    "statements a thousand",
    "insert statements",
    "inserts alone, activities/s",
    "of the inserts alone",
)
Names = tuple[str, ...]
SCOPES: dict[str, Names] = {"rewards alone": ("rewards",), "all services": ("rewards", "events", "members", "notify")}
PATIENCE = 300.0
POLL_SECONDS = 0.01
MOST_BUFFERS = 2**32
"""Of PostgreSQL, in bytes."""


@dataclass(frozen=True, slots=True)
class Result:
    """`rate` in activities a second; the tapes hold what was inserted for all of them."""

    rate: float
    tapes: list[Tape]


def consumed(service: str) -> float:
    labels = {"service": service, "topic": ACTIVITY_TOPIC}
    return REGISTRY.get_sample_value("guildhall_consumed_records_total", labels) or 0.0


async def drain(runtime: Runtime, wanted: int, service: str = "rewards") -> float:
    """Start the runtime and let it get through the log; activities a second.

    Counted from the end of the first batch, when pools are filled and rules compiled, to the moment when no consumer
    has anything left to read and no outbox anything to send.
    """
    before = consumed(service)
    await runtime.start(migrating=False)
    try:
        async with asyncio.timeout(PATIENCE):
            while (first := consumed(service) - before) == 0:
                await asyncio.sleep(0.001)
            started = perf_counter()
            while any((await runtime.lag()).values()):
                await asyncio.sleep(POLL_SECONDS)
        if len(runtime.services) > 1:
            await runtime.settle(PATIENCE)
        seconds = perf_counter() - started
        # The topic carries news of identities as well, behind the activities.
        if (got := consumed(service) - before) < wanted:
            raise RuntimeError(f"{got} of {wanted} activities were handled")
        return (wanted - first) / seconds
    finally:
        await runtime.stop()


async def product(settings: Settings, day: Day, names: Names, rules: RuleSet | None = None) -> Result:
    """Prepare an installation (with these rules, or those every community begins with), put the day on its log, then
    run these services of it."""
    made = await prepare(settings)
    if rules is not None:
        await put_rules(made, rules)
    now = system_clock()
    records = day.records(1, made.community, now)
    await fill_log(settings, ACTIVITY_TOPIC, records)
    runtime = compose(settings, [BY_NAME[name] for name in names])
    tapes = [Tape(one.db) for one in runtime.services.values()]
    server.tune_collector()
    return Result(await drain(runtime, len(records), names[0]), tapes)


async def put_rules(made: Made, rules: RuleSet) -> None:
    """As the next version of the community's rules."""
    runtime = compose(made.settings)
    async with runtime.services["rewards"].db.begin() as tx:
        await rule_sets.publish(
            tx, community_id=made.community, rules=rules, actor="operator:bench", note="", expected=None
        )
    for one in runtime.services.values():
        await one.db.close()


async def floor(settings: Settings, result: Result, activities: int) -> float:
    """Activities a second when only their inserts are done, on schemas that are otherwise empty."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    runtime = compose(settings)
    databases = {name: one.db for name, one in runtime.services.items()}
    for service in SERVICES:
        await migrate(databases[service.name], service.migrations)
    seconds = await play(result.tapes, directory=settings.data_dir, database_url=settings.database_url)
    inbox = sum([await _inbox(databases[tape.service]) for tape in result.tapes])
    for db in databases.values():
        await db.close()
    if inbox < activities:
        raise RuntimeError(f"the floor kept {inbox} inbox rows of {activities} activities")
    return activities / seconds


async def _inbox(db: Database) -> int:
    async with db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(db.table("inbox"))))


def run(size: Size) -> None:
    report.heading("Pipeline: events into points and boards")
    day = Day.of(size.activities, system_clock())
    report.say(f"{size.activities:,} activities of one simulated day, already on the log.\n")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        postgres = start_postgres(directory, stack)
        engines = [("SQLite", None), *([("PostgreSQL", postgres)] if postgres is not None else [])]
        rows, waits = [], []
        for engine, beside in engines:
            for what, names in SCOPES.items():
                result, alone = against_inserts(f"{engine}, {what}", directory, beside, day, names)
                rows.append(_row(f"{engine}, {what}", result, alone, len(day.events)))
                waits.append(_wait(f"{engine}, {what}", directory, beside, day, names, result.rate))
        report.table(COLUMNS, rows)
        report.say(f"From the log to the commit of the points, at {lag.SHARE:g} of that rate:\n")
        report.table(("", "activities/s", "p50 ms", "p99 ms"), waits)


def start_postgres(directory: Path, stack: ExitStack) -> PostgresServer | None:
    """A server that keeps what it commits (fsync on), stopped with the stack; None, said aloud, when none is here."""
    try:
        postgres = PostgresServer(directory / "postgres", buffers=_buffers())
        postgres.start()
    except PostgresMissing as missing:
        report.say(f"PostgreSQL skipped: {missing}\n")
        return None
    stack.callback(postgres.stop)
    return postgres


def _buffers() -> int:
    """A quarter of the memory, as PostgreSQL's manual advises, and not more than an ordinary server has; in MiB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min(memory // 4, MOST_BUFFERS) // 2**20)


def _row(title: str, result: Result, alone: float, activities: int) -> tuple[str, ...]:
    inserted = sum(tape.statements for tape in result.tapes)
    executed = 1000 * sum(tape.executed for tape in result.tapes) / activities
    rates = report.whole(result.rate), report.whole(executed), report.whole(inserted), report.whole(alone)
    return (title, *rates, report.ratio(result.rate / alone))


def _wait(
    title: str, directory: Path, postgres: PostgresServer | None, day: Day, names: Names, peak: float
) -> tuple[str, ...]:
    rate = peak * lag.SHARE
    settings = _fresh(title, "lag", directory, postgres)
    p50, p99 = uvloop.run(lag.measure(settings, day, names, rate))
    return (title, report.whole(rate), report.ms(p50), report.ms(p99))


def _fresh(title: str, purpose: str, directory: Path, postgres: PostgresServer | None) -> Settings:
    slug = f"{title.lower().replace(' ', '_').replace(',', '')}_{purpose}"
    return settings_of(directory / slug, postgres.create_database(slug) if postgres is not None else "")


def against_inserts(
    title: str,
    directory: Path,
    postgres: PostgresServer | None,
    day: Day,
    names: Names,
    rules: RuleSet | None = None,
) -> tuple[Result, float]:
    """What these services get through on SQLite or that server, and activities a second of their inserts alone."""
    result = uvloop.run(product(_fresh(title, "product", directory, postgres), day, names, rules))
    return result, uvloop.run(floor(_fresh(title, "floor", directory, postgres), result, len(day.events)))
