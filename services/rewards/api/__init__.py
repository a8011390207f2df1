"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import (
    accounts,
    boards,
    chain,
    checkins,
    decisions,
    entries,
    holds,
    levels,
    reviews,
    rules,
    streaks,
    units,
)

ROUTERS = (
    rules.router,
    decisions.router,
    chain.router,  # before an entry of that name
    holds.router,  # likewise
    entries.router,
    accounts.router,
    boards.router,
    levels.router,
    units.router,
    reviews.router,
    checkins.router,
    streaks.router,
)
