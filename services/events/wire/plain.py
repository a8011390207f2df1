"""The items of a request, most of them in a few steps.

What an ordinary item must be is one type, so that the decoder checks it in C; names that stood in accepted items
before are not looked at again. Whatever does not fit is checked by `checking.check`, which says what is wrong with it
or accepts it after all: this module refuses nothing and never accepts what that one would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kit.log import Record
from services.events import domain
from services.events.domain import Wrong
from services.events.floods import NOBODY
from services.events.texts.reading import PROVED, SIMILARITY, TEXT
from services.events.wire.checking import (
    THROTTLED,
    Accepted,
    Arrival,
    Names,
    check,
    could_be_named_otherwise,
    named_twice,
    names_of,
    rewritten,
)

Raw = msgspec.Raw | bytes
_Scalar = str | int | float | bool | None


class _Plain(msgspec.Struct, gc=False):
    """An item of the usual form; data is flat, so that how deep it is nested need not be asked."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=domain.MAX_ID)]
    source: str
    type: str
    time: Annotated[datetime, Meta(tz=True)]
    data: dict[str, _Scalar | list[_Scalar]]
    subject: Annotated[str, Meta(min_length=1, max_length=domain.MAX_SUBJECT)] | UnsetType = UNSET
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
    # Nothing decodes into UnsetType: an item with one of these is not plain.
    data_base64: UnsetType = UNSET
    receivedtime: UnsetType = UNSET
    effectivetime: UnsetType = UNSET
    communityid: UnsetType = UNSET
    connection: UnsetType = UNSET
    platformseq: UnsetType = UNSET
    importname: UnsetType = UNSET
    replayid: UnsetType = UNSET
    requestid: UnsetType = UNSET
    sealedtext: UnsetType = UNSET
    late: UnsetType = UNSET
    clamped: UnsetType = UNSET
    stale: UnsetType = UNSET
    throttled: UnsetType = UNSET


_plain = msgspec.json.Decoder(_Plain).decode
_all_plain = msgspec.json.Decoder(list[_Plain]).decode
_actor_of = itemgetter("actor")
_record = Record._make


@dataclass(slots=True)
class Checked:
    """Items in input order: the id of each, the records of those accepted, what is wrong with the others, and what
    the senders of accepted ones should know."""

    ids: list[str | None] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    wrong: dict[int, Wrong] = field(default_factory=dict)
    warnings: dict[int, Wrong] = field(default_factory=dict)


def check_all(items: Sequence[Raw], body: bytes, arrival: Arrival) -> Checked:
    """Every item of the body checked, in input order."""
    names = names_of(arrival.community_id)
    doubtful = b"\\" in body and (b"\\u0000" in body or could_be_named_otherwise(body))
    if not doubtful and len(items) > 1 and body[:1] == b"[":
        found = _at_once(items, body, arrival, names)
        if found is not None:
            return found
    out = Checked()
    for raw in items:
        accepted = None if doubtful else _plainly(raw, arrival, names)
        if accepted is None:
            _one(raw, arrival, out)
        else:
            out.ids.append(accepted.id)
            out.records.append(accepted.record)
    return out


def _at_once(items: Sequence[Raw], body: bytes, arrival: Arrival, names: Names) -> Checked | None:
    """All items of an array when every one of them is plain and known; a step over all of them costs a fraction of
    the same step in a loop."""
    try:
        plain = _all_plain(body)
        datas = [item.data for item in plain]
        keys = list(map(names.keys.get, map(_actor_of, datas)))
        times = [item.time for item in plain]
        if (
            None in keys
            or not names.sources.issuperset([item.source for item in plain])
            or not names.types.issuperset([item.type for item in plain])
            or not names.groups.issuperset([data["group"] for data in datas if "group" in data])
            or not names.authors.issuperset([data["author"] for data in datas if "author" in data])
            or not arrival.plain_from <= min(times) <= max(times) <= arrival.received_at
            or max(map(len, items)) > arrival.max_event
            # A name that stands twice means its last value. Each has `data` at least once, so that the sum tells.
            or body.count(b'"data"') != len(items)
        ):
            return None
    except _DOUBTS:
        return None
    over = arrival.floods.over(keys, times, arrival.received_at) if arrival.floods is not None else NOBODY  # type: ignore[arg-type]  # None was ruled out above
    tail = arrival.tail + b"}"
    said = [TEXT in data or SIMILARITY in data or PROVED in data for data in datas]
    if True in said:
        pieces = arrival.pieces
        texts = [rewritten(raw, pieces) if one else bytes(raw) for raw, one in zip(items, said, strict=True)]
        values = [text[:-1] + tail for text in texts]
    else:
        values = [bytes(raw)[:-1] + tail for raw in items]
    for index in over:
        values[index] = values[index][:-1] + THROTTLED + b"}"
    return Checked([item.id for item in plain], list(map(_record, zip(keys, values, strict=True))))


_DOUBTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError)
"""Not of the usual form, nobody did it (KeyError), or a name is a list (TypeError)."""


def _plainly(raw: Raw, arrival: Arrival, names: Names) -> Accepted | None:
    """One item when it is plain and known."""
    try:
        item = _plain(raw)
        data = item.data
        key = names.keys.get(data["actor"])  # type: ignore[arg-type]  # what is no string is not among the keys
        text = bytes(raw)
        if (
            key is None
            or item.source not in names.sources
            or item.type not in names.types
            or ("group" in data and data["group"] not in names.groups)
            or ("author" in data and data["author"] not in names.authors)
            or not arrival.plain_from <= item.time <= arrival.received_at
            or len(raw) > arrival.max_event
            or named_twice(text)
        ):
            return None
    except _DOUBTS:
        return None
    if TEXT in data or SIMILARITY in data or PROVED in data:
        text = rewritten(raw, arrival.pieces)
    tail = arrival.tail
    if arrival.floods is not None and arrival.floods.one(key, item.time, arrival.received_at):
        tail += THROTTLED
    return Accepted(item.id, Record(key, text[:-1] + tail + b"}"))


def _one(raw: Raw, arrival: Arrival, out: Checked) -> None:
    result = check(raw, arrival)
    if isinstance(result, Accepted):
        out.records.append(result.record)
    else:
        out.wrong[len(out.ids)] = result.wrong
    out.ids.append(result.id)
