"""Which checks there are for which settings."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from kit.clock import Clock, system_clock
from kit.database import Database
from kit.log import Log
from kit.log.kafka import KafkaLog
from kit.service import Service
from kit.settings import Settings, SettingsError, load_settings
from services.commands.doctor import broker, databases, files
from services.commands.doctor import settings as own
from services.commands.doctor.findings import Finding, State
from services.commands.doctor.running import Chain, Check, in_thread, run_all
from services.declarations import EVENTS
from services.engines import open_log, open_service_database, spool_path

CLOSE_SECONDS = 2.0


async def examine(
    services: Iterable[Service],
    *,
    seconds: float,
    books: bool = False,
    data_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock = system_clock,
) -> tuple[list[Finding], bool]:
    """Everything that was found, and whether something still hangs (then the process must be ended, not waited for)."""
    try:
        settings = load_settings(environ, data_dir=data_dir)
    except SettingsError as error:
        return own.unusable(error), False
    chosen = tuple(services)
    found, hanging = await run_all(_first(settings, chosen, seconds))
    # What cannot be used, or is not there, need not be opened to see it fail.
    if any(finding.state is State.FAILED and finding.name in ("settings", "files") for finding in found):
        return found, hanging
    more, still = await _opened(settings, chosen, seconds, clock, books=books)
    return found + more, hanging or still


def _first(settings: Settings, services: tuple[Service, ...], seconds: float) -> list[Chain]:
    """What is to be known before anything is opened."""
    directory = settings.data_dir
    chains: list[Chain] = [
        [Check("settings", partial(own.sane, settings), seconds)],
        [Check("public-url", partial(own.public_url, settings), seconds)],
        [Check("secret", partial(in_thread, partial(own.secret, settings)), seconds)],
    ]
    if settings.embedded:
        chains.append([Check("disk", partial(in_thread, partial(files.disk, directory)), seconds)])
        chains.append([Check("files", partial(in_thread, partial(files.installed, directory, services)), seconds)])
    elif settings.spool_mb and any(service.name == EVENTS.name for service in services):
        chains.append([Check("disk", partial(in_thread, partial(files.disk, directory)), seconds)])
        chains.append([Check("spool", partial(in_thread, partial(files.spool, spool_path(settings))), seconds)])
    return chains


async def _opened(
    settings: Settings, services: tuple[Service, ...], seconds: float, clock: Clock, *, books: bool
) -> tuple[list[Finding], bool]:
    opened = {
        service.name: open_service_database(
            settings, service.name, service.metadata, frozenset(service.publishes), clock, read_only=True
        )
        for service in services
    }
    chains: list[Chain] = []
    log: Log | None = None
    if settings.embedded:
        looking = partial(in_thread, partial(files.log, settings, services, clock()))
        chains.append([Check("log", looking, seconds)])
    else:
        log = open_log(settings)
        assert isinstance(log, KafkaLog)  # the settings name brokers
        chains.append([Check("kafka", partial(broker.look, log, settings, services), seconds)])
    for service in services:
        db = opened[service.name]
        # One server has one clock: whoever comes first asks it.
        first = service is services[0]
        chains.append(databases.checks(service, db, settings, books=books, clock=first, seconds=seconds))
    found, hanging = await run_all(chains)
    await _close(list(opened.values()), log)
    return found, hanging


async def _close(opened: list[Database], log: Log | None) -> None:
    """Within bounds, and whatever comes of it: all has been seen."""
    closing = [asyncio.ensure_future(_closed(one)) for one in opened]
    if log is not None:
        closing.append(asyncio.ensure_future(log.stop()))
    _, late = await asyncio.wait(closing, timeout=CLOSE_SECONDS)
    for task in late:
        task.cancel()


async def _closed(db: Database) -> None:
    with suppress(SQLAlchemyError, OSError):
        await db.close()
