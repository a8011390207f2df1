"""Versions of a community's levels, which levels were announced to whom (a level itself is never stored), and what
balances were when a day began."""

from sqlalchemy import BigInteger, Column, Date, Integer, String, Table, Uuid

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

level_versions = Table(
    "level_versions",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("unit", String(30), nullable=False),
    Column("scheme", JsonText, nullable=False),
    # Null: none.
    Column("perks", JsonText),
    Column("actor", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

level_announcements = Table(
    "level_announcements",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("announced_at", UtcDateTime, nullable=False),
)

# `balance` is what a member had of the unit that levels follow when the community's `day` began: the last one on which
# that changed, so that on any later day it is what the account has. Whoever writes a row holds the account's.
openings = Table(
    "openings",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("day", Date, nullable=False),
    Column("balance", BigInteger, nullable=False),
)
