"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import (
    accounts,
    attempts,
    backfills,
    badges,
    board_absences,
    board_periods,
    boards,
    certificates,
    chain,
    checkins,
    decisions,
    entries,
    holds,
    leagues,
    levels,
    posters,
    reviews,
    rules,
    simulations,
    standings,
    streaks,
    unit_days,
    units,
)

ROUTERS = (
    rules.router,
    simulations.router,
    decisions.router,
    chain.router,  # before an entry of that name
    holds.router,  # likewise
    entries.router,
    accounts.router,
    boards.router,
    board_periods.router,
    board_absences.router,
    leagues.router,
    levels.router,
    certificates.router,  # before a badge's members
    badges.router,
    backfills.router,
    posters.router,
    units.router,
    unit_days.router,
    reviews.router,
    checkins.router,
    attempts.router,
    standings.router,
    streaks.router,
)
