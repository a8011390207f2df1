"""What the other processes know of the rewards service."""

from kit.contracts.rewards import (
    ActivityScored,
    BadgeGranted,
    BadgeRevoked,
    BoardFinalized,
    BoardLed,
    BudgetReached,
    CheckinSeriesChanged,
    CommandAnswered,
    DaysExcused,
    LeagueChanged,
    LevelReached,
    PointsAdjusted,
)
from kit.declaration import Declaration

DECLARATION = Declaration(
    name="rewards",
    publishes=(
        ActivityScored, LevelReached, BoardLed, BoardFinalized, DaysExcused, PointsAdjusted, CommandAnswered,
        BadgeGranted, BadgeRevoked, BudgetReached, CheckinSeriesChanged, LeagueChanged,
    ),
    prefixes=(
        "rules", "entries", "accounts", "boards", "checkins", "streaks", "challenges", "draws", "red-packets",
        "reviews", "levels", "badges", "votes", "funds", "shop", "games", "units", "events/*/decisions",
        "members/*/points",
    ),
)  # fmt: skip
