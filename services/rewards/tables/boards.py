"""Boards, their periods, their scores, and an exact histogram of the scores in two levels.

A `slot` is one period of one generation of a board (an id computed from both). A board that is deleted and made
again has a new generation, therefore other slots, and shows nothing of the old one.
"""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text, Uuid

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

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
    Column("created_at", UtcDateTime, nullable=False),
)

# `first_day` and `last_day` (both inclusive, null for `all`) say which entries' days a period counts.
board_periods = Table(
    "board_periods",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("generation", Uuid, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("key", String(10), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Index("ix_board_periods_generation", "generation", "kind", "key"),
)

# `negated` is minus the score: so the order of the board (highest first, then earliest, then id) is ascending in all
# three columns, and one row comparison on one index finds a page in either direction.
board_scores = Table(
    "board_scores",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("negated", BigInteger, nullable=False),
    Column("reached_at", UtcDateTime, nullable=False),
    Column("bucket", Integer, nullable=False),
    Index("ix_board_scores_order", "slot", "negated", "reached_at", "member_id"),
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
