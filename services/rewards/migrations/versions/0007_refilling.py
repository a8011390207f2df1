"""Places under caps that are given back, and what waits for them."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("undoable_grants", sa.Column("places", JsonText(), nullable=True))
    op.create_table(
        "waiting_grants",
        sa.Column("place", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=100), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("windows", JsonText(), nullable=False),
        sa.Column("ways", JsonText(), nullable=False),
        sa.Column("event_type", sa.String(length=200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("history", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("place", "event_id", "rule_id", "member_id", "unit", name=op.f("pk_waiting_grants")),
        sqlite_with_rowid=False,
    )
