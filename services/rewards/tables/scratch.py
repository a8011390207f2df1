"""What a plan's scratch file holds besides the service's own tables (`handlers.plans.scratch`).

Cursors are rows of `kept_activities`. `touched` are events whose outcome changed after it was
posted, `seen` those that figures were made of. `dirty_counters`, `dirty_moments` and
`dirty_signals` are what changed since it was last carried over, noted by triggers.
"""

from sqlalchemy import BigInteger, Column, Date, Integer, MetaData, String, Table, Uuid

from kit.database import UtcDateTime

metadata = MetaData()

cursors = Table(
    "scratch_cursors",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

touched = Table("scratch_touched", metadata, Column("event_id", Uuid, primary_key=True))

# What was given otherwise and stays, once it took its places.
taken = Table(
    "scratch_taken",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("unit", String(30), primary_key=True),
)

seen = Table("scratch_seen", metadata, Column("event_id", Uuid, primary_key=True))

members = Table(
    "scratch_members",
    metadata,
    Column("unit", String(30), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("was", BigInteger, nullable=False),
    Column("now", BigInteger, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False),
)

days = Table(
    "scratch_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("unit", String(30), primary_key=True),
    Column("was", BigInteger, nullable=False),
    Column("now", BigInteger, nullable=False),
    Column("grants", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("taken", BigInteger, nullable=False),
    Column("spared", BigInteger, nullable=False),
)

dirty_counters = Table("dirty_counters", metadata, Column("id", Uuid, primary_key=True))
dirty_signals = Table("dirty_signals", metadata, Column("id", Uuid, primary_key=True))
dirty_moments = Table(
    "dirty_moments",
    metadata,
    Column("slot", Uuid, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
)

# Not `OR IGNORE`: within a trigger the conflict policy of the statement that fired it counts instead.
_NOTE_COUNTER, _NOTE_SIGNAL = (
    f"BEGIN INSERT INTO {dirty} SELECT NEW.id WHERE NOT EXISTS (SELECT 1 FROM {dirty} WHERE id = NEW.id); END"
    for dirty in ("dirty_counters", "dirty_signals")
)
EXTRAS = (
    "CREATE INDEX scratch_source ON transactions (source_event_id)",
    "CREATE INDEX scratch_created ON transactions (created_at)",
    f"CREATE TRIGGER scratch_c1 AFTER INSERT ON counters {_NOTE_COUNTER}",
    f"CREATE TRIGGER scratch_c2 AFTER UPDATE ON counters {_NOTE_COUNTER}",
    f"CREATE TRIGGER scratch_s1 AFTER INSERT ON signals {_NOTE_SIGNAL}",
    f"CREATE TRIGGER scratch_s2 AFTER UPDATE ON signals {_NOTE_SIGNAL}",
    "CREATE TRIGGER scratch_m1 AFTER INSERT ON moments"
    " BEGIN INSERT INTO dirty_moments VALUES (NEW.slot, NEW.at, NEW.event_id); END",
)
"""Statements for SQLite."""
