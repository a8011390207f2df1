"""What the rewards service does, one module a feature, and what it listens to."""

from kit.contracts.events import Activity
from kit.contracts.members import CommunityChanged
from kit.service import Handler
from services.rewards.handlers import earning, rules

SUBSCRIPTIONS: dict[type, Handler] = {
    CommunityChanged: rules.welcome,
    Activity: earning.score,
}
