"""The first tables of the notify service."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime
from kit.migrations import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "inboxes",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("unread", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", name=op.f("pk_inboxes")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("dedupe", sa.Uuid(), nullable=False),
        sa.Column("template", sa.String(length=60), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("variables", JsonText(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("steps", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("state_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("clicked_at", UtcDateTime(), nullable=True),
        sa.Column("acked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_messages_dedupe")),
    )
    op.create_index("ix_messages_cause", "messages", ["cause_id"], unique=False)
    op.create_index("ix_messages_community", "messages", ["community_id", "id"], unique=False)
    op.create_index("ix_messages_inbox", "messages", ["community_id", "member_id", "position"], unique=True)
    op.create_index(
        "ix_messages_unread",
        "messages",
        ["community_id", "member_id", "position"],
        unique=False,
        sqlite_where=sa.text("position IS NOT NULL AND read_at IS NULL"),
        postgresql_where=sa.text("position IS NOT NULL AND read_at IS NULL"),
    )
    op.create_table(
        "templates",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("variables", JsonText(), nullable=False),
        sa.Column("texts", JsonText(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "name", "version", name=op.f("pk_templates")),
    )
