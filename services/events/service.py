"""The events service, wired."""

from pathlib import Path

from kit.contracts.events import IdentityObserved, ImportItemsRejected
from kit.service import Service
from services.events.api import ROUTERS
from services.events.handlers import SUBSCRIPTIONS
from services.events.tables import metadata

SERVICE = Service(
    name="events",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(IdentityObserved, ImportItemsRejected),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=("events", "hooks", "connections", "event-types", "replays", "imports"),
)
