"""What can be undone, and what undid it. `thing` is an id computed from what both events say of it."""

from sqlalchemy import Boolean, Column, Integer, String, Table, Uuid

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

# A row for each way in which a grant can be undone, until it is. Kept for ever, like the grant: whoever deletes a text
# after years leaves nothing of what it brought. `at` is the paying event's effective time, `lifetime` in seconds.
undoable_grants = Table(
    "undoable_grants",
    metadata,
    Column("thing", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("types", JsonText, nullable=False),
    Column("lifetime", Integer, nullable=False),
    Column("notify", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Inverse events, for events that come after them. Kept for ever: history may come at any time.
inverse_events = Table(
    "inverse_events",
    metadata,
    Column("thing", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("type", String(200), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)
