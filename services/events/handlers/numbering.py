"""Gaps in a platform's own numbering (E14): noted as activities are stored, told when they did not close in a minute.

Which receivers have such a numbering say their `Seen.sequence` and `Translation.passed`; numbers of what is ignored
come from `hearing`, some seconds later and lost with a process that is killed: then a gap may be told that is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kit import outbox
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.events import Activity, GapChanged
from kit.database import Database, Tx
from kit.metrics import GAPS
from services.events.numbers import Range, Stream
from services.events.receivers import receivers
from services.events.store import connections
from services.events.store import numbers as store
from services.events.store.numbers import Key

SEQUENCE = "sequence"
PATIENCE = timedelta(seconds=60)
KEPT = timedelta(days=7)
AT_ONCE = 200
_PLATFORMS = "/platforms/"


@dataclass(frozen=True, slots=True)
class Numbered:
    """Something with a number, and through which connection it came."""

    community_id: UUID
    scope: str
    stream: str
    number: int
    at: datetime
    connection_id: UUID

    @property
    def key(self) -> Key:
        return self.community_id, self.scope, self.stream


def numbered(batch: Sequence[Envelope[Activity]]) -> Iterable[Numbered]:
    """Those that came with a number now: not what a replay sends once more."""
    for e in batch:
        a = e.event
        if a.platform_seq is None or a.connection_id is None or a.replay_id is not None:
            continue
        stream, _, number = a.platform_seq.rpartition(":")
        if number.isdecimal() and 0 < len(stream) <= 300:
            scope = scope_of(a.source.removeprefix(_PLATFORMS), a.connection_id)
            yield Numbered(a.community_id, scope, stream, int(number), a.effective_at, a.connection_id)


def scope_of(platform: str, connection_id: UUID) -> str:
    """Whose numbering it is: the platform's where its groups have one, else the connection's."""
    found = receivers().get(platform)
    return platform if found is not None and found.group_numbered else str(connection_id)


async def note(tx: Tx, found: Iterable[Numbered]) -> None:
    """A fixed number of statements, and two for each gap that some of it fills."""
    by_stream: dict[Key, list[Numbered]] = {}
    for one in found:
        by_stream.setdefault(one.key, []).append(one)
    if not by_stream:
        return
    streams = await _streams(tx, by_stream)
    before = {key: stream.number for key, stream in streams.items()}
    for key, ones in by_stream.items():
        for one in ones:
            streams[key].note(one.number, one.at, one.connection_id)
    moved = {key: stream for key, stream in streams.items() if stream.number != before[key]}
    await store.move(tx, rows=[_row(key, stream.number, stream.at) for key, stream in moved.items()])
    await store.remove_missing(tx, ids=[r.id for s in streams.values() for r in s.gone if r.id is not None])
    fresh = [(key, r) for key, stream in streams.items() for r in stream.missing if r.id is None]
    known = await store.believed(tx, connection_ids=list({r.connection_id for _, r in fresh}))
    rows = [
        _missing(tx, key, r) for key, r in fresh if r.gap_id is not None or _is_believed(known.get(r.connection_id))
    ]
    await store.add_missing(tx, rows=rows)
    await _told_filled(tx, streams)


async def _streams(tx: Tx, by_stream: dict[Key, list[Numbered]]) -> dict[Key, Stream]:
    begun = [_row(key, ones[0].number, ones[0].at) for key, ones in by_stream.items()]
    rows = await store.streams(tx, rows=begun)
    streams = {(row.community_id, row.scope, row.stream): Stream(row.number, row.at) for row in rows}
    for row in await store.missing(tx, keys=list(streams)):
        place = row.first_number, row.last_number, row.since, row.until, row.connection_id, row.id, row.gap_id
        streams[row.community_id, row.scope, row.stream].missing.append(Range(*place))
    return streams


def _row(key: Key, number: int, at: datetime) -> dict[str, Any]:
    return {"community_id": key[0], "scope": key[1], "stream": key[2], "number": number, "at": at}


def _missing(tx: Tx, key: Key, r: Range) -> dict[str, Any]:
    return {
        "id": uuid7(tx.now),
        "community_id": key[0],
        "scope": key[1],
        "stream": key[2],
        "connection_id": r.connection_id,
        "first_number": r.first,
        "last_number": r.last,
        "since": r.since,
        "until": r.until,
        "found_at": tx.now,
        "gap_id": r.gap_id,
    }


def _is_believed(known: tuple[str, bool] | None) -> bool:
    if known is None or known[0] not in receivers():
        return False
    platform, tells_own = known
    return tells_own or not receivers()[platform].group_numbered


async def _told_filled(tx: Tx, streams: dict[Key, Stream]) -> None:
    """Gaps of which something came: how much is missing yet; announced when nothing is."""
    touched = {r.gap_id for stream in streams.values() for r in stream.gone if r.gap_id is not None}
    left: dict[UUID, int] = {}
    for stream in streams.values():
        for r in stream.missing:
            if r.gap_id is not None:
                left[r.gap_id] = left.get(r.gap_id, 0) + r.count
    for gap in await store.gaps(tx, gap_ids=list(touched)):
        await store.set_missing(tx, gap_id=gap.id, count=left.get(gap.id, 0))
        if gap.id not in left:
            outbox.add(tx, _changed(gap, 0))


def _changed(gap: Any, missing: int) -> GapChanged:
    same = {name: getattr(gap, name) for name in ("community_id", "connection_id", "kind", "since", "until", "stream")}
    return GapChanged(gap_id=gap.id, first=gap.first_number, last=gap.last_number, missing=missing, **same)


async def tell(db: Database, now: datetime) -> int:
    """Gaps that have been open for a minute, whichever replica looks first; how many were told."""
    async with db.read() as tx:
        rows = await store.untold(tx, before=now - PATIENCE, limit=AT_ONCE)
        known = await store.believed(tx, connection_ids=list({row.connection_id for row in rows}))
    told = 0
    for row in rows:
        if await _tell(db, row):
            told += 1
            if row.connection_id in known:
                GAPS.labels(known[row.connection_id][0]).inc()
    return told


async def _tell(db: Database, row: Any) -> bool:
    async with db.begin() as tx:
        gap_id = uuid7(tx.now)
        # What comes at this moment is noted under the same lock: it finds the gap, or the gap does not find the range.
        await store.lock(tx, key=(row.community_id, row.scope, row.stream))
        if not await store.set_told(tx, missing_id=row.id, gap_id=gap_id):
            return False
        same = {name: getattr(row, name) for name in ("community_id", "connection_id", "since", "until", "stream")}
        numbers = {"first_number": row.first_number, "last_number": row.last_number}
        count = row.last_number - row.first_number + 1
        await connections.open_gap(tx, row={"id": gap_id, "kind": SEQUENCE, "missing": count, **same, **numbers})
        first, last = row.first_number, row.last_number
        outbox.add(tx, GapChanged(gap_id=gap_id, kind=SEQUENCE, first=first, last=last, missing=count, **same))
    return True
