"""The members service, wired."""

from pathlib import Path

from kit.service import Service
from services.members.api import ROUTERS
from services.members.declaration import DECLARATION
from services.members.handlers import ACTIVITY_TYPES, SUBSCRIPTIONS
from services.members.loops import LOOPS
from services.members.tables import metadata

SERVICE = Service(
    name=DECLARATION.name,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=DECLARATION.publishes,
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=DECLARATION.prefixes,
    loops=LOOPS,
    activity_types=ACTIVITY_TYPES,
)
