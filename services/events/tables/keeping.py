"""What is kept how long: daily figures, what communities ask for, texts and their keys."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, LargeBinary, String, Table, Uuid

from kit.database import JsonText, UtcDateTime
from services.events.tables.metadata import metadata

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

# What the door looks for in check-ins; a series that asks for nothing that the door has to see is without both.
checkin_series = Table(
    "checkin_series",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("series_id", String(60), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("types", JsonText, nullable=False),
    Column("code_word", String(2)),
    Column("place", JsonText),
)
