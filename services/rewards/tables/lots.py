"""Points that expire, and points that are held: what stands beside the entries of the ledger."""

from sqlalchemy import BigInteger, Column, Date, Index, String, Table, Text, Uuid, text

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# What of an account's balance can be spent until the end of the community's day `last_day`, whatever it came from: one
# row a day, so that who earns all day long has no more rows than days. Held by who holds the account's row.
lots = Table(
    "lots",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("owner_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("last_day", Date, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Index("ix_lots_due", "community_id", "last_day"),
    sqlite_with_rowid=False,
)

# Which lots a transaction made or took from; of what it took, as far as it has not come back. Kept like the entry, that
# may be reversed at any time. Days that no lot has (domain/lots.py) stand for what never expires and for what was taken
# from nothing.
lot_parts = Table(
    "lot_parts",
    metadata,
    Column("transaction_id", Uuid, primary_key=True),
    Column("last_day", Date, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_OPEN = text("state = 'open'")

# `id` is the transaction's that holds it. `ended_at`, `ended_by` and `captured` say how it ended, `capture_id` which
# transaction took what was captured.
holds = Table(
    "holds",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("member_id", Uuid, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", String(150)),
    Column("capture_id", Uuid),
    Index("ix_holds_open", "expires_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_holds_held", "community_id", "member_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_holds_member", "community_id", "member_id", "id"),
    Index("ix_holds_state", "community_id", "state", "id"),
    Index(
        "ix_holds_capture",
        "capture_id",
        sqlite_where=text("capture_id IS NOT NULL"),
        postgresql_where=text("capture_id IS NOT NULL"),
    ),
)
