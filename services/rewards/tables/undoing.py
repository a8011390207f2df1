"""What can be undone, and what undid it. `thing` is an id computed from what both events say of it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, Uuid, false

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
    # Ids of the counters in which it holds a place that it gives back when it is undone, as `domain.undoing` stores
    # them; null: none.
    Column("places", JsonText),
    Index("ix_undoable_grants_transaction", "transaction_id"),
    sqlite_with_rowid=False,
)

# What a cap that refills left out, in case that the place becomes free: all that deciding it again needs. `place` is
# the counter it waits for, `ways` how it can be undone. Kept for ever, like the places of a lifetime that it waits for.
waiting_grants = Table(
    "waiting_grants",
    metadata,
    Column("place", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("actor_id", Uuid),
    Column("subject", Text),
    Column("amount", BigInteger, nullable=False),
    Column("windows", JsonText, nullable=False),
    Column("ways", JsonText, nullable=False),
    Column("event_type", String(200), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("review", Boolean, nullable=False, server_default=false()),
    Column("grounds", JsonText),
    Index("ix_waiting_grants_event", "event_id"),
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
