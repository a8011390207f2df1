"""The kit's own tables, in every service's schema: leaving (outbox), entering (inbox), given up (dead letters).

The HTTP side adds its own in `kit.tables_http`.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, Uuid

from kit.database.types import UtcDateTime

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""An auto-incremented key: SQLite only counts up on a column of exactly the type INTEGER."""


FIRST, SEGMENTS = 1, 2
"""The forms these tables have had: `SEGMENTS` has those of members with the copies of them."""


def add_kit_tables(metadata: MetaData, form: int = SEGMENTS) -> None:
    """Put the kit's tables on a service's metadata; in an earlier form for the migration that made that."""
    from kit.tables_http import add_http_tables

    Table(
        "outbox",
        metadata,
        Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        Column("id", Uuid, nullable=False),
        Column("topic", String(100), nullable=False),
        Column("key", String(300), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("not_before", UtcDateTime),
        Column("due_key", String(200), unique=True),
        Index("ix_outbox_due", "not_before", "seq"),
    )
    Table(
        "inbox",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("received_at", UtcDateTime, nullable=False, index=True),
    )
    Table(
        "dead_letters",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("event_id", Uuid),
        Column("community_id", Uuid),
        Column("consumer", String(100), nullable=False),
        Column("topic", String(100), nullable=False),
        Column("log_partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("code", String(100), nullable=False, index=True),
        Column("message", Text, nullable=False),
        Column("stack_digest", String(64), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("state", String(20), nullable=False),
        Column("reason", Text),
        Column("created_at", UtcDateTime, nullable=False),
        Column("changed_at", UtcDateTime, nullable=False),
        Index("ix_dead_letters_state", "state", "created_at", "id"),
    )
    add_http_tables(metadata, segments=form >= SEGMENTS)
