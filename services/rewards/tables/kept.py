"""Activities as they were handled, so that other rules can be run over them: what came, and what was known then."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Uuid

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# A row for the activities of one community in one batch: a row for each would cost as much as scoring it. `seq` counts
# a community's rows without a hole, in the order of their commits (it is taken from `kept_heads`, whose row is held
# until then), so that whoever has read up to one has missed nothing before.
kept_activities = Table(
    "kept_activities",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("history", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept_at", UtcDateTime, nullable=False),
)

kept_heads = Table(
    "kept_heads",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
