"""Boards, their periods, their scores, and an exact histogram of the scores in two levels.

A `slot` is one period of one generation of a board (an id computed from both). A board that is deleted and made
again has a new generation, therefore other slots, and shows nothing of the old one.
"""

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

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

# `decay_percent` is what is kept from day to day where scores decay, `decay_day` the day they are worked out for.
boards = Table(
    "boards",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", String(60), primary_key=True),
    Column("generation", Uuid, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("tie_policy", String(20), nullable=False),
    Column("periods", JsonText, nullable=False),
    Column("seasons", JsonText, nullable=False),
    Column("prizes", JsonText, nullable=False),
    Column("excluded_segments", JsonText, nullable=False),
    Column("leagues", JsonText, nullable=False),
    Column("late_grace_hours", Integer, nullable=False),
    Column("since", Date, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decay_percent", SmallInteger),
    Column("decay_day", Date),
    Index(
        "ix_boards_decay",
        "decay_day",
        sqlite_where=text("decay_percent IS NOT NULL"),
        postgresql_where=text("decay_percent IS NOT NULL"),
    ),
)

# `first_day` and `last_day` (both inclusive) say which entries' days a period counts. `due_at` is when to look whether
# it can be finalised (null: never, or it is already). From `closed_at` on its scores change no more; with
# `finalized_at` the hash of its lines is known, and how many they are. `late_entries` came after closing.
board_periods = Table(
    "board_periods",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("generation", Uuid, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("key", String(10), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("due_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("finalized_at", UtcDateTime),
    Column("hash", LargeBinary(32)),
    Column("erased_hash", LargeBinary(32)),
    Column("members", BigInteger),
    Column("late_entries", BigInteger, nullable=False, server_default="0"),
    Index("ix_board_periods_generation", "generation", "kind", "key"),
    Index(
        "ix_board_periods_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

# `negated` is minus the score: so the order of the board (highest first, then earliest, then id) is ascending in all
# three columns, and one row comparison on one index finds a page in either direction. `hidden` is 0 for who is shown;
# nobody else is in the histogram (`store.shown`).
board_scores = Table(
    "board_scores",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("negated", BigInteger, nullable=False),
    Column("reached_at", UtcDateTime, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("hidden", SmallInteger, nullable=False),
    Index("ix_board_scores_order", "slot", "hidden", "negated", "reached_at", "member_id"),
    sqlite_with_rowid=False,
)

board_tallies = Table(
    "board_tallies",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("score", BigInteger, primary_key=True),
    Column("members", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

board_buckets = Table(
    "board_buckets",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("members", BigInteger, nullable=False),
    Column("scores", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

board_leaders = Table(
    "board_leaders",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("led_at", UtcDateTime, nullable=False),
)

# Who is on no board, or (with a `board_id`) not on one; `by` says who wants it so: the member, an operator, or what the
# member is (a bot, in a segment that the board leaves out).
board_absences = Table(
    "board_absences",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("board_id", String(60), primary_key=True),
    Column("by", String(10), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_board_absences_board", "community_id", "board_id", "member_id"),
)

# What boards can be narrowed to: the groups members were active in, the platforms they are on, the segments they are in
# (which alone are taken back).
# `negated` is since when, in microseconds after 1970 below zero: so the earliest is the highest. 0 (1970) is how rows
# came out of the time before it was noted. `noted_at` is when the row was made; null likewise. Neither is of segments.
member_labels = Table(
    "member_labels",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("value", String(300), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("negated", BigInteger, nullable=False, server_default=text("0")),
    Column("noted_at", UtcDateTime),
    Index("ix_member_labels_member", "community_id", "member_id"),
    sqlite_with_rowid=False,
)
