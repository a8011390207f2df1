"""What is known here of how a connection is, without asking its platform. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.events.receivers.asking import ERROR, OK, WARNING, Finding


@dataclass(frozen=True, slots=True)
class Known:
    """`today` are this day's deliveries (UTC) by what came of them, `reasons` why the last of a kind went wrong, where
    that is known. `ending` is when the secrets before the present ones end; `readable`: they can be opened."""

    active: bool
    seen_at: datetime | None
    down: bool
    today: Mapping[str, int]
    reasons: Mapping[str, str]
    ending: datetime | None
    readable: bool = True


# Outcome → code, what happened, what to do.
_TROUBLES = {
    "refused": (
        "deliveries_refused",
        "deliveries were refused today: they are not signed with this connection's secret",
        "Give the platform this connection's secret; who has it no more replaces it (rotate).",
    ),
    "malformed": (
        "deliveries_malformed",
        "deliveries could not be read today",
        "Is the address that of another platform's connection? GET /v1/events/rejected shows what was kept of them.",
    ),
    "unfit": (
        "activities_refused",
        "activities in today's deliveries were not taken",
        "GET /v1/events/rejected shows them, and tries them again.",
    ),
}


def findings(known: Known) -> list[Finding]:
    return [*_state(known), *_troubles(known), *_secrets(known)]


def _state(known: Known) -> list[Finding]:
    if not known.active:
        message = "the connection is switched off: it takes nothing"
        return [Finding(ERROR, "connection_inactive", message, "Switch it on (PATCH active true).")]
    if known.down:
        message = f"three heartbeats were missed: it was heard of last {_when(known.seen_at)}"
        return [Finding(ERROR, "connection_down", message, "Look at the bot: does it run, is it signed in?")]
    if known.seen_at is None:
        message = "nothing has come through this connection yet"
        return [Finding(WARNING, "never_seen", message, "Finish its setup, then write something where the bot is.")]
    return [Finding(OK, "seen", f"heard of last {_when(known.seen_at)}")]


def _troubles(known: Known) -> list[Finding]:
    found = []
    for outcome, (code, what, advice) in _TROUBLES.items():
        many, reason = known.today.get(outcome, 0), known.reasons.get(outcome)
        if many:
            last = f"; the last: {reason}" if reason else ""
            found.append(Finding(WARNING, code, f"{many} {what}{last}", advice))
    return found


def _secrets(known: Known) -> list[Finding]:
    if not known.readable:
        message = "the connection's secrets lie sealed under another GUILDHALL_SECRET_KEY: nothing is taken"
        return [Finding(ERROR, "secrets_unreadable", message, "Bring that key back, or make the connection anew.")]
    if known.ending is None:
        return []
    message = f"the secrets before the present ones end {_when(known.ending)}; what is signed with them is refused then"
    return [Finding(WARNING, "secrets_ending", message, "See that the platform has the present ones.")]


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "at no time"
