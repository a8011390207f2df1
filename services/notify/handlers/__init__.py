"""What the notify service does, one module a feature, and what it listens to."""

from collections.abc import Callable
from typing import Any

from kit.contracts.events import Activity, CallEnded
from kit.contracts.members import BindAnswered, MemberChanged
from kit.contracts.notify import MessageDue
from kit.contracts.rewards import (
    ActivityScored,
    BadgeGranted,
    BadgeRevoked,
    BoardLed,
    CommandAnswered,
    LeagueChanged,
    LevelReached,
    PointsAdjusted,
)
from kit.service import Handler
from services.notify.handlers import calling, forgetting, reacting, replying, sending

SUBSCRIPTIONS: dict[type, Handler] = {
    ActivityScored: reacting.tell_points,
    LevelReached: reacting.tell_levels,
    BadgeGranted: reacting.tell_badges,
    BadgeRevoked: reacting.tell_lost_badges,
    BoardLed: reacting.tell_first,
    LeagueChanged: reacting.tell_leagues,
    PointsAdjusted: reacting.tell_adjusted,
    MessageDue: sending.deliver_due,
    Activity: replying.take_commands,
    CommandAnswered: replying.answer_commands,
    BindAnswered: replying.answer_bindings,
    MemberChanged: forgetting.forget_erased,
    CallEnded: calling.end_calls,
}

CONCERNED: dict[type, Callable[[Any], bool]] = {ActivityScored: reacting.asks_to_be_told}
