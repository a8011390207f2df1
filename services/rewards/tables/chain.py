"""The chain over the ledger: its blocks, and where it ends; the nights in which everything was looked through."""

from sqlalchemy import BigInteger, Column, Date, LargeBinary, Table, Uuid

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# `ids` are 16 bytes for each transaction: a row for each would cost as much as an entry.
ledger_blocks = Table(
    "ledger_blocks",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("ids", LargeBinary, nullable=False),
    Column("after_id", Uuid),
    Column("through_id", Uuid),
    Column("sealed_at", UtcDateTime, nullable=False),
)

# `looked` is the last block whose ground was looked at once more, when everything that was under way had ended.
ledger_chains = Table(
    "ledger_chains",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("through_id", Uuid, nullable=False),
    Column("looked", BigInteger, nullable=False),
)

ledger_audits = Table(
    "ledger_audits",
    metadata,
    Column("night", Date, primary_key=True),
    Column("begun_at", UtcDateTime, nullable=False),
)
