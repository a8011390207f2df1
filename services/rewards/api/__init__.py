"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import (
    accounts,
    boards,
    chain,
    checkins,
    decisions,
    entries,
    levels,
    rules,
    simulations,
    streaks,
    units,
)

ROUTERS = (
    rules.router,
    simulations.router,
    decisions.router,
    chain.router,  # before an entry of that name
    entries.router,
    accounts.router,
    boards.router,
    levels.router,
    units.router,
    checkins.router,
    streaks.router,
)
