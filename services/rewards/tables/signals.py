"""What signals are made of (`domain.signals`), and since when members are known stands with their labels."""

from sqlalchemy import Column, LargeBinary, Table, Uuid

from kit.database import UtcDateTime
from services.rewards.tables.metadata import metadata

# `id` is computed from what the row is about, and its lock is the fact's; `body` is MessagePack. Hashes of texts stand
# in it, never texts. `kept_until` as in `counters`.
signals = Table(
    "signals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("kept_until", UtcDateTime),
)
