"""What the members service does, and what it listens to."""

from kit.contracts.events import Activity, IdentityObserved
from kit.contracts.members import DayChangeDue
from kit.contracts.platform import KeyUsed
from kit.service import Handler
from services.members import domain
from services.members.handlers.credentials import note_use
from services.members.handlers.observed import follow_membership, observe
from services.members.handlers.places import change_days

SUBSCRIPTIONS: dict[type, Handler] = {
    Activity: follow_membership,
    IdentityObserved: observe,
    KeyUsed: note_use,
    DayChangeDue: change_days,
}

ACTIVITY_TYPES = frozenset(domain.MEMBERSHIP_EVENTS)
"""Of activities only those that tell of a membership; all others would be passed over."""
