"""The first tables of the events service."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime
from kit.migrations import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "activities",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("group_ref", sa.String(length=300), nullable=True),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=False),
        sa.Column("import_name", sa.String(length=64), nullable=True),
        sa.Column("replay_id", sa.String(length=64), nullable=True),
        sa.Column("flags", JsonText(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("data", JsonText(), nullable=False),
        sa.Column("log_partition", sa.Integer(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_activities")),
    )
    op.create_index(
        "ix_activities_actor", "activities", ["community_id", "actor_id", "effective_at", "event_id"], unique=False
    )
    op.create_index(
        "ix_activities_group", "activities", ["community_id", "group_ref", "effective_at", "event_id"], unique=False
    )
    op.create_index("ix_activities_tail", "activities", ["log_partition", "log_offset"], unique=False)
    op.create_index("ix_activities_timeline", "activities", ["community_id", "effective_at", "event_id"], unique=False)
    op.create_index(
        "ix_activities_type", "activities", ["community_id", "type", "effective_at", "event_id"], unique=False
    )
    op.create_table(
        "consequences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("body", JsonText(), nullable=False),
        sa.Column("log_partition", sa.Integer(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consequences")),
    )
    op.create_index("ix_consequences_event", "consequences", ["event_id"], unique=False)
    op.create_index("ix_consequences_tail", "consequences", ["kind", "log_partition", "log_offset"], unique=False)
    op.create_table(
        "import_problems",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_problems")),
    )
    op.create_index("ix_import_problems_name", "import_problems", ["community_id", "name", "at", "id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "name", name=op.f("pk_imports")),
    )
    op.create_table(
        "own_types",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("schema", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "type", "version", name=op.f("pk_own_types")),
    )
    op.create_table(
        "seen_identities",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("identity", sa.String(length=300), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "identity", name=op.f("pk_seen_identities")),
    )
    op.create_table(
        "seen_types",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("problems", sa.BigInteger(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "type", name=op.f("pk_seen_types")),
    )
    op.create_table(
        "tails",
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("log_partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "log_partition", name=op.f("pk_tails")),
    )
