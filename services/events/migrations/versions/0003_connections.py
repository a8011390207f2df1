"""Connections of bots: what they are, how they are, and who wrote what they speak of."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "connection_days",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(length=60), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "day", "outcome", name=op.f("pk_connection_days")),
    )
    op.create_table(
        "connection_signs",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("beat_at", UtcDateTime(), nullable=True),
        sa.Column("beat_seconds", sa.Integer(), nullable=True),
        sa.Column("down_since", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_connection_signs")),
    )
    op.create_table(
        "connections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("settings", JsonText(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
    )
    op.create_index("ix_connections_community", "connections", ["community_id", "id"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
    )
    op.create_index("ix_gaps_connection", "gaps", ["connection_id", "id"], unique=False)
    op.create_table(
        "written",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("group_ref", sa.String(length=300), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("author", sa.String(length=300), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "group_ref", "scope", "ref", name=op.f("pk_written")),
    )
    op.create_index("ix_written_at", "written", ["at"], unique=False)
    op.create_index("ix_written_group", "written", ["community_id", "group_ref", "at"], unique=False)
    op.add_column("activities", sa.Column("connection_id", sa.Uuid(), nullable=True))
