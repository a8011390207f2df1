"""Replies to commands in chat (E11, N7): how long a platform lets us answer, and whether one goes. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notify.domain import EXPIRED, GONE, NOT_SENT, QUEUED, Recipient, Resolution

CHAT = "chat"
"""The family of channels a member is suppressed for by `/stop`: everything that speaks in a chat."""
STOPPED, BLOCKED = "stopped", "blocked"
ANSWER_WITHIN = timedelta(minutes=5)
"""An answer to a command that comes later is not said any more: nobody remembers what they asked."""
NO_WINDOW, BUDGET_SPENT = "no_window", "budget_spent"


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many replies to one message, in a group or in private, within so much time of it."""

    in_group: timedelta
    in_private: timedelta
    replies: int


# By what identities of a platform begin with. QQ's official API refuses later ones; OneBot and Telegram know no limit,
# so theirs is ours.
_OURS = Allowance(timedelta(minutes=5), timedelta(minutes=5), 5)
_ALLOWED = {"qq-official": Allowance(timedelta(minutes=5), timedelta(minutes=60), 5)}

# What a channel is called in messages and metrics where none is set up for the connection; bounded.
_CALLED = {"qq": "onebot", "telegram": "telegram", "qq-official": "qq-official", "discord": "discord", "slack": "slack"}
OTHER = "other"
PLATFORM_CHANNELS = (*dict.fromkeys(_CALLED.values()), OTHER)

BACKOFF_SECONDS = (5, 30, 120, 600, 1800, 7200)


def platform_of(identity: str) -> str:
    return identity.partition(":")[0]


def channel_name(identity: str) -> str:
    """How the way to this identity is called."""
    return _CALLED.get(platform_of(identity), OTHER)


def allowance(identity: str) -> Allowance:
    return _ALLOWED.get(platform_of(identity), _OURS)


def window_until(identity: str, group: str | None, at: datetime) -> datetime:
    """When the last reply may leave to what was said at `at`."""
    allowed = allowance(identity)
    return at + (allowed.in_private if group is None else allowed.in_group)


def backoff(attempts: int, chance: float | None = None) -> timedelta:
    """How long to wait after so many attempts that failed: anything up to the step, so that many do not come back at
    the same moment. `chance` 0 … 1 instead of a random one."""
    step = BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1]
    return timedelta(seconds=step * (random.random() if chance is None else chance))


def resolve_reply(
    recipient: Recipient, *, now: datetime, suppressed: str | None, expires_at: datetime, remaining: int
) -> Resolution:
    """Whether a reply to a member's own command goes; `queued` when it does. `suppressed` says why the member hears
    nothing else in chats, None when they do."""
    out = Resolution()
    if recipient.kind == "bot":
        out.ended(now, "member", NOT_SENT, "recipient_is_bot", "bots are not answered")
        return out
    if recipient.state in GONE:
        out.ended(now, "member", NOT_SENT, "not_a_member", f"the member is {recipient.state}")
        return out
    out.passed(now, "member", recipient.state or "seen for the first time")
    out.passed(now, "suppression", f"{suppressed}, but this answers their own command" if suppressed else "none")
    if remaining <= 0:
        out.ended(now, "window", NOT_SENT, BUDGET_SPENT, "as many replies as the platform takes were made")
        return out
    out.passed(now, "window", f"{remaining} replies left")
    if now >= expires_at:
        out.ended(now, "expiry", EXPIRED, "expired", f"it was good until {expires_at.isoformat()}")
        return out
    out.passed(now, "expiry", f"good until {expires_at.isoformat()}")
    out.state = QUEUED
    return out
