"""What a service is to the platform: its declaration and what is wired to it, in `services/X/service.py`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from sqlalchemy import MetaData

from kit.clock import Clock
from kit.contracts import Envelope
from kit.database import Database, Tx
from kit.declaration import Declaration
from kit.log import Log
from kit.settings import Settings

Handler = Callable[[Tx, list[Envelope[Any]]], Awaitable[None]]
"""Takes a batch of events of one class, in log order, none of them seen before, inside the batch's transaction."""


class Wake:
    """Lets many wait for "something was committed in this process"; each `fire` wakes all who wait then."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float) -> bool:
        """True when fired, False after `timeout` seconds (other replicas' commits are not seen: look anyway)."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        return True


@dataclass(slots=True)
class ServiceRuntime:
    """One service, running: what its loops, routes and consumers may touch."""

    service: "Service"
    db: Database
    log: Log
    clock: Clock
    settings: Settings
    handlers: Mapping[type, Sequence[Handler]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    """What the kit keeps in this process for this service (looked-up credentials)."""
    wake: Wake = field(default_factory=Wake)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Loop:
    """Something a service does by itself; `run` returns soon after `stopping` is set, is restarted when it raises."""

    name: str
    run: Callable[[ServiceRuntime, asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Audit:
    """Something that always holds in a service's rows. `look` reads as much as it takes to know (all of them, if need
    be) and returns one line for each violation, [] when it holds."""

    name: str
    look: Callable[[Tx], Awaitable[list[str]]]


Figures = Callable[[Tx], Awaitable[dict[str, str]]]
"""What a person compares before and after a service's rows were moved: names and values, few enough to be kept."""


@dataclass(frozen=True, slots=True)
class Service(Declaration):
    """A service with all its code. Handlers of state events (`kit.copies`) meet them again whenever the service
    rebuilds: what is there they leave as it is.

    What a handler would do nothing about is dropped on the way in, without a row in the inbox: activities of types
    not in `activity_types` (None: all) before they are decoded, events for which the predicate of their class in
    `concerned` is false. Both may look at the event only, so that every replica and every retry drops the same."""

    routers: tuple[APIRouter, ...]
    subscriptions: Mapping[type, Handler]
    metadata: MetaData
    migrations: Path
    loops: tuple[Loop, ...] = ()
    activity_types: frozenset[str] | None = None
    concerned: Mapping[type, Callable[[Any], bool]] = field(default_factory=dict)
    audits: tuple[Audit, ...] = ()
    figures: Figures | None = None
