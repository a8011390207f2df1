"""Plans: what other rules would make of activities that were, and the recomputes that carry them out."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, Uuid, text

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

_OPEN = "state IN ('folding', 'comparing', 'posting')"

# `head` is the last row of kept activities that the plan looks at, `base` the version in force when it was made.
# `result` is what it comes to, `posted` what of it (and of what came since) is in the ledger.
plans = Table(
    "plans",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("mode", String(20), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("draft", JsonText, nullable=False),
    Column("base", Integer, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("kept_from", UtcDateTime),
    Column("state", String(20), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("result", JsonText),
    Column("plan_hash", String(64)),
    Column("version", Integer),
    Column("posted", JsonText),
    Column("error", Text),
    Column("note", Text, nullable=False),
    Column("created_by", String(150), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("claimed_by", Uuid),
    Column("claimed_until", UtcDateTime),
    Index("ix_plans_community", "community_id", "id"),
    Index("uq_plans_open", "community_id", unique=True, sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)),
)

# Every transaction that a recompute posted, by what it is about.
recomputed = Table(
    "recomputed",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("plan_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("rule_id", String(100), nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("unit", String(30), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reverses", Uuid),
    Index("ix_recomputed_plan", "plan_id", "transaction_id"),
)
