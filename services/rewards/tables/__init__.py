"""Tables of the rewards service, one module a feature; importing the package registers them all."""

from services.rewards.tables import (
    backfills,
    badges,
    boards,
    chain,
    checkins,
    erasures,
    kept,
    leagues,
    ledger,
    levels,
    lots,
    plans,
    reviews,
    rules,
    signals,
    undoing,
    unit_days,
)
from services.rewards.tables.metadata import metadata

__all__ = [
    "backfills", "badges", "boards", "chain", "checkins", "erasures", "kept", "leagues", "ledger", "levels", "lots",
    "metadata", "plans",
    "reviews", "rules", "signals", "undoing", "unit_days",
]  # fmt: skip
