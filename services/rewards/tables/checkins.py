"""Check-in series by version, the facts of their days, and what was last folded of them."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, Uuid

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

# `first_day` is the first day that goes by what the version asks for; the first version's is the first of all days.
checkin_series = Table(
    "checkin_series",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("first_day", Date, nullable=False),
    Column("body", JsonText, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# The zones an owner's days went by; the owner is a community (its own id) or a member.
checkin_calendars = Table(
    "checkin_calendars",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("owner_id", Uuid, primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("day_start", Integer, nullable=False),
)

# One row per series, member, day and kind holds: the one without `voided_at`. `number` tells it from those before it.
# `last_day` is that of a pause, else the day itself. `connection_id` is the bot's that a check-in came through.
# `frozen` and `earned` follow from the others: they are here for the transaction that posted them. `again` is another
# check-in of a day that has one, for when that one is undone; `thing` is what an inverse event would name.
checkin_facts = Table(
    "checkin_facts",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("series_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("last_day", Date, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("event_id", Uuid),
    Column("connection_id", Uuid),
    Column("transaction_id", Uuid),
    Column("thing", Uuid),
    Column("actor", String(150), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("voided_at", UtcDateTime),
    Index("ix_checkin_facts_thing", "thing"),
    sqlite_with_rowid=False,
)

# The row is the lock of everything about a member in a series. The numbers are as of `as_of`; `kept` is a state to go
# on from, which takes the facts from `window_from` on.
checkin_streaks = Table(
    "checkin_streaks",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("series_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("as_of", Date, nullable=False),
    Column("current", BigInteger, nullable=False),
    Column("longest", BigInteger, nullable=False),
    Column("days", BigInteger, nullable=False),
    Column("last_day", Date),
    Column("held", Integer, nullable=False),
    Column("kept", JsonText),
    Column("window_from", Date, nullable=False),
    sqlite_with_rowid=False,
)

# When a bot's connection was silent; `until` is null while it is.
checkin_gaps = Table(
    "checkin_gaps",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("gap_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
)

# Check-ins that a series did not take as they came; `missing` says what they lacked. `thing` as in `checkin_facts`.
# `body` is the activity of one that is pending, and `due_at` when that is over.
checkin_attempts = Table(
    "checkin_attempts",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("series_id", String(60), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("state", String(10), nullable=False),
    Column("missing", JsonText, nullable=False),
    Column("thing", Uuid),
    Column("body", LargeBinary),
    Column("due_at", UtcDateTime),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(150)),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_checkin_attempts_event", "event_id"),
    Index("ix_checkin_attempts_list", "community_id", "series_id", "id"),
    Index("ix_checkin_attempts_member", "community_id", "series_id", "member_id", "id"),
    Index("ix_checkin_attempts_state", "community_id", "series_id", "state", "id"),
    Index("ix_checkin_attempts_thing", "thing"),
    Index("ix_checkin_attempts_due", "due_at"),
)

# Who confirms which check-in, by what an inverse event would name; a check-in may come after it.
checkin_confirmations = Table(
    "checkin_confirmations",
    metadata,
    Column("thing", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)
