"""Commands and answers: what a connection's commands begin with, and what is to be said through its bot."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("connections", sa.Column("prefixes", JsonText(), nullable=True))
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.Column("group_ref", sa.String(length=300), nullable=True),
        sa.Column("identity", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.String(length=300), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("state_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_calls")),
    )
    op.create_index("ix_calls_state", "calls", ["state", "connection_id", "call_id"], unique=False)
    op.create_index("ix_calls_cause", "calls", ["cause_id"], unique=False)
