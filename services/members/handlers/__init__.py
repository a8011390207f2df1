"""What the members service does, and what it listens to."""

from kit.contracts.events import Activity, IdentityObserved
from kit.contracts.platform import KeyUsed
from kit.service import Handler
from services.members.handlers.credentials import note_use
from services.members.handlers.people import follow_membership, observe

SUBSCRIPTIONS: dict[type, Handler] = {
    Activity: follow_membership,
    IdentityObserved: observe,
    KeyUsed: note_use,
}
