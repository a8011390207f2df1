"""What went through a unit's system accounts, day by day: what charts of an economy are made of."""

from sqlalchemy import BigInteger, Column, Date, String, Table, Uuid

from services.rewards.tables.metadata import metadata

# By the community's day that entries count for. `came` and `went` are both unsigned: what came to the system account
# and what went from it.
unit_days = Table(
    "unit_days",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("account", String(100), primary_key=True),
    Column("came", BigInteger, nullable=False),
    Column("went", BigInteger, nullable=False),
)

# Up to which block of the ledger's chain they are added up; held while the next are.
unit_day_heads = Table(
    "unit_day_heads",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
