"""Members who are being erased, and what stays of them: closed accounts, and what was sealed of their entries."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Uuid, text

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

_OPEN = text("state <> 'done'")

# `member_id` is the tombstone's that `known_members` has too. `pseudonym` and the times are there while it is under way
# and gone when it is done: nothing says then which pseudonym it was, nor when. `step` is how far it is, `kept` the last
# row of kept activities that was looked at.
erasures = Table(
    "erasures",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("pseudonym", Uuid),
    Column("state", String(10), nullable=False),
    Column("step", Integer, nullable=False),
    Column("kept", BigInteger, nullable=False),
    Column("asked_at", UtcDateTime),
    Column("again_at", UtcDateTime),
    Index("ix_erasures_open", "asked_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

# Pseudonyms, by nothing but their ids: nobody is paid or takes anything back from them.
closed_owners = Table(
    "closed_owners",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    sqlite_with_rowid=False,
)

# Transactions whose content was made another by an erasure: the digest that the chain was or will be made with, and the
# one of what stands there since. `number` counts how often; `record_id` is the transaction that commits to it.
erased_transactions = Table(
    "erased_transactions",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("record_id", Uuid, nullable=False),
    Column("original", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Index("ix_erased_transactions_record", "record_id"),
)
