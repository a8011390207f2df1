"""The double-entry ledger: units, accounts, transactions and their entries, adjustments that wait for approval."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

from kit.database import UtcDateTime
from services.rewards.domain.ledger import MOST
from services.rewards.tables.metadata import metadata

units = Table(
    "units",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", String(30), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("spendable", Boolean, nullable=False),
    Column("minimum", BigInteger, nullable=False),
    Column("clawback", String(30), nullable=False),
    Column("approval_above", BigInteger),
    Column("expires_after_days", Integer),
    Column("created_at", UtcDateTime, nullable=False),
)

# An owner is a member, or a system account under an id computed from its name, so that both are 16 bytes.
# `balance` stays within ±MOST by the constraint: SQLite would turn an overflow into a float without a word.
accounts = Table(
    "accounts",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("owner_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
    # In the key (though the owner decides it) because bulk writes lock rows in the order of the key they are given:
    # with `system` first, the row that everybody needs is locked last.
    Column("system", SmallInteger, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("balance", BigInteger, nullable=False),
    # On members' accounts: the sum of their lines against the account `debt`, here because everybody who gives looks.
    Column("debt", BigInteger, nullable=False, server_default=text("0")),
    # On system accounts (but groups'): how many boards and level schemes follow the unit. Whoever posts learns it from
    # the row it changes anyway, under the row's lock, so that a unit without any costs no further statement.
    Column("followers", Integer, nullable=False),
    # On system accounts likewise: after how many days what comes in expires; 0: it does so no more, null: it never did,
    # and nobody looks for lots.
    Column("lots", Integer),
    CheckConstraint(f"balance BETWEEN -{MOST} AND {MOST}", name="balance_in_range"),
    # Few beside the members'. No column that posting changes: the row that everybody needs stays where it is.
    Index(
        "ix_accounts_system",
        "community_id",
        "unit",
        sqlite_where=text("system = 1"),
        postgresql_where=text("system = 1"),
    ),
)

transactions = Table(
    "transactions",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("idem_key", LargeBinary(32), nullable=False),
    Column("payload_hash", LargeBinary(32), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("rule_id", String(100)),
    Column("rule_version", Integer),
    Column("source_event_id", Uuid),
    Column("reverses", Uuid),
    Column("reason", Text, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("approver", String(150)),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_transactions_idem_key", "community_id", "idem_key", unique=True),
    Index(
        "ix_transactions_reverses",
        "reverses",
        sqlite_where=text("reverses IS NOT NULL"),
        postgresql_where=text("reverses IS NOT NULL"),
    ),
)

# `effective_at` is the transaction's, repeated on each line because every question about an account asks for it.
# `day` is the community's day it counted for, fixed when posted: a zone changed later moves nothing. `scored` is 0 for
# what boards do not count, 1 for what they count, 2 for reversals of that (they change a score, but nobody "reached"
# anything by one). `reversed` is how much of the line was taken back so far.
entries = Table(
    "entries",
    metadata,
    Column("transaction_id", Uuid, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("day", Date, nullable=False),
    Column("scored", SmallInteger, nullable=False),
    Column("reversed", BigInteger, nullable=False),
    Index("ix_entries_account", "owner_id", "unit", "effective_at", "transaction_id"),
)

adjustments = Table(
    "adjustments",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("idem_key", LargeBinary(32), nullable=False),
    Column("payload_hash", LargeBinary(32), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("effective_at", UtcDateTime),
    Column("allow_negative", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("state", String(20), nullable=False),
    Column("decided_by", String(150)),
    Column("decided_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_adjustments_idem_key", "community_id", "idem_key", unique=True),
    Index("ix_adjustments_state", "community_id", "state", "id"),
)
