"""The wiring: the services with their code, on the engines the settings name."""

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module

from kit.clock import Clock, system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.database import Database
from kit.log.spool import SpooledLog
from kit.runtime import Runtime, with_secret
from kit.service import Service
from kit.settings import Settings
from services.declarations import DECLARATIONS, EVENTS, NAMES
from services.engines import open_log, open_service_database, spool_path


class _OnDemand(Mapping[str, Service]):
    """The services by name, each imported when it is first looked up: a process that runs one never holds the code of
    the others. Names and how many there are cost nothing."""

    def __getitem__(self, name: str) -> Service:
        if name not in NAMES:
            raise KeyError(name)
        service: Service = import_module(f"services.{name}.service").SERVICE
        return service

    def __contains__(self, name: object) -> bool:
        return name in NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


BY_NAME: Mapping[str, Service] = _OnDemand()
SERVICES: Collection[Service] = BY_NAME.values()
"""All of them, imported by whoever goes through them."""


def compose(settings: Settings, services: Collection[Service] = SERVICES, *, clock: Clock = system_clock) -> Runtime:
    """The given services on the engines the settings name; nothing is opened yet."""
    settings = with_secret(settings)

    def open_db(service: Service, publishes: frozenset[type]) -> Database:
        return open_service_database(settings, service.name, service.metadata, publishes, clock)

    log = open_log(settings, clock)
    if settings.kafka and settings.spool_mb and any(service.name == EVENTS.name for service in services):
        limit = settings.spool_mb * 1024 * 1024
        log = SpooledLog(log, spool_path(settings), topics=[ACTIVITY_TOPIC], limit_bytes=limit, clock=clock)
    return Runtime(services, everyone=DECLARATIONS, settings=settings, clock=clock, log=log, open_db=open_db)
