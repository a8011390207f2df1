"""The events service, wired."""

from pathlib import Path

from kit.contracts.events import (
    CallEnded,
    ConnectionStateChanged,
    GapChanged,
    IdentityObserved,
    ImportItemsRejected,
    ItemsRejected,
)
from kit.service import Service
from services.events import replaying
from services.events.api import ROUTERS
from services.events.handlers import SUBSCRIPTIONS
from services.events.loops import LOOPS
from services.events.retention import LOOPS as RETENTION
from services.events.tables import metadata

SERVICE = Service(
    name="events",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(IdentityObserved, ImportItemsRejected, ItemsRejected, ConnectionStateChanged, GapChanged, CallEnded),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    loops=(*LOOPS, *replaying.LOOPS, *RETENTION),
    prefixes=("events", "hooks", "connections", "event-types", "replays", "imports"),
)
