"""Badges by version, who stands how with them, grants, and what is counted towards those that are not reached yet."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, String, Table, Text, Uuid, true

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

badge_versions = Table(
    "badge_versions",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", JsonText, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# The row is the lock of everything about a member and a badge. `granted_at` and `expires_at` are the last grant's.
badge_standings = Table(
    "badge_standings",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("progress", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("granted_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("by_hand", Boolean, nullable=False),
    Index("ix_badge_standings_member", "community_id", "member_id"),
    Index("ix_badge_standings_expiring", "held", "expires_at"),
    sqlite_with_rowid=False,
)

# Kept for ever: a certificate of a badge that is held no longer is answered for too. `code` verifies it. `told` is
# whether the member was told of it, and is to be of its end.
badge_grants = Table(
    "badge_grants",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("code", String(40), nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("event_id", Uuid),
    Column("actor", String(150), nullable=False),
    Column("reason", Text, nullable=False),
    Column("told", Boolean, nullable=False, server_default=true()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_why", String(10)),
    Column("ended_reason", Text),
    Index("ix_badge_grants_code", "code", unique=True),
)

# Badges for programmes and for periods of boards (`slot`; zeros: a programme): when one is over, everybody in it is
# looked at, in the order of their ids. Not before `due_at`, which is the first moment that is worth a look, and moves
# on when it is too early yet. `enough` is the score that is among the best of a period, once it is known.
badge_runs = Table(
    "badge_runs",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("slot", Uuid, primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
    Column("after_member", Uuid),
    Column("enough", BigInteger),
    Column("done", Boolean, nullable=False),
    Index("ix_badge_runs_due", "done", "due_at"),
)

# What is counted, until the badge is granted; of one that may be lost, for as long as there is the badge. `value` is
# the day or the person that it counts as, for events their id; `thing` is what an inverse event would name, `type` the
# event's.
badge_marks = Table(
    "badge_marks",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("value", String(36), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("type", String(200), nullable=False),
    Column("thing", Uuid),
    Column("history", Boolean, nullable=False),
    Index("ix_badge_marks_thing", "thing"),
    sqlite_with_rowid=False,
)

# What a poster says is worked out whenever somebody asks; this is how who holds one asks. `month` is its first day.
poster_codes = Table(
    "poster_codes",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("month", Date, primary_key=True),
    Column("code", String(40), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_poster_codes_code", "code", unique=True),
)
