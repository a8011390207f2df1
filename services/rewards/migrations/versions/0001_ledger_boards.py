"""The first tables of the rewards service: ledger, boards, levels."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime
from kit.migrations import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "units",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spendable", sa.Boolean(), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("clawback", sa.String(length=20), nullable=False),
        sa.Column("approval_above", sa.BigInteger()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_units")),
    )
    op.create_table(
        "accounts",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("system", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("followers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "owner_id", "unit", "system", name=op.f("pk_accounts")),
        sa.CheckConstraint(
            "balance BETWEEN -4611686018427387903 AND 4611686018427387903", name=op.f("ck_accounts_balance_in_range")
        ),
    )
    op.create_table(
        "transactions",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("idem_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("rule_id", sa.String(length=100)),
        sa.Column("rule_version", sa.Integer()),
        sa.Column("source_event_id", sa.Uuid()),
        sa.Column("reverses", sa.Uuid()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("approver", sa.String(length=150)),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_transactions")),
    )
    op.create_index(
        "ix_transactions_reverses",
        "transactions",
        ["reverses"],
        sqlite_where=sa.text("reverses IS NOT NULL"),
        postgresql_where=sa.text("reverses IS NOT NULL"),
    )
    op.create_index("uq_transactions_idem_key", "transactions", ["community_id", "idem_key"], unique=True)
    op.create_table(
        "entries",
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("scored", sa.SmallInteger(), nullable=False),
        sa.Column("reversed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "line", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_account", "entries", ["owner_id", "unit", "effective_at", "transaction_id"])
    op.create_table(
        "adjustments",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("idem_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", UtcDateTime()),
        sa.Column("allow_negative", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=150)),
        sa.Column("decided_at", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_adjustments")),
    )
    op.create_index("ix_adjustments_state", "adjustments", ["community_id", "state", "id"])
    op.create_index("uq_adjustments_idem_key", "adjustments", ["community_id", "idem_key"], unique=True)
    op.create_table(
        "boards",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("tie_policy", sa.String(length=20), nullable=False),
        sa.Column("periods", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_boards")),
        sa.UniqueConstraint("generation", name=op.f("uq_boards_generation")),
    )
    op.create_table(
        "board_periods",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=10), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_board_periods")),
    )
    op.create_index("ix_board_periods_generation", "board_periods", ["generation", "kind", "key"])
    op.create_table(
        "board_scores",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("negated", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", UtcDateTime(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "member_id", name=op.f("pk_board_scores")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_board_scores_order", "board_scores", ["slot", "negated", "reached_at", "member_id"])
    op.create_table(
        "board_tallies",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "bucket", "score", name=op.f("pk_board_tallies")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "board_buckets",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("scores", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "bucket", name=op.f("pk_board_buckets")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "board_leaders",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("led_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "member_id", name=op.f("pk_board_leaders")),
    )
    op.create_table(
        "level_versions",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("scheme", JsonText(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "version", name=op.f("pk_level_versions")),
    )
    op.create_table(
        "level_announcements",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("announced_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", "level", name=op.f("pk_level_announcements")),
    )
