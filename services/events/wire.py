"""From a request body to log records: the hot path of ingestion.

A body is cut into items (`msgspec.Raw`), each item is decoded once to check it whole, so that nothing is acknowledged
that the consumer could not read, and goes to the log as the client wrote it with our attributes spliced in before the
last brace. Only an item that carries `text`, or came in binary mode, is encoded again.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec

from kit.contracts import identity_member_id
from kit.errors import BadRequest, UnsupportedMediaType
from kit.log import Record
from kit.refusals import refusal
from services.events import domain
from services.events.domain import Times, Wrong

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
JSON = "application/json"

MAX_DEPTH = 32

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
    late: msgspec.Raw = _ABSENT
    clamped: msgspec.Raw = _ABSENT
    stale: msgspec.Raw = _ABSENT


class _Id(msgspec.Struct):
    id: str = ""


# All of them in one step: asked for one by one they were a tenth of what an event costs.
_reserved_of = attrgetter(*domain.RESERVED)
_NONE_GIVEN = (_ABSENT,) * len(domain.RESERVED)

_PEOPLE = (("actor", "/data/actor"), ("author", "/data/author"), ("group", "/data/group"))

_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
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
    before_effective: bytes = field(init=False)
    """The attributes that every record of the request gets, as they are spliced in; `effectivetime` is between."""
    after_effective: bytes = field(init=False)

    def __post_init__(self) -> None:
        before = b',"communityid":"%s","receivedtime":%s' % (str(self.community_id).encode(), _stamp(self.received_at))
        after = b',"requestid":' + _encode(self.request_id)
        if self.import_name is not None:
            after += b',"importname":"%s"' % self.import_name.encode()
        object.__setattr__(self, "before_effective", before)
        object.__setattr__(self, "after_effective", after)


class Accepted(NamedTuple):
    id: str
    record: Record


class Rejected(NamedTuple):
    id: str | None
    wrong: Wrong


def split(media_type: str, body: bytes) -> list[msgspec.Raw | bytes]:
    """The items of a body in structured, batched or line form. BadRequest for what is not JSON."""
    if media_type == BATCHED:
        try:
            return list(_items(body))
        except msgspec.ValidationError as error:
            raise BadRequest(
                f"a batch is a JSON array of events; one event goes as {STRUCTURED}", code="batch_expected"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unparsable(error) from error
    if media_type == LINES:
        return [line for line in body.splitlines() if line.strip()]
    return [body]


def unparsable(error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return BadRequest(f"nested deeper than {MAX_DEPTH} levels; send flatter data", code="too_deep")
    return BadRequest(f"the body is not JSON: {_fault(error)}", code="json_invalid")


def _fault(error: Exception) -> str:
    """What is wrong with bytes that are no JSON: a position at most, never content."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early, or an escape does" if text == "Input data was truncated" else text


def media_type_of(content_type: str) -> str:
    """The mode of a request by its Content-Type; binary mode is the media type of its data (JSON)."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents-batch"):
        kind, wanted = kind.removeprefix("application/cloudevents-batch"), BATCHED
    elif kind.startswith("application/cloudevents"):
        kind, wanted = kind.removeprefix("application/cloudevents"), STRUCTURED
    elif kind in (LINES, "application/ndjson", "application/jsonl"):
        return LINES
    elif kind == JSON or kind.endswith("+json"):
        return JSON
    else:
        kind, wanted = "?", ""
    if kind != "+json" or not wanted:
        raise UnsupportedMediaType(
            f"send {STRUCTURED}, {BATCHED}, {LINES}, or {JSON} with ce- headers",
            code="media_type_unsupported",
            headers={"Accept": f"{STRUCTURED}, {BATCHED}, {LINES}, {JSON}"},
        )
    return wanted


def binary_item(headers: Mapping[str, str], body: bytes) -> bytes:
    """A binary-mode request as structured JSON. BadRequest for headers that are no CloudEvent."""
    event: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            event[name.removeprefix("ce-")] = _header_value(name, value)
    if "datacontenttype" in event:
        raise BadRequest(
            "in binary mode Content-Type says what the data is, not ce-datacontenttype", code="binary_invalid"
        )
    if not event:
        raise BadRequest(
            f"this Content-Type means binary mode, with ce- headers; an event in the body goes as {STRUCTURED}",
            code="binary_invalid",
        )
    if body.strip():
        try:
            event["data"] = msgspec.Raw(body)
            _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unparsable(error) from error
    event["datacontenttype"] = JSON
    return _encode(event)


def _header_value(name: str, value: str) -> str:
    """Percent-decoding of the HTTP binding, and the older double-quoted form."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is not percent-encoded UTF-8", code="binary_invalid") from error


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
    return Accepted(item.id, Record(_key(arrival.community_id, item), _value(text, item, times, arrival)))


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
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
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
        return _member_key(community_id, actor)
    return f"{community_id}:{hashlib.sha256(item.id.encode()).hexdigest()[:16]}".encode()


@lru_cache(maxsize=16384)
def _member_key(community_id: UUID, actor: str) -> bytes:
    return f"{community_id}:{identity_member_id(community_id, actor)}".encode()


def _value(raw: bytes, item: _Item, times: Times, arrival: Arrival) -> bytes:
    head = raw.rstrip()
    null_time = item.time is None and b'"time"' in raw
    # A name that stands twice means its last value; the first, unread and unreduced, must not travel along.
    twice = raw.count(b'"data"') > 1
    if item.data is None or "text" in item.data or item.data_base64 is not None or null_time or twice:
        head = _rewritten(raw)
    # The item is a JSON object that decoded, so its last byte is the closing brace.
    parts = [head[:-1]]
    if item.time is None:
        parts.append(b',"time":' + _stamp(times.occurred))
    parts += (arrival.before_effective, b',"effectivetime":', _stamp(times.effective), arrival.after_effective)
    if times.clamped:
        parts.append(b',"clamped":true')
    if times.late:
        parts.append(b',"late":true')
    parts.append(b"}")
    return b"".join(parts)


def _rewritten(raw: bytes) -> bytes:
    """The item with its text reduced, base64 data unpacked, and absent data as an empty object."""
    event: dict[str, Any] = _decode(raw)
    packed = event.pop("data_base64", None)
    if packed is not None:
        event["data"] = _decode(base64.b64decode(packed))
    event["data"] = domain.reduced(event.get("data") or {})
    if event.get("time", "") is None:
        del event["time"]
    return _encode(event)


def _stamp(instant: datetime) -> bytes:
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
        return Wrong("json_invalid", "", f"not JSON: {_fault(error)}")
    code, pointer, sentence = refusal(error)
    if pointer == "/time":
        sentence = "must be an RFC 3339 time with a zone, such as 2026-10-16T19:08:43Z"
    return Wrong(code, pointer, sentence)


def must_parse(body: bytes) -> None:
    """BadRequest unless the body is JSON of any form."""
    try:
        _decode(body)
    except msgspec.ValidationError:
        # JSON, but with something in it that no value here can be: the item's own refusal says it with its place.
        return
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unparsable(error) from error
