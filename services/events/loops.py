"""What this service does by itself: writing down what its connections say, missing those that fall silent."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import structlog

from kit import outbox
from kit.clock import uuid7
from kit.contracts.events import ConnectionStateChanged, GapChanged
from kit.database import Database, Tx
from kit.days import local_day
from kit.metrics import CALLS, CONNECTIONS_DOWN, DELIVERIES, GAPS
from kit.purging import sweep
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.events import domain
from services.events import tables as t
from services.events.handlers import calling, numbering
from services.events.handlers.numbering import Numbered
from services.events.handlers.receiving import ACCEPTED, IGNORED, MALFORMED, REFUSED
from services.events.handlers.rejected import KEPT
from services.events.hearing import Heard, hearing_of
from services.events.receivers import receivers
from services.events.store import calls, numbers
from services.events.store import connections as store

logger = structlog.get_logger(__name__)

WATCH_SECONDS = 5.0
FORGET_SECONDS = 600.0
CALL_SECONDS = 0.25
CALLS_KEPT = timedelta(days=1)
REMEMBERED = timedelta(days=30)
REMEMBERED_OF_A_GROUP = 5_000
HEARTBEAT, DOWN, UP = "heartbeat", "down", "up"


async def watch(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Every few seconds: what was heard goes into the database, and who missed three heartbeats is down."""
    for platform in receivers():
        # From 0 on: what appears with its first value has not increased in the eyes of Prometheus.
        GAPS.labels(platform)
        for outcome in (ACCEPTED, IGNORED, REFUSED, MALFORMED):
            DELIVERIES.labels(platform, outcome)
    while not stopping.is_set():
        await write_down(one)
        await look_out(one)
        await numbering.tell(one.db, one.clock())
        await pause(stopping, WATCH_SECONDS)
    await write_down(one)


async def write_down(one: ServiceRuntime) -> None:
    """What this process heard since the last time; kept for the next when the database does not take it."""
    hearing = hearing_of(one)
    heard = hearing.take()
    if not heard:
        return
    try:
        async with one.db.begin() as tx:
            await _write(tx, heard)
    except BaseException:
        for connection_id, each in heard.items():
            hearing.give_back(connection_id, each)
        raise


async def _write(tx: Tx, heard: dict[UUID, Heard]) -> None:
    ordered = sorted(heard.items())
    seen = [{"connection_id": id, "community_id": h.community_id, "seen_at": h.seen_at} for id, h in ordered]
    await store.note_seen(tx, rows=seen)
    await store.count(
        tx,
        rows=[
            {"connection_id": id, "day": day, "outcome": outcome, "count": count}
            for id, h in ordered
            for (day, outcome), count in sorted(h.outcomes.items())
        ],
    )
    for id, h in ordered:
        if h.beat is not None:
            at, beat = h.beat
            seconds = max(1, round(beat.interval.total_seconds())) if beat.interval is not None else None
            # A bot that says it is offline has sent its last sign: it is missed from now on.
            await store.note_beat(tx, connection_id=id, at=at, seconds=seconds if beat.online else 0)
        own = max((at for at, _, passed in h.passed if passed.own), default=None)
        if own is not None:
            await numbers.note_own(tx, connection_id=id, at=own)
    await numbering.note(tx, [number for id, h in ordered for number in _passed(id, h)])


def _passed(connection_id: UUID, heard: Heard) -> Iterable[Numbered]:
    for at, scope, one in heard.passed:
        yield Numbered(heard.community_id, scope, one.stream, one.number, at, connection_id)


async def look_out(one: ServiceRuntime) -> None:
    """Who is missed, who is back. Any replica may; the row tells whose word counts."""
    async with one.db.read() as tx:
        rows = await store.beating(tx)
    for row in rows:
        missed = domain.missed(row.beat_at, row.beat_seconds, one.clock())
        if missed and row.down_since is None:
            await _fell_silent(one.db, row)
        elif not missed and row.down_since is not None:
            await _came_back(one.db, row)
    down: dict[str, int] = dict.fromkeys(receivers(), 0)
    for row in rows:
        down[row.platform] = down.get(row.platform, 0) + (row.down_since is not None)
    for platform, count in down.items():
        CONNECTIONS_DOWN.labels(platform).set(count)


async def _fell_silent(db: Database, row: Any) -> None:
    async with db.begin() as tx:
        if not await store.set_down(tx, connection_id=row.id, before=None, since=row.beat_at):
            return
        gap_id = uuid7(tx.now)
        gap = {"community_id": row.community_id, "connection_id": row.id, "kind": HEARTBEAT, "since": row.beat_at}
        await store.open_gap(tx, row={"id": gap_id, "until": None, **gap})
        outbox.add(tx, GapChanged(gap_id=gap_id, until=None, **gap))
        _announce(tx, row, DOWN, row.beat_at, "three heartbeats were missed")
    GAPS.labels(row.platform).inc()


async def _came_back(db: Database, row: Any) -> None:
    async with db.begin() as tx:
        if not await store.set_down(tx, connection_id=row.id, before=row.down_since, since=None):
            return
        for gap in await store.open_gaps(tx, connection_id=row.id):
            await store.close_gap(tx, gap_id=gap.id, until=row.beat_at)
            same = {name: getattr(gap, name) for name in ("community_id", "connection_id", "kind", "since")}
            outbox.add(tx, GapChanged(gap_id=gap.id, until=row.beat_at, **same))
        _announce(tx, row, UP, row.beat_at, "it beats again")


def _announce(tx: Tx, row: Any, state: str, since: datetime, reason: str) -> None:
    who = {"community_id": row.community_id, "connection_id": row.id, "platform": row.platform, "name": row.name}
    outbox.add(tx, ConnectionStateChanged(state=state, since=since, reason=reason, **who))


async def forget(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """What was refused is kept for a week; who wrote what is remembered for a month, and of a group the last few
    thousand things."""
    while not stopping.is_set():
        await forget_rejected(one, stopping)
        await forget_numbers(one, stopping)
        await sweep(one.db, t.written, t.written.c.at < one.clock() - REMEMBERED, stopping=stopping)
        await thin(one.db, REMEMBERED_OF_A_GROUP)
        await sweep(one.db, calls.TABLE, calls.over(one.clock() - CALLS_KEPT), stopping=stopping)
        await pause(stopping, FORGET_SECONDS)


async def forget_rejected(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    before = one.clock() - KEPT
    await sweep(one.db, t.rejected, t.rejected.c.at < before, stopping=stopping)
    await sweep(one.db, t.rejected_days, t.rejected_days.c.day < local_day(before, "UTC", 0), stopping=stopping)


async def forget_numbers(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    await sweep(one.db, t.sequences, t.sequences.c.at < one.clock() - REMEMBERED, stopping=stopping)
    old = t.missing_numbers.c.found_at < one.clock() - numbering.KEPT
    await sweep(one.db, t.missing_numbers, old, stopping=stopping)


async def thin(db: Database, most: int) -> None:
    """Forget the oldest things of groups of which more are remembered."""
    async with db.read() as tx:
        crowded = await store.crowded(tx, most=most, limit=1000)
    for row in crowded:
        async with db.begin() as tx:
            group = {"community_id": row.community_id, "group": row.group_ref}
            oldest = await store.nth_newest(tx, place=most - 1, **group)
            if oldest is not None:
                await store.thin(tx, before=oldest, **group)


async def call(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """What is to be said through the bots that stand at this process, soon after it is known; a bot that is slow to
    answer keeps no other waiting."""
    for outcome in calling.OUTCOMES:
        CALLS.labels(outcome)
    lanes: dict[UUID, asyncio.Task[None]] = {}
    looked = 0.0
    try:
        while not stopping.is_set():
            for connection_id, rows in (await calling.find_calls(one, lanes)).items():
                lanes[connection_id] = asyncio.create_task(_lane(one, rows))
            if monotonic() - looked > WATCH_SECONDS:
                await calling.give_up(one)
                looked = monotonic()
            await one.wake.wait(CALL_SECONDS)
            lanes = {id: task for id, task in lanes.items() if not task.done()}
    finally:
        # Calls that are being made end and are written down; what does not end in time will be unknown.
        if lanes:
            await asyncio.wait(lanes.values(), timeout=one.settings.stop_seconds / 2)
        for task in lanes.values():
            task.cancel()
        await asyncio.gather(*lanes.values(), return_exceptions=True)


async def _lane(one: ServiceRuntime, rows: Sequence[Any]) -> None:
    try:
        await calling.make_calls(one, rows)
    except Exception:
        # Whatever it was, it is one bot's: what was claimed is on record and will be unknown, the rest is found again.
        logger.exception("calls.failed", connection=str(rows[0].connection_id))


LOOPS = (Loop("connections", watch), Loop("calls", call), Loop("forgetting", forget))
