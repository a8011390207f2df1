"""Activities kept for rules to come, plans and recomputes. Activities handled before are not among them."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0012"
down_revision = "0011"

OPEN = sa.text("state IN ('folding', 'comparing', 'posting')")


def upgrade() -> None:
    op.add_column("rule_sets", sa.Column("epoch", sa.Uuid()))
    op.add_column("rule_sets", sa.Column("in_force", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "kept_activities",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("history", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "seq", name=op.f("pk_kept_activities")),
    )
    op.create_table(
        "kept_heads",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", name=op.f("pk_kept_heads")),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("draft", JsonText(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("kept_from", UtcDateTime()),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("result", JsonText()),
        sa.Column("plan_hash", sa.String(length=64)),
        sa.Column("version", sa.Integer()),
        sa.Column("posted", JsonText()),
        sa.Column("error", sa.Text()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.Uuid()),
        sa.Column("claimed_until", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )
    op.create_index("ix_plans_community", "plans", ["community_id", "id"])
    op.create_index("uq_plans_open", "plans", ["community_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "recomputed",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=100), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reverses", sa.Uuid()),
        sa.PrimaryKeyConstraint("event_id", "transaction_id", name=op.f("pk_recomputed")),
    )
    op.create_index("ix_undoable_grants_transaction", "undoable_grants", ["transaction_id"])
    op.create_index("ix_recomputed_plan", "recomputed", ["plan_id", "transaction_id"])
