"""Grants that inverse events undo, and inverse events that came first.

Grants from before are not among them: what they were about was not kept.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "undoable_grants",
        sa.Column("thing", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("types", JsonText(), nullable=False),
        sa.Column("lifetime", sa.Integer(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("thing", "transaction_id", name=op.f("pk_undoable_grants")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inverse_events",
        sa.Column("thing", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("thing", "event_id", name=op.f("pk_inverse_events")),
        sqlite_with_rowid=False,
    )
