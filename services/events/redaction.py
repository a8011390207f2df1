"""What may be kept of something that was refused: its structure, and what tells things apart, never what somebody
wrote (E9, E17). Pure.

Strings are kept only where a name says that an identifier, a time or a word of a protocol stands there, and only when
they look like one; everything else becomes `(37 characters)`. Not promised: that such a string is not a name its owner
chose. `qq:1` and `alice1` look the same.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.events.proof import POSITION, position_of
from services.events.texts.reading import reduced

MAX_KEPT = 8 * 1024
MAX_DEPTH = 32
MAX_EXPANDED = 8_000
EVENT, PAYLOAD, BYTES = "event", "payload", "bytes"

_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,39}$")
_PRINTABLE = re.compile(r"^[!-~]{1,512}$")
_ID = re.compile(r"^(?=.*[0-9])[A-Za-z0-9_.:/@+=$-]{1,200}$")
_WORD = re.compile(r"^[A-Za-z][A-Za-z0-9]*(?:[._:/+-][A-Za-z0-9]+)*$")
_TIME = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{4,15}(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?$|^[0-9.]{1,20}$")
_MARK = re.compile(r"^\(([0-9]{1,9}) characters\)$")
_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
WORD_MOST = 60

# Names as snake case, or what follows the last `_` of one.
_ID_NAMES = frozenset({
    "id", "ids", "uuid", "guid", "seq", "number", "openid", "unionid", "qq", "actor", "author", "group", "channel",
    "chat", "team", "user", "room", "item", "subject", "reply_to", "mentions", "ref", "question", "invited",
    "invited_by", "bot", "key", "ts", "flag",
})  # fmt: skip
_WORD_NAMES = frozenset({
    "type", "subtype", "t", "event", "action", "kind", "op", "state", "status", "role", "mode", "format", "object",
    "msgtype", "specversion", "datacontenttype", "platform", "scope", "via", "language", "currency", "honor", "schema",
})  # fmt: skip
_TIME_NAMES = frozenset({"time", "timestamp", "ts", "date", "at", "created", "updated", "day"})


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of something refused. `form`: a CloudEvent, a platform's payload, or only size and SHA-256 of bytes
    that cannot be read or are too long. `marked`: how many strings were left out that trying again would need: any of
    an event, of a payload those by which its receiver tells things apart. 0: it can be tried again as it is."""

    form: str
    size: int
    value: dict[str, Any] | None = None
    digest: str | None = None
    marked: int = 0


def of_bytes(body: bytes) -> Kept:
    return Kept(BYTES, len(body), digest=hashlib.sha256(body).hexdigest())


def of_event(raw: bytes, ours: Mapping[str, Any] | None = None) -> Kept:
    """A refused item: attributes as they are where they look like what they should be, data reduced as that of an
    accepted one and then redacted. `ours` is what the door would have said of it besides."""
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return of_bytes(raw)
    if not isinstance(event, dict):
        return of_bytes(raw)
    redactor = _Redactor()
    out: dict[str, Any] = {}
    for name, value in _unpacked(event).items():
        shown = redactor.key(name, out)
        if name == "data" and isinstance(value, dict):
            value = redactor.without_position(reduced(value, None))
        attribute = name in ("id", "source", "subject") and isinstance(value, str) and _PRINTABLE.match(value)
        out[shown] = value if attribute else redactor.value(value, name, 1)
    return _bounded(raw, Kept(EVENT, len(raw), {"event": out, **(ours or {})}, marked=redactor.marked))


def of_payload(body: bytes, headers: Mapping[str, str]) -> Kept:
    """A platform's delivery, with those of its headers that say what it is."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return of_bytes(body)
    redactor = _Redactor()
    kept = {
        "headers": {name: redactor.value(headers[name], "type", 1) for name in TELLING if name in headers},
        "body": redactor.value(value, "", 1),
    }
    return _bounded(body, Kept(PAYLOAD, len(body), kept, marked=redactor.needed))


TELLING = ("x-github-event", "x-github-delivery", "x-discourse-event", "x-discourse-event-type")
"""Headers that receivers translate by. A list, because any other may carry a secret."""


def filled(value: Any) -> Any:
    """A payload as it can be translated again: where a string was left out, as many asterisks stand."""
    if isinstance(value, dict):
        return {name: filled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    mark = _MARK.match(value) if isinstance(value, str) else None
    return "*" * min(int(mark[1]), MAX_EXPANDED) if mark else value


def is_id(text: str) -> bool:
    return _PRINTABLE.match(text) is not None


def _bounded(raw: bytes, kept: Kept) -> Kept:
    return kept if len(msgspec.json.encode(kept.value)) <= MAX_KEPT else of_bytes(raw)


def _unpacked(event: dict[str, Any]) -> dict[str, Any]:
    packed = event.get("data_base64")
    if not isinstance(packed, str) or "data" in event:
        return event
    try:
        data = msgspec.json.decode(base64.b64decode(packed, validate=True))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return event
    return {**{name: value for name, value in event.items() if name != "data_base64"}, "data": data}


class _Redactor:
    """Counts what it left out."""

    def __init__(self) -> None:
        self.marked = 0
        self.needed = 0

    def without_position(self, data: dict[str, Any]) -> dict[str, Any]:
        """Where somebody was is no structure either."""
        if position_of(data.get(POSITION)) is None:
            return data
        self.marked += 1
        return {name: value for name, value in data.items() if name != POSITION}

    def value(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, str):
            structural, fits = _is_structural(name, value)
            self.needed += structural and not fits
            return value if fits else self._mark(value)
        if not isinstance(value, dict | list):
            return value
        if depth >= MAX_DEPTH:
            self.marked, self.needed = self.marked + 1, self.needed + 1
            return None
        if isinstance(value, list):
            return [self.value(inner, name, depth + 1) for inner in value]
        out: dict[str, Any] = {}
        for key, inner in value.items():
            shown = self.key(key, out)
            out[shown] = self.value(inner, key, depth + 1)
        return out

    def key(self, name: str, there: Mapping[str, Any]) -> str:
        if _KEY.match(name):
            return name
        mark = self._mark(name)
        return mark if mark not in there else f"{mark} {len(there)}"

    def _mark(self, text: str) -> str:
        self.marked += 1
        return f"({len(text)} characters)"


def _is_structural(name: str, value: str) -> tuple[bool, bool]:
    """Whether an identifier, a word or a time belongs under this name, and whether the value is one."""
    snake = _SNAKE.sub("_", name).lower()
    names = {snake, snake.rpartition("_")[2]}
    structural, fits = False, not value
    if names & _TIME_NAMES:
        structural, fits = True, fits or _TIME.match(value) is not None
    if names & _ID_NAMES:
        structural, fits = True, fits or _ID.match(value) is not None
    if names & _WORD_NAMES:
        word = len(value) <= WORD_MOST and (value == "1.0" or _WORD.match(value) is not None)
        structural, fits = True, fits or word
    return structural, fits
