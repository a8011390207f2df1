"""Tables of the events service."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    text,
)

from kit.database import PLACES_ON_THE_LOG, JsonText, UtcDateTime, metadata_for

metadata = metadata_for("events")

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

# How many activities a community's day had; `group_ref` is empty for those of no group. Stays when the rows go.
daily = Table(
    "daily",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("type", String(200), primary_key=True),
    Column("group_ref", String(300), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# What a community asks for besides what everybody gets. `activity_days` null: the installation's; 0: for ever.
wishes = Table(
    "wishes",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("keep_text_days", Integer, nullable=False),
    Column("activity_days", Integer),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(150), nullable=False),
)

type_modes = Table(
    "type_modes",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("type", String(200), primary_key=True),
    Column("mode", String(20), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(150), nullable=False),
)

# `actor_id` is the computed id, as on the activities. `sealed`: the key, encrypted under the installation's secret.
text_keys = Table(
    "text_keys",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("actor_id", Uuid, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
)

# `at` is when the activity counts; how long from then on the text is kept, the community's wishes say.
texts = Table(
    "texts",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_texts_at", "community_id", "at", "event_id"),
    Index("ix_texts_actor", "community_id", "actor_id"),
)

text_readings = Table(
    "text_readings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(150), nullable=False),
    Index("ix_text_readings_community", "community_id", "id"),
)
