"""Check-in series as the door knows them, and what it makes of check-ins for them."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kit.contracts import Envelope
from kit.contracts.rewards import CheckinSeriesChanged
from kit.database import Tx
from kit.log import Record
from services.events.proof import Asked, Place, proved, without_secrets
from services.events.store import proof as store
from services.events.wire import Arrival

Asking = Mapping[str, Sequence[Asked]]
"""Type → the series that look for something in it."""


class _Item(msgspec.Struct):
    type: str
    data: dict[str, Any] | None = None
    data_base64: str | None = None


class _Times(msgspec.Struct):
    time: datetime
    effectivetime: datetime | None = None


class _Typed(msgspec.Struct):
    type: str


_item = msgspec.json.Decoder(_Item).decode
_times = msgspec.json.Decoder(_Times).decode
_typed = msgspec.json.Decoder(_Typed).decode


async def keep_series(tx: Tx, batch: list[Envelope[CheckinSeriesChanged]]) -> None:
    """What series ask for that only the door sees."""
    newest: dict[Any, dict[str, Any]] = {}
    for e in batch:
        s = e.event
        row = {
            "community_id": s.community_id,
            "series_id": s.series_id,
            "version": s.version,
            "types": list(s.on),
            "code_word": s.code_word if s.enabled else None,
            "place": msgspec.to_builtins(s.place) if s.enabled else None,
        }
        key = s.community_id, s.series_id
        if key not in newest or newest[key]["version"] < s.version:
            newest[key] = row
    await store.put(tx, rows=list(newest.values()))


def asking(rows: Sequence[Any]) -> dict[str, tuple[Asked, ...]]:
    """Rows of `store.asked` by type."""
    out: dict[str, tuple[Asked, ...]] = {}
    for row in rows:
        place = None if row.place is None else Place(**row.place)
        one = Asked(row.series_id, tuple(row.types), row.code_word, place)
        for name in one.types:
            out[name] = (*out.get(name, ()), one)
    return out


def with_proof(
    arrival: Arrival, items: Sequence[msgspec.Raw | bytes], records: Sequence[Record], by_type: Asking, secret_key: str
) -> list[Record]:
    """The records of these items, with what they show of what series ask for and without what shows it. Of history
    nothing is asked."""
    if arrival.import_name is not None:
        return list(records)
    return [
        _proved(arrival, item, record, asked, secret_key)
        if (asked := by_type.get(_typed(record.value or b"").type))
        else record
        for item, record in zip(items, records, strict=True)
    ]


def _proved(
    arrival: Arrival, item: msgspec.Raw | bytes, record: Record, asked: Sequence[Asked], secret_key: str
) -> Record:
    assert record.value is not None
    came, times = _item(item), _times(record.value)
    data = came.data or (msgspec.json.decode(base64.b64decode(came.data_base64)) if came.data_base64 else {})
    found = proved(data, times.effectivetime or times.time, asked, arrival.community_id, secret_key)
    event = msgspec.json.decode(record.value)
    event["data"] = without_secrets(event.get("data") or {}, found)
    return Record(record.key, msgspec.json.encode(event))
