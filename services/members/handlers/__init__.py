"""What the members service does, and what it listens to."""

from kit.contracts import Envelope
from kit.contracts.events import Activity, IdentityObserved
from kit.contracts.members import DayChangeDue
from kit.contracts.platform import KeyUsed
from kit.database import Tx
from kit.service import Handler
from services.members import domain
from services.members.handlers.binding import COMMAND, bind
from services.members.handlers.credentials import note_use
from services.members.handlers.observed import follow_membership, observe
from services.members.handlers.places import change_days


async def follow_and_bind(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    await follow_membership(tx, batch)
    await bind(tx, batch)


SUBSCRIPTIONS: dict[type, Handler] = {
    Activity: follow_and_bind,
    IdentityObserved: observe,
    KeyUsed: note_use,
    DayChangeDue: change_days,
}

ACTIVITY_TYPES = frozenset({*domain.MEMBERSHIP_EVENTS, COMMAND})
"""Of activities only those that tell of a membership or ask something of a bot; others would be passed over."""
