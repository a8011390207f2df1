"""Rule sets, the counters that caps read, and what was decided."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, String, Table, Text, Uuid, false, true

from kit.database import JsonText, UtcDateTime
from services.rewards.tables.metadata import metadata

rule_sets = Table(
    "rule_sets",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", JsonText, nullable=False),
    Column("actor", String(150), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Whose counters it goes by: the recompute that last began them anew; null: the community's own, from the beginning.
    Column("epoch", Uuid),
    # False while a recompute under it is not over, and for ever when that was cancelled. Of what is scheduled as well:
    # that holds by `effective_from` alone, and a replica from before there were schedules would have it hold at once.
    Column("in_force", Boolean, nullable=False, server_default=true()),
    Column("effective_from", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("cancelled_by", String(150)),
    # Whether any of its rules asks for levels: from then on it is kept what balances were when days began.
    Column("asks_levels", Boolean, nullable=False, server_default=false()),
)

# `id` is computed from rule, unit, scope and window: one row a cap and window, which concurrent batches lock.
# `kept_until`, here and below, is the time until which somebody may ask for it; null: for ever (lifetime).
counters = Table(
    "counters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("kept_until", UtcDateTime),
)

# What rolling windows and cooldowns were used by. `slot` is the id of the counter that is locked for it.
moments = Table(
    "moments",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("kept_until", UtcDateTime),
)

# `receiver` is the id of the member, or of the group's account, as text, or "-" for nobody: part of the key, and keys
# have no NULLs. On an inverse event `undo` or `kept` with the id's digits, for what was, and what could not be, taken
# back of a rule's grants; `redo` with them for what recomputes gave more or less, all together.
decisions = Table(
    "decisions",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("receiver", String(36), primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid),
    Column("rule_version", Integer, nullable=False),
    Column("event_type", String(200), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("transaction_id", Uuid),
    Column("notify", Boolean, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Index("ix_decisions_member", "community_id", "member_id", "effective_at", "event_id"),
)

# Days (in UTC) on which some decision was, of an event of that day, that is not kept any more.
forgotten_days = Table(
    "forgotten_days",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
)
