"""HTTP routes of the rewards service, one module a feature."""

from services.rewards.api import accounts, boards, checkins, decisions, entries, levels, rules, streaks, units

ROUTERS = (
    rules.router,
    decisions.router,
    entries.router,
    accounts.router,
    boards.router,
    levels.router,
    units.router,
    checkins.router,
    streaks.router,
)
