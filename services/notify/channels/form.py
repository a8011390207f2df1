"""What a channel that calls the outside is: how its request is built, and what its answer means. Pure; the sender does
the calling, the recording and the waiting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from kit.outside import Answer, Call

S = TypeVar("S", bound=msgspec.Struct)
C = TypeVar("C", bound=msgspec.Struct)


class Unfit(Exception):
    """This channel cannot say it: it is for somebody of another platform, say."""


@dataclass(frozen=True, slots=True)
class Said:
    """A plain text to be said to a group, or (None) to `identity` alone, perhaps in answer to a message. `group`,
    `identity` and `reply_to` are what the connection's receiver calls them."""

    text: str
    group: str | None
    identity: str
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """`reference` is what the provider calls what was said, None where it does not tell."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not said, and may be tried again. `after` seconds from now as the provider wants it, None: as we like.
    `everything`: until then nothing at all is sent through this channel (429). `trouble`: the provider is unwell."""

    reason: str
    after: float | None = None
    everything: bool = False
    trouble: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """Not said, and would not be the next time. `reason` is a short constant, `detail` the provider's words.
    `blocked`: the member does not want to hear from this bot. `trouble` as of Retry."""

    reason: str
    detail: str = ""
    blocked: bool = False
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been said."""

    reason: str
    detail: str = ""


Outcome = Sent | Retry | Failed | Unknown


@dataclass(frozen=True, slots=True)
class Channel(Generic[S, C]):
    """`secrets` and `settings` are what a channel is given; `addresses` are those among them that are called, checked
    when they are set. `call` raises Unfit for what it cannot say. `read` is given whatever was answered, cut in the
    middle or not, and raises nothing."""

    kind: str
    title: str
    secrets: type[S]
    settings: type[C]
    addresses: Callable[[C], tuple[str, ...]]
    call: Callable[[Said, S, C], Call]
    read: Callable[[Answer], Outcome]


def by_status(answer: Answer, detail: str = "") -> Outcome | None:
    """What the status alone says, the same everywhere; None when the body has to be looked at."""
    if answer.status == 429:
        return Retry("too_many_requests", seconds(answer.headers.get("retry-after")), everything=True, trouble=False)
    if answer.status >= 500:
        return Retry("provider_error", seconds(answer.headers.get("retry-after")))
    if answer.status in (408, 425):
        return Retry("provider_busy")
    if answer.status >= 400:
        return Failed("provider_refused", detail or f"status {answer.status}")
    if answer.status >= 300:
        return Failed("redirected", "redirects are not followed")
    return None


def json_of(answer: Answer) -> dict[str, Any]:
    """The body as an object; {} when it is none."""
    try:
        body = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def seconds(value: object) -> float | None:
    """A delay that a provider asked for, at most a day; None for none or for what is no number of seconds."""
    try:
        asked = float(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError):
        return None
    return min(asked, 86400.0) if asked >= 0 else None


def text_of(body: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text, short."""
    return next((value[:200] for name in names if isinstance(value := body.get(name), str) and value), "")


def number_of(identity: str, *platforms: str) -> int:
    """The number in `platform:number`; Unfit when it is another platform's, or no number."""
    platform, _, number = identity.partition(":")
    digits = number.removeprefix("-")
    if platform not in platforms or not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise Unfit(f"{platform} is not a platform of this channel, or has no such number")
    return int(number)
