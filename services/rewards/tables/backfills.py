"""Backfills: what was there before a badge, counted for it afterwards."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, String, Table, Text, Uuid

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# The last backfill of a badge; the row is the lock of its next part. `place` is the last row of kept activities that
# was counted, `indexed` the last one whose inverse events are in `badge_backfill_inverses` (null: there are none, and
# none are wanted), `head` the last one when it began, `birth` the last one that was surely before the badge. Members
# are looked at behind `after_member`; of a board's periods each behind `slot`, which ended on `after_day`, and `enough`
# is the score that is among its best.
badge_backfills = Table(
    "badge_backfills",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("silent", Boolean, nullable=False),
    Column("since", UtcDateTime),
    Column("kept_from", UtcDateTime),
    Column("birth", BigInteger, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("indexed", BigInteger),
    Column("cleared", Boolean, nullable=False),
    Column("after_member", Uuid),
    Column("after_day", Date),
    Column("slot", Uuid),
    Column("enough", BigInteger),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("error", Text),
    Column("began_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_badge_backfills_state", "state"),
)

# Which row of kept activities an inverse event is in, while a backfill runs: in the rows before it nothing was undone
# by it yet.
badge_backfill_inverses = Table(
    "badge_backfill_inverses",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("badge_id", String(60), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
