"""The rewards service, wired."""

from pathlib import Path

from kit.service import Service
from services.rewards.api import ROUTERS
from services.rewards.audits import AUDITS
from services.rewards.declaration import DECLARATION
from services.rewards.figures import figures
from services.rewards.handlers import SUBSCRIPTIONS
from services.rewards.loops import LOOPS
from services.rewards.tables import metadata

SERVICE = Service(
    name=DECLARATION.name,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=DECLARATION.publishes,
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=DECLARATION.prefixes,
    loops=LOOPS,
    audits=AUDITS,
    figures=figures,
)
