"""What a receiver is: one chat platform's way of telling what happened, turned into activities (E5).

Pure: bytes and the time of their arrival in, values out; no clock, no database, no network. Whatever a platform, or
somebody who knows its secret, may send: `verify` raises `Refused` or `Malformed`, `translate` raises `Malformed`,
nothing raises anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from services.events.receivers.asking import Check

S = TypeVar("S", bound=msgspec.Struct)
C = TypeVar("C", bound=msgspec.Struct)


class Refused(Exception):
    """Not from the platform this connection is for, or not of now. `code` is for programs, the message says what to
    look at; neither contains a secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Malformed(Exception):
    """Not what this platform sends; `pointer` is a JSON pointer to what is wrong, the message never has its text."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.message = message


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request. Header names are in lower case; `at` is when it arrived, by our clock.

    `signed_with` is set by `verify`, where an answer depends on it: which of the secrets the platform used.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    at: datetime
    method: str = "POST"
    signed_with: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that happened, in the terms of our public contract (identities are `platform:external_id`).

    `id` tells it apart for ever: on the whole platform when `shared`, so that two connections that see the same thing
    count once, else within the connection. `text` is what somebody wrote: the door keeps of it what it may (E9).
    `notice`: a platform tells these again after a login; old ones are marked stale (E6).
    `ref` is what later deliveries of this connection call `subject`, where that is another name; `about` is such a
    name (or a subject) of which subject and author are to be looked up. `sequence` is the platform's own numbering,
    (stream, number), kept with the activity as `platformseq`: one without holes, because what is missing in it is told
    as a gap.
    """

    type: str
    id: str
    at: datetime | None = None
    actor: str | None = None
    author: str | None = None
    group: str | None = None
    subject: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    shared: bool = False
    notice: bool = False
    ref: str | None = None
    about: str | None = None
    sequence: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: whether the bot is online, and when the next one is due."""

    online: bool
    interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform wants to hear."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Passed:
    """A number of the platform's numbering that a delivery has, whatever becomes of it: one that is ignored, or that
    another connection told before, is not missing. `own`: it is of something the connection's own account wrote."""

    stream: str
    number: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class Translation:
    """What a delivery says. `ignored` is why nothing is made of it (a short constant: it is counted by it).

    `answer` is for a platform that wants to hear something else of this one than `Receiver.accepted`; it too is given
    when everything is durable.
    """

    seen: tuple[Seen, ...] = ()
    ignored: str = ""
    beat: Beat | None = None
    answer: Answer | None = None
    passed: Passed | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a person does on the platform's side, in order, and something to paste there."""

    steps: tuple[str, ...]
    snippet: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something to be said through a bot: to a group, or (None) to `identity` alone, perhaps in answer to what the
    connection calls `reply_to`."""

    text: str
    group: str | None
    identity: str
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the bot answered to a call; `reference` is what it calls what was said."""

    sent: bool
    reason: str = ""
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """How a bot that stands at our door is told to say something, and what it answers. Pure, as all of a receiver.

    `call` is a frame for its socket, with an echo that comes back with the answer; `answered` is the echo of a frame
    that is one, None for an event; `quick` is an answer to a delivery that makes the bot reply to it.
    """

    call: Callable[[Said, str], str]
    answered: Callable[[bytes], tuple[str, Outcome] | None]
    quick: Callable[[Said], Answer]


@dataclass(frozen=True, slots=True)
class Receiver(Generic[S, C]):
    """A platform. `secrets` and `settings` are what a connection is given; `make_secrets` fills in those of the
    secrets that we choose, `Malformed` names one that only the platform can tell.

    `verify` checks the delivery against each of the secrets (two while one is being replaced), in constant time, and
    gives it back with the body as it was before it was encrypted. `greet` answers a handshake, None for anything else.
    `accepted` is answered when everything is durable; a function where it depends on the delivery. Both are given what
    `verify` gave back and the secret it was signed with, and answer the same to the same.
    `group_numbered`: numbers are those of a group and the same for all connections in it. What the connection's own
    account writes has one too, and is not always told: gaps are believed of a connection that has told of it.
    `speech`: its bots may stand at our door with a socket and be told to say something; None where they cannot.
    `check`: how it is asked whether a connection is set up rightly; None where it cannot be asked.
    """

    platform: str
    title: str
    secrets: type[S]
    settings: type[C]
    make_secrets: Callable[[Mapping[str, str]], S]
    verify: Callable[[Delivery, Sequence[S], C], Delivery]
    translate: Callable[[Delivery, C], Translation]
    setup: Callable[[str, S, C], Setup]
    greet: Callable[[Delivery, S, C], Answer | None] = lambda delivery, secrets, settings: None
    accepted: Answer | Callable[[Delivery, S, C], Answer] = Answer(204)
    speech: Speech | None = None
    check: Check[Any] | None = None
    group_numbered: bool = False


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class OneSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret that both sides know."""

    secret: str
