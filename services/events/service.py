"""The events service, wired."""

from pathlib import Path

from kit.service import Service
from services.events import replaying
from services.events.api import ROUTERS
from services.events.declaration import DECLARATION
from services.events.handlers import SUBSCRIPTIONS
from services.events.loops import LOOPS
from services.events.retention import LOOPS as RETENTION
from services.events.tables import metadata

SERVICE = Service(
    name=DECLARATION.name,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=DECLARATION.publishes,
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    loops=(*LOOPS, *replaying.LOOPS, *RETENTION),
    prefixes=DECLARATION.prefixes,
)
