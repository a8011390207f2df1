"""Tables of the rewards service, one module a feature; importing the package registers them all."""

from services.rewards.tables import boards, chain, checkins, ledger, levels, lots, reviews, rules, undoing
from services.rewards.tables.metadata import metadata

__all__ = ["boards", "chain", "checkins", "ledger", "levels", "lots", "metadata", "reviews", "rules", "undoing"]
