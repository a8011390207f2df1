"""Grants that wait for somebody to look at them: decided, counted under the caps, and in nobody's balance."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, Uuid, text

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

_PENDING = text("state = 'pending'")

# `at` is the event's effective time, which a grant counts for; `wanted` what the rule asked for, `amount` what the caps
# left of it. `things` are the ids under which it can be undone (`undoable_grants`, by the review's own id until it is
# approved). `transaction_id` is the grant that it became. `grounds` are the numbers that `review_when` saw.
reviews = Table(
    "reviews",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("event_type", String(200), nullable=False),
    Column("rule_id", String(100), nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("actor_id", Uuid),
    Column("member_id", Uuid, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("notify", Boolean, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("things", JsonText, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(150)),
    Column("decided_at", UtcDateTime),
    Column("transaction_id", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Column("grounds", JsonText),
    Index("ix_reviews_pending", "community_id", "member_id", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("ix_reviews_event", "event_id"),
    Index("ix_reviews_state", "community_id", "state", "id"),
)
