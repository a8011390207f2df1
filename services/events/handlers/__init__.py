"""What the events service does, and what it listens to."""

from kit.contracts.events import Activity, ConnectionStateChanged, ImportItemsRejected, ItemsRejected
from kit.contracts.members import MemberChanged
from kit.contracts.notify import CallWanted, MessageStateChanged
from kit.contracts.rewards import ActivityScored, BoardLed, CheckinSeriesChanged, LevelReached, PointsAdjusted
from kit.service import Handler
from services.events.handlers.calling import take_calls
from services.events.handlers.proof import keep_series
from services.events.handlers.rejected import keep_rejected
from services.events.handlers.spoken import keep_connection_states
from services.events.handlers.storing import note_rejections, store_activities
from services.events.handlers.texts import forget_erased
from services.events.handlers.tracing import (
    keep_adjustments,
    keep_boards,
    keep_decisions,
    keep_levels,
    keep_messages,
)

SUBSCRIPTIONS: dict[type, Handler] = {
    Activity: store_activities,
    ImportItemsRejected: note_rejections,
    ItemsRejected: keep_rejected,
    ConnectionStateChanged: keep_connection_states,
    ActivityScored: keep_decisions,
    LevelReached: keep_levels,
    BoardLed: keep_boards,
    PointsAdjusted: keep_adjustments,
    MessageStateChanged: keep_messages,
    CallWanted: take_calls,
    MemberChanged: forget_erased,
    CheckinSeriesChanged: keep_series,
}
