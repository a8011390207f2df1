"""Commands in chat: reply windows, suppressions, ways out of our own, what a message in a chat needs."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "reply_windows",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("group_ref", sa.String(length=300), nullable=True),
        sa.Column("identity", sa.String(length=300), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("reply_to", sa.String(length=300), nullable=True),
        sa.Column("command", sa.String(length=60), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("answer", JsonText(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_reply_windows")),
    )
    op.create_index("ix_reply_windows_waiting", "reply_windows", ["answered_at"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint(
            "community_id", "member_id", "channel", name=op.f("uq_suppressions_community_id_member_id_channel")
        ),
    )
    op.create_index("ix_suppressions_community", "suppressions", ["community_id", "id"], unique=False)
    op.create_table(
        "channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("settings", JsonText(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("paused_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("community_id", "connection_id", name=op.f("uq_channels_community_id_connection_id")),
    )
    op.create_index("ix_channels_community", "channels", ["community_id", "id"], unique=False)
    op.create_table(
        "chat_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("group_ref", sa.String(length=300), nullable=True),
        sa.Column("identity", sa.String(length=300), nullable=False),
        sa.Column("reply_to", sa.String(length=300), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("reference", sa.String(length=300), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_chat_messages")),
    )
    op.create_index("ix_chat_messages_due", "chat_messages", ["channel_id", "due_at"], unique=False)
    op.create_index("ix_chat_messages_waiting", "chat_messages", ["due_at"], unique=False)
    op.create_index("ix_chat_messages_lease", "chat_messages", ["lease_until"], unique=False)
