"""Tables of the rewards service, one module a feature; importing the package registers them all."""

from services.rewards.tables import boards, checkins, ledger, levels, rules
from services.rewards.tables.metadata import metadata

__all__ = ["boards", "checkins", "ledger", "levels", "metadata", "rules"]
