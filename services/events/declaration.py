"""What the other processes know of the events service."""

from kit.contracts.events import (
    CallEnded,
    ConnectionStateChanged,
    GapChanged,
    IdentityObserved,
    ImportItemsRejected,
    ItemsRejected,
)
from kit.declaration import Declaration

DECLARATION = Declaration(
    name="events",
    publishes=(IdentityObserved, ImportItemsRejected, ItemsRejected, ConnectionStateChanged, GapChanged, CallEnded),
    prefixes=("events", "hooks", "connections", "event-types", "replays", "imports"),
)
