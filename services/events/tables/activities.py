"""What happened, what became of it, and what was seen on the way."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text, Uuid, text

from kit.database import PLACES_ON_THE_LOG, JsonText, UtcDateTime
from services.events.tables.metadata import metadata

# The kit's copy answers "whose is this identity"; a timeline asks the other way round.
_links = metadata.tables["known_identities"].c
Index("ix_known_identities_member", _links.community_id, _links.member_id)

# What was stored before there were daily figures; empty from then on, so that it costs nothing.
_UNCOUNTED = text("day IS NULL")

# What was posted or imported has none, and is not in the index.
_CONNECTED = text("connection_id IS NOT NULL")

# `actor_id` and `author_id` are the computed ids; links are followed when reading, so that they also hold for what
# was stored before them. `day` is the community's day it was counted on. Each index serves one filter of the timeline,
# newest first; then the live tail.
activities = Table(
    "activities",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("type", String(200), nullable=False),
    Column("subject", Text),
    Column("actor", Text),
    Column("actor_id", Uuid),
    Column("author", Text),
    Column("author_id", Uuid),
    Column("group_ref", String(300)),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("import_name", String(64)),
    Column("replay_id", String(64)),
    Column("connection_id", Uuid),
    Column("flags", JsonText, nullable=False),
    Column("problem", Text),
    Column("data", JsonText, nullable=False),
    Column("log_partition", Integer, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("day", Date),
    Index("ix_activities_timeline", "community_id", "effective_at", "event_id"),
    Index("ix_activities_actor", "community_id", "actor_id", "effective_at", "event_id"),
    Index("ix_activities_type", "community_id", "type", "effective_at", "event_id"),
    Index("ix_activities_group", "community_id", "group_ref", "effective_at", "event_id"),
    Index(
        "ix_activities_connection",
        "connection_id",
        "effective_at",
        "event_id",
        sqlite_where=_CONNECTED,
        postgresql_where=_CONNECTED,
    ),
    Index("ix_activities_tail", "log_partition", "log_offset"),
    Index("ix_activities_uncounted", "event_id", sqlite_where=_UNCOUNTED, postgresql_where=_UNCOUNTED),
)

consequences = Table(
    "consequences",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("body", JsonText, nullable=False),
    Column("log_partition", Integer, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Index("ix_consequences_event", "event_id"),
    Index("ix_consequences_tail", "kind", "log_partition", "log_offset"),
)

tails = Table(
    "tails",
    metadata,
    Column("stream", String(40), primary_key=True),
    Column("log_partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    info={PLACES_ON_THE_LOG: True},
)

seen_identities = Table(
    "seen_identities",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("identity", String(300), primary_key=True),
    Column("first_seen_at", UtcDateTime, nullable=False),
)

seen_types = Table(
    "seen_types",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("type", String(200), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("problems", BigInteger, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

own_types = Table(
    "own_types",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("type", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("schema", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

imports = Table(
    "imports",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("stored", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

import_problems = Table(
    "import_problems",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("name", String(64), nullable=False),
    Column("source_id", Text),
    Column("code", String(100), nullable=False),
    Column("pointer", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_import_problems_name", "community_id", "name", "at", "id"),
)
