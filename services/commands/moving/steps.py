"""A move from beginning to end: look, prepare, copy, append, compare, finish."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from kit.clock import Clock, system_clock
from kit.database import Database
from kit.log.embedded.locking import hold
from kit.log.embedded.reading import LogFile
from kit.log.kafka import KafkaLog
from kit.migrations import migrate
from kit.revisions import MOVING, revisions, set_revision
from kit.runtime import topics
from kit.service import Service
from kit.settings import Settings, load_settings
from services.commands.moving import progress
from services.commands.moving.records import append_topic, compared
from services.commands.moving.tables import copy_service, hashed, moved_tables
from services.compose import SERVICES
from services.engines import open_log, open_service_database

Say = Callable[[str], None]


class Refused(Exception):
    """The move cannot be made, or not from here to there; says what to do. Nothing of the source was changed."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something compared: as it is here, and there."""

    what: str
    here: str
    there: str
    equal: bool


@dataclass(slots=True)
class Result:
    """`moved_before` is when an earlier call had ended the move; nothing was done then."""

    lines: list[Line] = field(default_factory=list)
    moved_before: str = ""

    @property
    def different(self) -> list[Line]:
        return [line for line in self.lines if not line.equal]


def both_settings(
    to: str, kafka: str, environ: Mapping[str, str] | None = None, **more: Any
) -> tuple[Settings, Settings]:
    """Settings of the source and of the target. Everything but the engines is the same; they may already be named in
    the environment. SettingsError as always."""
    given = dict(os.environ if environ is None else environ)
    for engine in ("GUILDHALL_DATABASE_URL", "GUILDHALL_KAFKA"):
        given.pop(engine, None)
    scheme, _, rest = to.partition("://")
    url = f"postgresql+asyncpg://{rest}" if scheme in ("postgres", "postgresql") else to
    return load_settings(given, **more), load_settings(given, database_url=url, kafka=kafka, **more)


async def move(source: Settings, target: Settings, *, chunk: int, say: Say, clock: Clock = system_clock) -> Result:
    """Move everything, or go on where an earlier call was killed. Refused, LogUnavailable, DatabaseUnavailable."""
    path = source.data_dir / "log.sqlite"
    if not path.exists():
        raise Refused(f"there is no embedded installation in {source.data_dir}: name it with --data-dir")
    if not source.secret_key and not (source.data_dir / "secret").exists():
        raise Refused(
            f"{source.data_dir / 'secret'} is not there: restore it, nothing that was sealed opens without it"
        )
    log = open_log(target)
    assert isinstance(log, KafkaLog)  # the target's settings name brokers
    with _held(source), LogFile(path) as file:
        async with _opened(source, clock, read_only=True) as here, _opened(target, clock, read_only=False) as there:
            print_of_source = await _fingerprint(here, file)
            known = await _known(there["members"], target)
            if known is not None and known.finished_at is not None:
                return Result(moved_before=known.finished_at.isoformat(timespec="seconds"))
            if known is not None and known.source != print_of_source:
                raise Refused(
                    "the target holds the beginning of a move from another installation, from another release, or from "
                    "before this one was started again: drop the database and the topics there, and begin anew"
                )
            await log.start()
            try:
                await _prepare(there, log, target, print_of_source, begun=known is not None)
                await _fill(here, there, file, log, chunk, say)
                result = Result(await _compare(here, there, file, log, say))
                if not result.different:
                    await _finish(there)
                return result
            finally:
                await log.stop()


async def _known(db: Database, target: Settings) -> progress.Move | None:
    """What the target knows of a move; Refused, with what its driver said, when it cannot be used."""
    try:
        return await progress.prepare(db)
    except Exception as error:
        # Whatever it is: a wrong password and a missing database are errors of the driver's own.
        cause = error
        while isinstance(cause.__cause__, Exception):
            cause = cause.__cause__
        where = make_url(target.database_url).render_as_string(hide_password=True)
        told = f"{type(cause).__name__}: {cause}"
        raise Refused(f"{where} cannot be used: {told}; is the server running, and this its address?") from error


@contextmanager
def _held(source: Settings) -> Iterator[None]:
    """The source is nobody else's meanwhile: what is copied must not change."""
    handle = hold(source.data_dir / "log.sqlite")
    try:
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def _opened(settings: Settings, clock: Clock, *, read_only: bool) -> AsyncIterator[dict[str, Database]]:
    opened = {
        service.name: open_service_database(
            settings, service.name, service.metadata, frozenset(service.publishes), clock, read_only=read_only
        )
        for service in SERVICES
    }
    try:
        yield opened
    finally:
        for db in opened.values():
            await db.close()


async def _fingerprint(here: Mapping[str, Database], file: LogFile) -> str:
    """What tells this state of this installation from any other: a start adds to the log, and to the keys."""
    heads, rows = {}, {}
    for service in SERVICES:
        db = here[service.name]
        present, head = await revisions(db, service.migrations)
        if present != head:
            raise Refused(
                f"the schema of {service.name} is at {present}, not at {head}: run `guildhall migrate` here first"
            )
        heads[service.name] = head
        async with db.read() as tx:
            counts = {t.name: await tx.scalar(select(func.count()).select_from(t)) for t in moved_tables(db)}
        rows[service.name] = counts
    positions = sorted(
        (group, *place, at) for group, places in file.positions().items() for place, at in places.items()
    )
    return json.dumps(
        {
            "revisions": heads,
            "rows": rows,
            "log": {name: kept.ends for name, kept in sorted(file.topics.items())},
            "positions": sha256(repr(positions).encode()).hexdigest(),
        }
    )


async def _prepare(there: Mapping[str, Database], log: KafkaLog, target: Settings, source: str, *, begun: bool) -> None:
    wanted = topics(target)
    if not begun:
        found = await log.look(wanted)
        strange = [s for db in there.values() for s in await progress.strangers(db)]
        strange += [f"records on {log.name(t)}" for t, f in found.items() if f.partitions and any(await log.ends(t))]
        if strange:
            more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
            raise Refused(
                f"the target is not empty: {', '.join(strange[:3])}{more}; name an empty database, and topics that are "
                "new (GUILDHALL_KAFKA_PREFIX)"
            )
        await progress.begin(there["members"], source)
    await log.ensure(wanted)
    for service in SERVICES:
        db = there[service.name]
        present, _ = await revisions(db, service.migrations)
        if present != MOVING:
            await migrate(db, service.migrations)
            async with db.begin() as tx:
                # From now until the end nothing starts on it.
                await set_revision(tx, service.name, MOVING)


async def _fill(
    here: Mapping[str, Database], there: Mapping[str, Database], file: LogFile, log: KafkaLog, chunk: int, say: Say
) -> None:
    async with asyncio.TaskGroup() as group:
        for name in here:
            group.create_task(copy_service(here[name], there[name], chunk=chunk, say=say))
    for topic in sorted(file.topics):
        await append_topic(file, log, topic, SERVICES, chunk=chunk, say=say)


async def _compare(
    here: Mapping[str, Database], there: Mapping[str, Database], file: LogFile, log: KafkaLog, say: Say
) -> list[Line]:
    lines: list[Line] = []
    for service in SERVICES:
        say(f"comparing {service.name}")
        lines += await _compare_tables(here[service.name], there[service.name])
        lines += await _compare_figures(service, here[service.name], there[service.name])
    for topic in sorted(file.topics):
        say(f"comparing {topic}")
        mine, theirs, same = await compared(file, log, topic)
        lines.append(Line(f"topic {topic}", f"{mine} records", f"{theirs} records", same))
    return lines


async def _compare_tables(here: Database, there: Database) -> list[Line]:
    lines = []
    for table in moved_tables(here):
        async with here.read() as tx:
            rows = await tx.scalar(select(func.count()).select_from(table))
        async with there.read() as tx:
            copied = await progress.of(tx, there.service, table.name)
        count, digest = await hashed(there, table)
        equal = rows == copied.rows == count and copied.hash == digest
        mine, theirs = f"{rows} rows, {copied.hash:016x}", f"{count} rows, {digest:016x}"
        lines.append(Line(f"{there.service}.{table.name}", mine, theirs, equal))
    return lines


async def _compare_figures(service: Service, here: Database, there: Database) -> list[Line]:
    if service.figures is None:
        return []
    async with here.read() as mine, there.read() as theirs:
        present, moved = await service.figures(mine), await service.figures(theirs)
    names = dict.fromkeys([*present, *moved])
    return [
        Line(name, present.get(name, "-"), moved.get(name, "-"), present.get(name) == moved.get(name)) for name in names
    ]


async def _finish(there: Mapping[str, Database]) -> None:
    """All services at once: from this moment they start."""
    heads = {s.name: (await revisions(there[s.name], s.migrations))[1] for s in SERVICES}
    async with there["members"].begin() as tx:
        for name, head in heads.items():
            assert head is not None  # every service has migrations
            await set_revision(tx, name, head)
        await progress.finish(tx)
