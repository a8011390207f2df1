"""What was refused, and what is sent once more."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text, Uuid

from kit.database import JsonText, UtcDateTime
from services.events.tables.metadata import metadata

# What was refused at the door, as far as it may be kept (E17). `event_ids` are the activities that a retry made of it.
rejected = Table(
    "rejected",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("connection_id", Uuid),
    Column("import_name", String(64)),
    Column("form", String(10), nullable=False),
    Column("code", String(100), nullable=False),
    Column("pointer", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("source_id", Text),
    Column("size", Integer, nullable=False),
    Column("digest", String(64)),
    Column("marked", Integer, nullable=False),
    Column("kept", JsonText),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("event_ids", JsonText, nullable=False),
    Column("changed_by", String(150)),
    Column("at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_rejected_community", "community_id", "id"),
    Index("ix_rejected_code", "community_id", "code", "attempts", "id"),
)

rejected_days = Table(
    "rejected_days",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("code", String(100), primary_key=True),
    Column("rejected", BigInteger, nullable=False),
    Column("kept", BigInteger, nullable=False),
)

# What was stored, sent once more (E16). The cursor is the last activity that is on the log again: `cursor_at` and
# `cursor_id`. One replica at a time has it, until `claimed_until`.
replays = Table(
    "replays",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("types", JsonText, nullable=False),
    Column("members", JsonText, nullable=False),
    Column("groups", JsonText, nullable=False),
    Column("speed", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("cursor_at", UtcDateTime),
    Column("cursor_id", Uuid),
    Column("claimed_by", Uuid),
    Column("claimed_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(150), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_replays_community", "community_id", "id"),
    Index("ix_replays_state", "state", "id"),
)
