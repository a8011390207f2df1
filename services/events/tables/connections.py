"""Connections, how they are, what is missing of them, and who wrote what they speak of."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, Uuid

from kit.database import JsonText, UtcDateTime
from services.events.tables.metadata import metadata

# `sealed` are the secrets in force, newest first, encrypted. `prefixes`: what commands begin with, null: the usual one.
connections = Table(
    "connections",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("platform", String(40), nullable=False),
    Column("name", String(100), nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("active", SmallInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(150), nullable=False),
    Column("prefixes", JsonText),
    Index("ix_connections_community", "community_id", "id"),
)

# What is to be said through a bot that stands at our door: waiting → calling (before the call is made) → ended.
calls = Table(
    "calls",
    metadata,
    Column("call_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("cause_id", Uuid),
    Column("group_ref", String(300)),
    Column("identity", String(300), nullable=False),
    Column("text", Text, nullable=False),
    Column("reply_to", String(300)),
    Column("state", String(10), nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_calls_state", "state", "connection_id", "call_id"),
    Index("ix_calls_cause", "cause_id"),
)

# Written by every replica that heard something: times move forward only. `beat_seconds` is null until it beats,
# `down_since` set while it is missed; `own_at` when it last told of something its own account wrote.
connection_signs = Table(
    "connection_signs",
    metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime),
    Column("beat_seconds", Integer),
    Column("down_since", UtcDateTime),
    Column("own_at", UtcDateTime),
)

connection_days = Table(
    "connection_days",
    metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("outcome", String(60), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("stream", String(300)),
    Column("first_number", BigInteger),
    Column("last_number", BigInteger),
    Column("missing", BigInteger),
    Index("ix_gaps_connection", "connection_id", "id"),
)

# How far a platform's own numbering has come (E14). `scope` as in `written`.
sequences = Table(
    "sequences",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("scope", String(40), primary_key=True),
    Column("stream", String(300), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_sequences_at", "at"),
)

# Ranges of numbers that did not come; `gap_id` once that was told.
missing_numbers = Table(
    "missing_numbers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("scope", String(40), nullable=False),
    Column("stream", String(300), nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("first_number", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("gap_id", Uuid),
    Index("ix_missing_numbers_stream", "community_id", "scope", "stream", "first_number"),
    Index("ix_missing_numbers_told", "gap_id", "found_at"),
)

# Who wrote what, for what is said about it later without naming the writer (E5). `scope` is the platform where its
# names hold for all connections, else the connection; `ref` the platform's name for it there and in its group.
written = Table(
    "written",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("group_ref", String(300), primary_key=True),
    Column("scope", String(40), primary_key=True),
    Column("ref", String(200), primary_key=True),
    Column("subject", String(300), nullable=False),
    Column("author", String(300), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_written_group", "community_id", "group_ref", "at"),
    Index("ix_written_at", "at"),
)
