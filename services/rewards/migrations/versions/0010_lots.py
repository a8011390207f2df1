"""Points that expire, points that are held and grants that wait for review; units there are get the account that holds
stand on."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime
from services.rewards.domain.ledger import system_account_id

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("units", sa.Column("expires_after_days", sa.Integer(), nullable=True))
    op.add_column("accounts", sa.Column("lots", sa.Integer(), nullable=True))
    op.create_table(
        "lots",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "owner_id", "unit", "last_day", name=op.f("pk_lots")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_lots_due", "lots", ["community_id", "last_day"])
    op.create_table(
        "lot_parts",
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "last_day", name=op.f("pk_lot_parts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "holds",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=150), nullable=True),
        sa.Column("capture_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_member", "holds", ["community_id", "member_id", "id"])
    for name, columns, condition in (
        ("ix_holds_open", ["expires_at"], "state = 'open'"),
        ("ix_holds_held", ["community_id", "member_id"], "state = 'open'"),
        ("ix_holds_capture", ["capture_id"], "capture_id IS NOT NULL"),
    ):
        only = sa.text(condition)
        op.create_index(name, "holds", columns, sqlite_where=only, postgresql_where=only)
    _add_reviews()
    _open_escrow()


def _add_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.String(length=200), nullable=False),
        sa.Column("rule_id", sa.String(length=100), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("history", sa.Boolean(), nullable=False),
        sa.Column("things", JsonText(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=150), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_reviews_pending", "reviews", ["community_id", "member_id"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_index("ix_reviews_event", "reviews", ["event_id"])
    op.create_index("ix_reviews_state", "reviews", ["community_id", "state", "id"])
    op.add_column("waiting_grants", sa.Column("review", sa.Boolean(), nullable=False, server_default=sa.false()))


def _open_escrow() -> None:
    accounts = sa.table(
        "accounts",
        sa.column("community_id", sa.Uuid()),
        sa.column("owner_id", sa.Uuid()),
        sa.column("unit", sa.String()),
        sa.column("system", sa.SmallInteger()),
        sa.column("name", sa.String()),
        sa.column("balance", sa.BigInteger()),
        sa.column("followers", sa.Integer()),
    )
    connection = op.get_bind()
    # Each unit has had `mint` from its beginning.
    there = sa.select(accounts).where(accounts.c.system == 1, accounts.c.name == "mint")
    rows: list[dict[str, Any]] = [
        {
            "community_id": row.community_id,
            "owner_id": system_account_id(row.community_id, "escrow"),
            "unit": row.unit,
            "system": 1,
            "name": "escrow",
            "balance": 0,
            "followers": row.followers,
        }
        for row in connection.execute(there)
    ]
    if rows:
        connection.execute(accounts.insert(), rows)
