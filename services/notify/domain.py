"""Rules of messages: states and their legal moves, the order of resolution, chains of languages. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

HELD, QUEUED, SENDING, SENT, DELIVERED = "held", "queued", "sending", "sent", "delivered"
UNDELIVERED, BOUNCED, NOT_SENT, UNKNOWN = "undelivered", "bounced", "not_sent", "unknown"
EXPIRED, CANCELLED = "expired", "cancelled"

# From each state, where a message may go (N3); never backwards. `unknown` is an ambiguous failure that a later
# receipt may still resolve; whatever has no entry is final.
LEGAL: Mapping[str, tuple[str, ...]] = {
    HELD: (QUEUED, SENDING, SENT, DELIVERED, NOT_SENT, EXPIRED, CANCELLED),
    QUEUED: (SENDING, SENT, DELIVERED, NOT_SENT, EXPIRED, CANCELLED),
    SENDING: (SENT, DELIVERED, UNDELIVERED, BOUNCED, NOT_SENT, UNKNOWN, EXPIRED),
    SENT: (DELIVERED, UNDELIVERED, BOUNCED),
    UNKNOWN: (SENT, DELIVERED, UNDELIVERED, BOUNCED, NOT_SENT, EXPIRED),
}
STATES = (HELD, QUEUED, SENDING, SENT, DELIVERED, UNDELIVERED, BOUNCED, NOT_SENT, UNKNOWN, EXPIRED, CANCELLED)

# What a reader does implies what came before it: who acknowledges has read, who reads has seen.
ENGAGEMENT: Mapping[str, tuple[str, ...]] = {
    "seen": ("seen",),
    "read": ("seen", "read"),
    "clicked": ("seen", "read", "clicked"),
    "acked": ("seen", "read", "acked"),
}

GONE = frozenset({"left", "removed", "banned", "erased", "rejected"})
"""Who is in one of these states is no member any more and hears nothing."""


def may_move(before: str, after: str) -> bool:
    return after in LEGAL.get(before, ())


@dataclass(frozen=True, slots=True)
class Wish:
    """A message somebody asks for. `dedupe` makes it once per community, whoever asks again."""

    community_id: UUID
    member_id: UUID
    template: str
    variables: Mapping[str, Any]
    actor: str
    cause_id: UUID | None = None
    dedupe: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the resolution: what was asked, what came of it, and why."""

    at: datetime
    step: str
    verdict: str
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(), "step": self.step, "verdict": self.verdict, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is known of the member. `state` is None for somebody seen for the first time a moment ago."""

    state: str | None
    kind: str


@dataclass(slots=True)
class Resolution:
    """The steps so far and the state they lead to; `reason` names the step that stopped the message."""

    steps: list[Step] = field(default_factory=list)
    state: str = QUEUED
    reason: str | None = None

    def passed(self, at: datetime, step: str, detail: str = "") -> None:
        self.steps.append(Step(at, step, "passed", detail))

    def ended(self, at: datetime, step: str, state: str, reason: str, detail: str = "") -> None:
        self.steps.append(Step(at, step, state, detail))
        self.state, self.reason = state, reason


def resolve(
    recipient: Recipient, *, now: datetime, not_before: datetime | None, expires_at: datetime | None
) -> Resolution:
    """Whether a message to the in-app inbox goes now, later or not at all. Asked again when a held one is due."""
    out = Resolution()
    if recipient.kind == "bot":
        out.ended(now, "member", NOT_SENT, "recipient_is_bot", "bots read no inbox")
        return out
    if recipient.state in GONE:
        out.ended(now, "member", NOT_SENT, "not_a_member", f"the member is {recipient.state}")
        return out
    out.passed(now, "member", recipient.state or "seen for the first time")
    if expires_at is not None and now >= expires_at:
        out.ended(now, "expiry", EXPIRED, "expired", f"it was good until {expires_at.isoformat()}")
        return out
    if expires_at is not None:
        out.passed(now, "expiry", f"good until {expires_at.isoformat()}")
    if not_before is not None and now < not_before:
        out.ended(now, "schedule", HELD, "scheduled", f"due at {not_before.isoformat()}")
        return out
    out.ended(now, "send", DELIVERED, "", "in the inbox")
    out.reason = None
    return out


def locale_chain(wanted: str, available: Iterable[str]) -> list[str]:
    """The languages to try, best first: the asked one, its shorter forms, a sister of it, English, then any.

    `zh-Hant-TW` tries itself, zh-Hant, zh, then another zh-…, then en.
    """
    have = sorted(available)
    parts = wanted.replace("_", "-").split("-")
    chain = ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]
    by_lower = {name.lower(): name for name in have}
    ordered = [by_lower[name.lower()] for name in chain if name.lower() in by_lower]
    ordered += [name for name in have if name.lower().split("-")[0] == parts[0].lower()]
    ordered += [by_lower["en"]] if "en" in by_lower else []
    return list(dict.fromkeys([*ordered, *have]))


MAX_JSON_DEPTH = 20
_MAX_WHOLE = 2**63


def unstorable(value: Any) -> str | None:
    """Why a JSON value cannot be kept by every database and read back the same; None when it can.

    PostgreSQL takes no NUL, UTF-8 no halves of characters, and not every reader numbers beyond 64 bits.
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_JSON_DEPTH:
            return f"more than {MAX_JSON_DEPTH} levels inside each other"
        if isinstance(item, dict):
            waiting += [(inner, depth + 1) for pair in item.items() for inner in pair]
        elif isinstance(item, list | tuple):
            waiting += [(inner, depth + 1) for inner in item]
        elif isinstance(item, str):
            if "\0" in item or any("\ud800" <= c <= "\udfff" for c in item):
                return "a text with NUL or half a character in it"
        elif isinstance(item, float):
            if not math.isfinite(item):
                return "a number that is none"
        elif isinstance(item, int) and not -_MAX_WHOLE <= item < _MAX_WHOLE:
            return "a whole number of more than 64 bits"
    return None
