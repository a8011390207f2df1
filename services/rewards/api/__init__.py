"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import accounts, boards, entries, levels, units

ROUTERS = (entries.router, accounts.router, boards.router, levels.router, units.router)
