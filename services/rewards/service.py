"""The rewards service, wired."""

from pathlib import Path

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
from kit.service import Service
from services.rewards.api import ROUTERS
from services.rewards.audits import AUDITS
from services.rewards.figures import figures
from services.rewards.handlers import SUBSCRIPTIONS
from services.rewards.loops import LOOPS
from services.rewards.tables import metadata

SERVICE = Service(
    name="rewards",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(
        ActivityScored, LevelReached, BoardLed, BoardFinalized, DaysExcused, PointsAdjusted, CommandAnswered,
        BadgeGranted, BadgeRevoked, BudgetReached, CheckinSeriesChanged, LeagueChanged,
    ),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=(
        "rules", "entries", "accounts", "boards", "checkins", "streaks", "challenges", "draws", "red-packets",
        "reviews", "levels", "badges", "votes", "funds", "shop", "games", "units", "events/*/decisions",
        "members/*/points",
    ),
    loops=LOOPS,
    audits=AUDITS,
    figures=figures,
)  # fmt: skip
