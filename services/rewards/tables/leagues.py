"""Leagues of boards: who plays in which division of which period, and in which tier next time."""

from sqlalchemy import BigInteger, Column, Date, Index, SmallInteger, Table, Uuid, text

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# From `drawn_at` on there are divisions, since `settled_at` it is known who goes where. `after_member` is how far those
# who did not play were gone through.
league_periods = Table(
    "league_periods",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("generation", Uuid, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("drawn_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("after_member", Uuid),
    Index("ix_league_periods_generation", "generation", "first_day"),
    Index(
        "ix_league_periods_open",
        "slot",
        sqlite_where=text("settled_at IS NULL"),
        postgresql_where=text("settled_at IS NULL"),
    ),
)

# `number` counts the people of a tier as they come, from 0: with the league's size it says the division. It is null for
# who waits, and for who did not play. `tier_after` is what the period came to.
league_seats = Table(
    "league_seats",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("first_at", UtcDateTime, nullable=False),
    Column("tier", SmallInteger),
    Column("number", BigInteger),
    Column("tier_after", SmallInteger),
    Index("ix_league_seats_number", "slot", "tier", "number", unique=True),
    Index(
        "ix_league_seats_waiting",
        "slot",
        "first_at",
        "member_id",
        sqlite_where=text("number IS NULL AND tier_after IS NULL"),
        postgresql_where=text("number IS NULL AND tier_after IS NULL"),
    ),
    Index(
        "ix_league_seats_playing",
        "slot",
        "tier",
        "number",
        sqlite_where=text("number IS NOT NULL AND tier_after IS NULL"),
        postgresql_where=text("number IS NOT NULL AND tier_after IS NULL"),
    ),
    sqlite_with_rowid=False,
)

league_tallies = Table(
    "league_tallies",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("tier", SmallInteger, primary_key=True),
    Column("members", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

league_tiers = Table(
    "league_tiers",
    metadata,
    Column("generation", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("tier", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)
