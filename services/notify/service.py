"""The notify service, wired."""

from pathlib import Path

from kit.contracts.notify import CallWanted, MessageDue, MessageStateChanged
from kit.service import Service
from services.notify.api import ROUTERS
from services.notify.handlers import CONCERNED, SUBSCRIPTIONS
from services.notify.loops import LOOPS
from services.notify.tables import metadata

SERVICE = Service(
    name="notify",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(MessageStateChanged, MessageDue, CallWanted),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=(
        "messages", "inbox", "announcements", "reminders", "digests", "campaigns", "templates", "preferences",
        "channels", "webhooks", "suppressions", "preview",
    ),
    loops=LOOPS,
    activity_types=frozenset({"command.invoked"}),
    concerned=CONCERNED,
)  # fmt: skip
