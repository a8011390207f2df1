"""What a community asks of the door besides what everybody gets: texts kept, data checked against schemas, code words
and positions looked for in check-ins.

Looked up at most every two seconds, and the door waits for no database: one that does not answer within half a second
is not asked again for two, and what was known stays good for 15 minutes. Of a community of which nothing is known,
items are taken unchecked; where their data does not fit, storing notes it as ever.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from kit.database import DatabaseUnavailable, Tx
from kit.json_schemas import compiled, first_fault
from kit.log import Record
from kit.metrics import DOOR_UNSURE, EVENTS_WARNED
from kit.service import ServiceRuntime
from services.events.canonical import CANONICAL
from services.events.domain import Wrong
from services.events.handlers.proof import Asking, asking, with_proof
from services.events.handlers.texts import with_texts
from services.events.handlers.types import MODES
from services.events.store import keeping, registry
from services.events.store import proof as proof_store
from services.events.wire import Accepted, Arrival, Checked, Rejected

FRESH = timedelta(seconds=2)
STALE = timedelta(minutes=15)
LOOKUP_SECONDS = 0.5
MOST = 10_000
OBSERVE, _, ENFORCE = MODES


@dataclass(frozen=True, slots=True)
class Wanted:
    """`checks`: type → whether what does not fit is refused, and the validator; only of types that are not merely
    observed. `proof`: what check-in series look for."""

    keep_text: bool = False
    proof: Asking = field(default_factory=dict)
    checks: Mapping[str, tuple[bool, Any]] = field(default_factory=dict)


NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class _Looked:
    """`at`: when somebody tried last; `known`: when somebody succeeded."""

    at: datetime
    known: datetime | None
    wanted: Wanted


async def at_door(
    one: ServiceRuntime, arrival: Arrival, items: Sequence[msgspec.Raw | bytes], checked: Checked
) -> Checked:
    """The items of a request as their community wants them."""
    wanted = await _wanted_by(one, arrival.community_id)
    if wanted.checks:
        checked = _judged(checked, wanted.checks)
    if not (wanted.keep_text or wanted.proof) or not checked.records:
        return checked
    taken = [item for index, item in enumerate(items) if index not in checked.wrong]
    if wanted.proof:
        checked.records = with_proof(arrival, taken, checked.records, wanted.proof, one.settings.secret_key)
    if wanted.keep_text:
        checked.records = await with_texts(one, arrival, taken, checked.records)
    return checked


async def one_at_door(
    one: ServiceRuntime, arrival: Arrival, item: bytes, result: Accepted | Rejected
) -> Accepted | Rejected:
    """The same for an item that came alone."""
    if isinstance(result, Rejected):
        return result
    checked = await at_door(one, arrival, [item], Checked([result.id], [result.record]))
    return Rejected(result.id, checked.wrong[0]) if checked.wrong else Accepted(result.id, checked.records[0])


async def _wanted_by(one: ServiceRuntime, community_id: UUID) -> Wanted:
    cache: dict[UUID, _Looked] = one.memory.setdefault("wanted", {})
    now = one.clock()
    kept = cache.get(community_id)
    if kept is not None and now - kept.at < FRESH:
        return _certain(kept)
    try:
        async with asyncio.timeout(LOOKUP_SECONDS), one.db.read() as tx:
            looked = _Looked(now, now, await _look_up(tx, community_id))
    except (DatabaseUnavailable, TimeoutError):
        good = kept is not None and kept.known is not None and now - kept.known < STALE
        looked = _Looked(now, kept.known, kept.wanted) if kept is not None and good else _Looked(now, None, NOTHING)
    if len(cache) >= MOST:
        cache.clear()
    cache[community_id] = looked
    return _certain(looked)


def _certain(looked: _Looked) -> Wanted:
    if looked.known is None:
        DOOR_UNSURE.inc()
    return looked.wanted


async def _look_up(tx: Tx, community_id: UUID) -> Wanted:
    wishes = (await keeping.wishes(tx, community_ids=[community_id])).get(community_id)
    modes = await keeping.modes(tx, community_id=community_id)
    strict = {name: mode == ENFORCE for name, mode in modes.items() if mode != OBSERVE}
    own = await registry.newest_schemas(tx, types=[(community_id, name) for name in sorted(strict)])
    checks = {}
    for name, refused in strict.items():
        schema = CANONICAL.get(name) or own.get((community_id, name))
        if schema is not None:
            checks[name] = refused, _compiled(msgspec.json.encode(schema))
    proof = asking(await proof_store.asked(tx, community_id=community_id))
    keep_text = wishes is not None and wishes.keep_text_days > 0
    return Wanted(keep_text, proof, checks) if keep_text or proof or checks else NOTHING


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Any:
    return compiled(msgspec.json.decode(schema))


class _Typed(msgspec.Struct):
    type: str
    data: msgspec.Raw


_typed = msgspec.json.Decoder(_Typed).decode
_data = msgspec.json.Decoder(dict[str, Any]).decode


def _judged(checked: Checked, checks: Mapping[str, tuple[bool, Any]]) -> Checked:
    """Accepted items that do not fit: refused, or accepted with a warning, as the mode of their type says."""
    records: list[Record] = []
    left = iter(checked.records)
    for index in range(len(checked.ids)):
        if index in checked.wrong:
            continue
        record = next(left)
        refused, wrong = _fault(record, checks)
        if wrong is not None and refused:
            checked.wrong[index] = wrong
            continue
        if wrong is not None:
            checked.warnings[index] = wrong
            EVENTS_WARNED.inc()
        records.append(record)
    checked.records = records
    return checked


def _fault(record: Record, checks: Mapping[str, tuple[bool, Any]]) -> tuple[bool, Wrong | None]:
    assert record.value is not None
    event = _typed(record.value)
    refused, validator = checks.get(event.type, (False, None))
    fault = first_fault(validator, _data(event.data)) if validator is not None else None
    return refused, Wrong("schema_violation", f"/data{fault[0]}", fault[1]) if fault is not None else None
