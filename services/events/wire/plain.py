"""The items of a request, most of them in a few steps.

What an ordinary item must be is one type, so that the decoder checks it in C; names that stood in accepted items
before are not looked at again. Whatever does not fit is checked by `checking.check`, which says what is wrong with it
or accepts it after all: this module refuses nothing and never accepts what that one would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kit.log import Record
from services.events import domain
from services.events.domain import Wrong
from services.events.wire.checking import (
    Accepted,
    Arrival,
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
    late: UnsetType = UNSET
    clamped: UnsetType = UNSET
    stale: UnsetType = UNSET


_plain = msgspec.json.Decoder(_Plain).decode


@dataclass(slots=True)
class Checked:
    """Items in input order: the id of each, the records of those accepted, and what is wrong with the others."""

    ids: list[str | None] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    wrong: dict[int, Wrong] = field(default_factory=dict)


def check_all(items: Sequence[Raw], body: bytes, arrival: Arrival) -> Checked:
    """Every item of the body checked, in input order."""
    out = Checked()
    plain = _decoded(items, body)
    names, most, tail = names_of(arrival.community_id), arrival.max_event, arrival.tail + b"}"
    keys, sources, types, authors, groups = names.keys, names.sources, names.types, names.authors, names.groups
    since, until = arrival.plain_from, arrival.received_at
    take, note = out.records.append, out.ids.append
    for raw, item in zip(items, plain, strict=True):
        if item is not None:
            data = item.data
            try:
                key = keys.get(data["actor"])  # type: ignore[arg-type]  # what is no string is not among the keys
                if (
                    key is not None
                    and item.source in sources
                    and item.type in types
                    and since <= item.time <= until
                    and ("group" not in data or data["group"] in groups)
                    and ("author" not in data or data["author"] in authors)
                    and len(raw) <= most
                ):
                    text = rewritten(raw) if "text" in data else bytes(raw)
                    note(item.id)
                    take(Record(key, text[:-1] + tail))
                    continue
            except (KeyError, TypeError):
                # Nobody did it, or a name is a list.
                pass
        _one(raw, arrival, out)
    return out


def _decoded(items: Sequence[Raw], body: bytes) -> list[_Plain | None]:
    """The items of the usual form; None for the others."""
    if b"\\" in body and (b"\\u0000" in body or could_be_named_otherwise(body)):
        return [None] * len(items)
    out = [_plain_or_none(raw) for raw in items]
    # A name that stands twice means its last value. Each plain item has `data` at least once, so that the sum tells.
    if None in out or body.count(b'"data"') != len(items):
        return [
            None if item is not None and named_twice(bytes(raw)) else item for raw, item in zip(items, out, strict=True)
        ]
    return out


def _plain_or_none(raw: Raw) -> _Plain | None:
    try:
        return _plain(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _one(raw: Raw, arrival: Arrival, out: Checked) -> None:
    result = check(raw, arrival)
    if isinstance(result, Accepted):
        out.records.append(result.record)
    else:
        out.wrong[len(out.ids)] = result.wrong
    out.ids.append(result.id)
