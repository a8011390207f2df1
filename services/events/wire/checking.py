"""One item checked whole, so that nothing is acknowledged that the consumer could not read, and made a log record.

It goes to the log as the client wrote it with our attributes spliced in before the last brace. Only an item that
carries `text` (or what is ours to say, as `similarity`), or came in binary mode, is encoded again.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from operator import attrgetter
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from kit.contracts import identity_member_id
from kit.log import Record
from kit.refusals import refusal
from services.events import domain
from services.events.domain import Times, Wrong
from services.events.floods import Floods
from services.events.texts.reading import OURS, TEXT, reduced
from services.events.texts.similarity import Pieces
from services.events.wire.modes import JSON, MAX_DEPTH, fault

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


# Not `Raw | None`: that takes null alone, and a null under one of our names would be acknowledged and then unreadable.
_ABSENT = msgspec.Raw()


class _Item(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: Instant | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | None = None
    data_base64: str | None = None
    receivedtime: msgspec.Raw = _ABSENT
    effectivetime: msgspec.Raw = _ABSENT
    communityid: msgspec.Raw = _ABSENT
    connection: msgspec.Raw = _ABSENT
    platformseq: msgspec.Raw = _ABSENT
    importname: msgspec.Raw = _ABSENT
    replayid: msgspec.Raw = _ABSENT
    requestid: msgspec.Raw = _ABSENT
    sealedtext: msgspec.Raw = _ABSENT
    late: msgspec.Raw = _ABSENT
    clamped: msgspec.Raw = _ABSENT
    stale: msgspec.Raw = _ABSENT
    throttled: msgspec.Raw = _ABSENT


class _Id(msgspec.Struct):
    id: str = ""


# All of them in one step: asked for one by one they were a tenth of what an event costs.
_reserved_of = attrgetter(*domain.RESERVED)
_NONE_GIVEN = (_ABSENT,) * len(domain.RESERVED)

_PEOPLE = (("actor", "/data/actor"), ("author", "/data/author"), ("group", "/data/group"))

_item = msgspec.json.Decoder(_Item).decode
_id_only = msgspec.json.Decoder(_Id).decode
_decode = msgspec.json.decode
_encode = msgspec.json.encode

# An escaped backslash before it makes `u0000` plain text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the server knows of a request: whose, when, and whether it is history."""

    community_id: UUID
    received_at: datetime
    import_name: str | None
    request_id: str
    max_event: int
    floods: Floods | None = None
    """Where it is counted who does more than a person does; None for history, and where nobody is to be throttled."""
    pieces: Pieces | None = None
    """What texts are made comparable with; None: they are not."""
    tail: bytes = field(init=False)
    """The attributes that every record of the request gets, as they are spliced in before the closing brace."""
    plain_from: datetime = field(init=False)
    """An item of a time between this and `received_at` counts at its own time, with nothing to say about it."""

    def __post_init__(self) -> None:
        tail = b',"communityid":"%s","receivedtime":%s,"requestid":%s' % (
            str(self.community_id).encode(),
            stamp(self.received_at),
            _encode(self.request_id),
        )
        if self.import_name is not None:
            tail += b',"importname":"%s"' % self.import_name.encode()
        object.__setattr__(self, "tail", tail)
        since = domain.EARLIEST if self.import_name is not None else self.received_at - domain.LATE_AFTER
        object.__setattr__(self, "plain_from", since)


THROTTLED = b',"throttled":true'
"""What a record says besides when its actor did more in that minute than counts (E20)."""


class Accepted(NamedTuple):
    id: str
    record: Record


class Rejected(NamedTuple):
    id: str | None
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Names:
    """What stood in accepted items of one community before and is in order: asked again, it need not be checked again.

    Those of all communities together are bounded by `NAMES_MOST`; then everything is forgotten and learnt anew.
    """

    keys: dict[str, bytes] = field(default_factory=dict)
    """Actor → log key."""
    sources: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def key_of(self, community_id: UUID, actor: str) -> bytes:
        key = self.keys.get(actor)
        if key is None:
            _make_room()
            key = self.keys[actor] = f"{community_id}:{identity_member_id(community_id, actor)}".encode()
        return key


NAMES_MOST = 65_536
_names: dict[UUID, Names] = {}
_noted = count(1)


def _make_room() -> None:
    if next(_noted) % NAMES_MOST == 0:
        _names.clear()


def _add(known: set[str], name: str) -> None:
    if name not in known:
        _make_room()
        known.add(name)


def names_of(community_id: UUID) -> Names:
    names = _names.get(community_id)
    if names is None:
        names = _names[community_id] = Names()
    return names


def check(raw: msgspec.Raw | bytes, arrival: Arrival) -> Accepted | Rejected:
    """One item: the record to append, or why it is refused."""
    if len(raw) > arrival.max_event:
        return Rejected(
            _id_of(raw), Wrong("event_too_large", "", f"over the limit of {arrival.max_event} bytes an event")
        )
    try:
        item = _item(raw)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(_id_of(raw), _as_wrong(error))
    text = bytes(raw)
    unfit = _unfit(text, item)
    if unfit is not None:
        return Rejected(item.id, unfit)
    wrong = domain.wrong_attributes(item.id, item.source, item.type, item.subject, item.specversion) or _wrong_data(
        item
    )
    if wrong is not None:
        return Rejected(item.id, wrong)
    times = domain.times_of(item.time, arrival.received_at, imported=arrival.import_name is not None)
    if isinstance(times, Wrong):
        return Rejected(item.id, times)
    key = _key(arrival.community_id, item)
    record = Record(key, _value(text, item, times, arrival, throttled=_throttled(key, item, times, arrival)))
    _remember(names_of(arrival.community_id), item)
    return Accepted(item.id, record)


def _remember(names: Names, item: _Item) -> None:
    _add(names.sources, item.source)
    _add(names.types, item.type)
    for known, name in ((names.authors, "author"), (names.groups, "group")):
        value = item.data.get(name) if item.data is not None else None
        if value is not None:
            _add(known, value)


def _unfit(raw: bytes, item: _Item) -> Wrong | None:
    """What decodes here but not everywhere later: NUL (PostgreSQL's jsonb refuses it), nesting without end."""
    if b"\\u0000" in raw and _NUL.search(raw):
        return Wrong("nul_character", "", "strings must not contain the character U+0000")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(item.data) > MAX_DEPTH:
        return Wrong("too_deep", "/data", f"nested deeper than {MAX_DEPTH} levels")
    return None


def _depth(value: Any) -> int:
    """How many objects and lists stand inside one another."""
    level, depth = [value], 0
    while level := [x for x in level if isinstance(x, dict | list)]:
        depth += 1
        level = [inner for x in level for inner in (x.values() if isinstance(x, dict) else x)]
    return depth


def _wrong_data(item: _Item) -> Wrong | None:
    given = _reserved_of(item)
    if given != _NONE_GIVEN:
        name = next(n for n, value in zip(domain.RESERVED, given, strict=True) if value != _ABSENT)
        return Wrong("attribute_reserved", f"/{name}", "the server sets this attribute; leave it out")
    if item.datacontenttype is not None and not _is_json(item.datacontenttype):
        return Wrong("data_not_json", "/datacontenttype", "data is JSON here")
    data = item.data
    if data is None:
        return _wrong_base64(item)
    if item.data_base64 is not None:
        return Wrong("data_twice", "/data_base64", "data and data_base64 exclude each other")
    for name, pointer in _PEOPLE:
        value = data.get(name)
        if value is not None:
            wrong = (
                domain.wrong_identity(value, pointer, member=name != "group")
                if isinstance(value, str)
                else Wrong("schema_violation", pointer, "expected a string")
            )
            if wrong is not None:
                return wrong
    return None


def _wrong_base64(item: _Item) -> Wrong | None:
    if item.data_base64 is None:
        return None
    try:
        content = base64.b64decode(item.data_base64, validate=True)
        item.data = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # Also what is no ASCII: that is no error of base64 there, but of the value.
        return Wrong("data_not_json", "/data_base64", "must be base64 of a JSON object")
    return _wrong_data(msgspec.structs.replace(item, data_base64=None))


def _is_json(media_type: str) -> bool:
    if media_type == JSON:
        return True
    kind = media_type.partition(";")[0].strip().lower()
    return kind == JSON or kind.endswith("+json")


def _key(community_id: UUID, item: _Item) -> bytes:
    """`community:member`, so that one person's activities keep their order; without a person, the event's own."""
    actor = item.data.get("actor") if item.data is not None else None
    if actor:
        return names_of(community_id).key_of(community_id, actor)
    return f"{community_id}:{hashlib.sha256(item.id.encode()).hexdigest()[:16]}".encode()


def _throttled(key: bytes, item: _Item, times: Times, arrival: Arrival) -> bool:
    if arrival.floods is None or item.data is None or not item.data.get("actor"):
        return False
    return arrival.floods.one(key, times.occurred, arrival.received_at)


def _value(raw: bytes, item: _Item, times: Times, arrival: Arrival, *, throttled: bool) -> bytes:
    head = raw.rstrip()
    null_time = item.time is None and b'"time"' in raw
    # A name that stands twice means its last value; the first, unread and unreduced, must not travel along.
    twice = named_twice(raw) or could_be_named_otherwise(raw)
    whole = item.data is not None and item.data_base64 is None and OURS.isdisjoint(item.data)
    if not whole or null_time or twice:
        head = rewritten(raw, arrival.pieces)
    # The item is a JSON object that decoded, so its last byte is the closing brace.
    parts = [head[:-1]]
    if item.time is None:
        parts.append(b',"time":' + stamp(times.occurred))
    if times.effective != times.occurred:
        parts.append(b',"effectivetime":' + stamp(times.effective))
    parts.append(arrival.tail)
    if times.clamped:
        parts.append(b',"clamped":true')
    if times.late:
        parts.append(b',"late":true')
    if throttled:
        parts.append(THROTTLED)
    parts.append(b"}")
    return b"".join(parts)


def named_twice(raw: bytes) -> bool:
    """Whether `data` may stand in the item more than once."""
    return raw.count(b'"data"') > 1


def could_be_named_otherwise(raw: bytes) -> bool:
    """Whether a letter of `data` is written as an escape, so that looking for the name would not find it."""
    return b"\\" in raw and (b"\\u006" in raw or b"\\u0074" in raw)


def rewritten(raw: msgspec.Raw | bytes, pieces: Pieces | None) -> bytes:
    """The item with its text reduced, base64 data unpacked, and absent data as an empty object."""
    event: dict[str, Any] = _decode(raw)
    packed = event.pop("data_base64", None)
    if packed is not None:
        event["data"] = _decode(base64.b64decode(packed))
    event["data"] = reduced(event.get("data") or {}, pieces)
    if event.get("time", "") is None:
        del event["time"]
    return _encode(event)


class Said(NamedTuple):
    """What somebody wrote, with what names the event."""

    id: str
    source: str
    actor: str | None
    text: str


def said_in(raw: msgspec.Raw | bytes) -> Said | None:
    """The text of an accepted item; None where there is none."""
    item = _item(raw)
    packed = item.data_base64
    data = item.data if packed is None else _decode(base64.b64decode(packed))
    text = data.get(TEXT) if data is not None else None
    return Said(item.id, item.source, data.get("actor"), text) if data is not None and isinstance(text, str) else None


def stamp(instant: datetime) -> bytes:
    """A JSON string."""
    return _encode(instant.astimezone(UTC))


def _id_of(raw: msgspec.Raw | bytes) -> str | None:
    try:
        return _id_only(raw).id or None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _as_wrong(error: Exception) -> Wrong:
    if isinstance(error, RecursionError):
        return Wrong("too_deep", "", f"nested deeper than {MAX_DEPTH} levels")
    if not isinstance(error, msgspec.ValidationError):
        return Wrong("json_invalid", "", f"not JSON: {fault(error)}")
    code, pointer, sentence = refusal(error)
    if pointer == "/time":
        sentence = "must be an RFC 3339 time with a zone, such as 2026-10-16T19:08:43Z"
    return Wrong(code, pointer, sentence)
