"""What the rewards service does, one module a feature."""

from kit.contracts.members import CommunityChanged
from kit.service import Handler
from services.rewards.handlers import communities

SUBSCRIPTIONS: dict[type, Handler] = {CommunityChanged: communities.prepare}
