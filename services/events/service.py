"""The events service, wired."""

from pathlib import Path

from kit.contracts.events import ConnectionStateChanged, GapChanged, IdentityObserved, ImportItemsRejected
from kit.service import Service
from services.events.api import ROUTERS
from services.events.handlers import SUBSCRIPTIONS
from services.events.loops import LOOPS
from services.events.retention import LOOPS as RETENTION
from services.events.tables import metadata

SERVICE = Service(
    name="events",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(IdentityObserved, ImportItemsRejected, ConnectionStateChanged, GapChanged),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    loops=LOOPS + RETENTION,
    prefixes=("events", "hooks", "connections", "event-types", "replays", "imports"),
)
