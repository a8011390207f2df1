"""Which services there are."""

from services.events.declaration import DECLARATION as EVENTS
from services.members.declaration import DECLARATION as MEMBERS
from services.notify.declaration import DECLARATION as NOTIFY
from services.rewards.declaration import DECLARATION as REWARDS

__all__ = ["DECLARATIONS", "EVENTS", "MEMBERS", "NAMES", "NOTIFY", "REWARDS"]

DECLARATIONS = (MEMBERS, EVENTS, REWARDS, NOTIFY)
NAMES = tuple(declared.name for declared in DECLARATIONS)
