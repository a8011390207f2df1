"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import (
    accounts,
    badges,
    boards,
    certificates,
    chain,
    checkins,
    decisions,
    entries,
    levels,
    rules,
    standings,
    streaks,
    units,
)

ROUTERS = (
    rules.router,
    decisions.router,
    chain.router,  # before an entry of that name
    entries.router,
    accounts.router,
    boards.router,
    levels.router,
    certificates.router,  # before a badge's members
    badges.router,
    units.router,
    checkins.router,
    standings.router,
    streaks.router,
)
