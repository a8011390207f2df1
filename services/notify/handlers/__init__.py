"""What the notify service does, one module a feature, and what it listens to."""

from collections.abc import Callable
from typing import Any

from kit.contracts.notify import MessageDue
from kit.contracts.rewards import ActivityScored, BoardLed, LevelReached, PointsAdjusted
from kit.service import Handler
from services.notify.handlers import reacting, sending

SUBSCRIPTIONS: dict[type, Handler] = {
    ActivityScored: reacting.tell_points,
    LevelReached: reacting.tell_levels,
    BoardLed: reacting.tell_first,
    PointsAdjusted: reacting.tell_adjusted,
    MessageDue: sending.deliver_due,
}

CONCERNED: dict[type, Callable[[Any], bool]] = {ActivityScored: reacting.asks_to_be_told}
