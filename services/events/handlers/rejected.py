"""What was refused at the door: kept for a week, tried again through the same door (E17)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kit import codec
from kit.contracts import ACTIVITY_TOPIC, Envelope
from kit.contracts.events import ItemsRejected, KeptRejection
from kit.database import Tx
from kit.days import local_day
from kit.errors import Conflict, Unprocessable
from kit.log import Record, Stored
from kit.metrics import EVENTS_INGESTED, EVENTS_REJECTED
from kit.service import ServiceRuntime
from services.events import redaction, wire
from services.events.domain import Wrong
from services.events.handlers import connections, receiving, refusing
from services.events.handlers.door import one_at_door
from services.events.handlers.reading import pieces_of
from services.events.handlers.refusing import Refusal, Whose
from services.events.receivers.form import Delivery, Malformed
from services.events.store import rejected as store
from services.events.wire import Accepted, Arrival

KEPT = timedelta(days=7)


async def keep_rejected(tx: Tx, batch: list[Envelope[ItemsRejected]]) -> None:
    """As many of a community's a day as the setting says, whichever process told of them; the rest is counted."""
    room: dict[tuple[UUID, date], int] = {}
    rejected, kept = Counter[tuple[UUID, date, str]](), Counter[tuple[UUID, date, str]]()
    rows = []
    for e in batch:
        day = local_day(e.time, "UTC", 0)
        place = e.event.community_id, day
        if place not in room:
            there = await store.kept_on(tx, community_id=place[0], day=day)
            room[place] = e.event.most - there
        for item in e.event.items:
            rejected[*place, item.code] += 1
            if room[place] > 0:
                room[place] -= 1
                kept[*place, item.code] += 1
                rows.append(_row(e, item))
        for besides in e.event.beyond:
            rejected[*place, besides.code] += besides.count
    await store.add(tx, rows=rows)
    await store.count(
        tx,
        rows=[
            {"community_id": c, "day": day, "code": code, "rejected": many, "kept": kept[c, day, code]}
            for (c, day, code), many in rejected.items()
        ],
    )


def _row(e: Envelope[ItemsRejected], item: KeptRejection) -> dict[str, Any]:
    return {
        "id": item.rejection_id,
        "community_id": e.event.community_id,
        "connection_id": e.event.connection_id,
        "import_name": e.event.import_name,
        "form": item.form,
        "code": item.code,
        "pointer": item.pointer,
        "message": item.message,
        "source_id": item.id,
        "size": item.size,
        "digest": item.digest,
        "marked": item.marked,
        "kept": item.kept,
        "state": store.REJECTED,
        "attempts": 0,
        "event_ids": [],
        "changed_by": None,
        "at": e.time,
        "changed_at": e.time,
    }


@dataclass(slots=True)
class Attempt:
    """One more time through the door: what it takes (`records`), what a delivery brought besides that is unfit
    (`unfit`), or why it is refused again."""

    row: Any
    records: list[Record] = field(default_factory=list)
    unfit: list[Refusal] = field(default_factory=list)
    wrong: Wrong | None = None

    def changes(self, at: datetime, by: str) -> dict[str, Any]:
        """What becomes of the row."""
        same = {"attempts": self.row.attempts + 1, "changed_by": by, "changed_at": at}
        if self.wrong is not None:
            said = {name: getattr(self.wrong, name) for name in ("code", "pointer", "message")}
            return {**same, **said}
        return {**same, "state": store.RETRIED, "event_ids": [str(_event_id(record)) for record in self.records]}


def _event_id(record: Record) -> UUID:
    envelope = codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, record.key, record.value))
    assert envelope is not None
    return envelope.id


async def attempt(one: ServiceRuntime, row: Any, mended: Mapping[str, Any] | None, request_id: str) -> Attempt:
    """What comes of trying again, with a mended event in its place when one is given. Nothing is written.

    Conflict when it went through before, Unprocessable when what was kept is not enough to try."""
    if row.state == store.RETRIED:
        raise Conflict("this was tried again and accepted; see event_ids", code="rejected_closed")
    if mended is None and (row.form == redaction.BYTES or row.marked):
        message = "not all of it could be kept (what people write is not): send the mended event along"
        raise Unprocessable(message, code="rejected_incomplete")
    if mended is None and row.form == redaction.PAYLOAD:
        return await _translated(one, row, request_id)
    event = dict(mended if mended is not None else row.kept["event"])
    if event.get("time") is None:
        event["time"] = row.at
    # It was received when it came first; what came from the future has waited for its time.
    received = one.clock() if row.code == "time_in_future" else row.at
    most, pieces = one.settings.max_event_bytes, pieces_of(one, row.community_id)
    arrival = Arrival(row.community_id, received, row.import_name, request_id, most, pieces=pieces)
    item = msgspec.json.encode(event)
    result = await one_at_door(one, arrival, item, wire.check(item, arrival))
    if not isinstance(result, Accepted):
        return Attempt(row, wrong=result.wrong)
    ours = (row.kept or {}).get("ours") if row.form == redaction.EVENT else None
    if ours is None and row.connection_id is not None:
        ours = {"connection": str(row.connection_id)}
    return Attempt(row, [receiving.with_ours(result.record, ours) if ours else result.record])


async def _translated(one: ServiceRuntime, row: Any, request_id: str) -> Attempt:
    """A delivery read by its receiver as it is now. NotFound when its connection is no longer there."""
    known = await connections.known(one, row.connection_id)
    body = msgspec.json.encode(redaction.filled(row.kept["body"]))
    delivery = Delivery(row.kept["headers"], {}, body, row.at)
    try:
        translation = known.receiver.translate(delivery, known.settings)
    except Malformed as error:
        return Attempt(row, wrong=Wrong("payload_malformed", error.pointer, error.message))
    records, unfit = await receiving.records_of(one, known, delivery, translation.seen, request_id)
    return Attempt(row, records, unfit)


async def carry_out(one: ServiceRuntime, attempts: Sequence[Attempt], *, request_id: str, by: str) -> None:
    """Onto the log, then into the rows: killed in between, a row can be retried once more and changes nothing.
    LogUnavailable when nothing could be made durable."""
    records = [record for each in attempts for record in each.records]
    told = [record for each in attempts for record in _told(one, each, request_id)]
    if records or told:
        await one.log.append(ACTIVITY_TOPIC, [*records, *told])
    EVENTS_INGESTED.inc(len(records))
    async with one.db.begin() as tx:
        for each in attempts:
            if each.wrong is not None:
                EVENTS_REJECTED.labels(each.wrong.code).inc()
            values = each.changes(tx.now, by)
            await store.change(tx, community_id=each.row.community_id, rejection_id=each.row.id, values=values)


def _told(one: ServiceRuntime, each: Attempt, request_id: str) -> list[Record]:
    row = each.row
    return refusing.told(one, each.unfit, Whose(row.community_id, one.clock(), request_id, row.connection_id))
