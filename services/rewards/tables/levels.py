"""Versions of a community's levels, and which levels were announced to whom (a level itself is never stored)."""

from sqlalchemy import Column, Integer, String, Table, Uuid

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
