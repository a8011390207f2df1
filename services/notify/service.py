"""The notify service, wired."""

from pathlib import Path

from kit.service import Service
from services.notify.api import ROUTERS
from services.notify.declaration import DECLARATION
from services.notify.handlers import CONCERNED, SUBSCRIPTIONS
from services.notify.loops import LOOPS
from services.notify.tables import metadata

SERVICE = Service(
    name=DECLARATION.name,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=DECLARATION.publishes,
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=DECLARATION.prefixes,
    loops=LOOPS,
    activity_types=frozenset({"command.invoked"}),
    concerned=CONCERNED,
)
