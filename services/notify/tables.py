"""Tables of the notify service."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, Uuid, text

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
