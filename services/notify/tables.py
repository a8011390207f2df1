"""Tables of the notify service."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from kit.database import JsonText, UtcDateTime, metadata_for

metadata = metadata_for("notify")

# `position` counts up per inbox under the lock of its row, so that a reader who saw position n never finds a lower
# one appear later; null for what is not in the inbox (held, not sent).
messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("dedupe", Uuid, nullable=False, unique=True),
    Column("template", String(60), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("category", String(30), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("locale", String(35), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("variables", JsonText, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("cause_id", Uuid),
    Column("state", String(20), nullable=False),
    Column("reason", String(60)),
    Column("steps", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("position", BigInteger),
    Column("seen_at", UtcDateTime),
    Column("read_at", UtcDateTime),
    Column("clicked_at", UtcDateTime),
    Column("acked_at", UtcDateTime),
    Index("ix_messages_inbox", "community_id", "member_id", "position", unique=True),
    Index("ix_messages_community", "community_id", "id"),
    Index("ix_messages_cause", "cause_id"),
)
UNREAD = text("position IS NOT NULL AND read_at IS NULL")
Index(
    "ix_messages_unread",
    messages.c.community_id,
    messages.c.member_id,
    messages.c.position,
    sqlite_where=UNREAD,
    postgresql_where=UNREAD,
)

# One row an inbox: the last position given, how many are unread, and a count of changes that streams look at.
inboxes = Table(
    "inboxes",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
)

# Versions never change: a message names the one it was made with.
templates = Table(
    "templates",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("name", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("category", String(30), nullable=False),
    Column("variables", JsonText, nullable=False),
    Column("texts", JsonText, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# One row a command in chat (N7), for a day. Its two halves come from different topics in any order: the window (where
# and until when it may be answered; null until it is known) and the answer that waits for it (null when there is none).
reply_windows = Table(
    "reply_windows",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("connection_id", Uuid),
    Column("group_ref", String(300)),
    Column("identity", String(300)),
    Column("member_id", Uuid),
    Column("reply_to", String(300)),
    Column("command", String(60)),
    Column("expires_at", UtcDateTime),
    Column("remaining", Integer),
    Column("answer", JsonText),
    Column("answered_at", UtcDateTime),
    Index("ix_reply_windows_waiting", "answered_at"),
)

# Who wants to hear nothing in a family of channels, and why (N19).
suppressions = Table(
    "suppressions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("channel", String(20), nullable=False),
    Column("reason", String(20), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    UniqueConstraint("community_id", "member_id", "channel"),
    Index("ix_suppressions_community", "community_id", "id"),
)

# A way out of our own for what a connection says. `failures` counts troubles of its provider in a row; until
# `paused_until` nothing is sent.
channels = Table(
    "channels",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("active", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("paused_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(150), nullable=False),
    UniqueConstraint("community_id", "connection_id"),
    Index("ix_channels_community", "community_id", "id"),
)

# What a message in a chat needs beside its row. `channel_id` None: it goes through the connection at the events
# service. `due_at`: when the next attempt may begin, null when none will. `lease_until`: while a call is being made,
# when it is given up as unknown.
chat_messages = Table(
    "chat_messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("channel_id", Uuid),
    Column("connection_id", Uuid, nullable=False),
    Column("group_ref", String(300)),
    Column("identity", String(300), nullable=False),
    Column("reply_to", String(300)),
    Column("attempts", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    Column("lease_until", UtcDateTime),
    Column("reference", String(300)),
    Index("ix_chat_messages_due", "channel_id", "due_at"),
    Index("ix_chat_messages_waiting", "due_at"),
    Index("ix_chat_messages_lease", "lease_until"),
)
