"""What goes when its time is over (E19): activities, kept texts, and the keys of who opted out; and the counting of
what was stored before there were daily figures.

In small transactions with pauses between them. A pause is as long as it takes for this to have a twentieth of the time,
so that storing goes on beside it, on whatever disk.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from uuid import UUID

from kit.database import Tx, try_lock
from kit.metrics import PURGED, TEXTS
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.events.handlers.counting import count_days, days_of
from services.events.handlers.texts import OUTCOMES
from services.events.store import keeping
from services.events.store import retention as store

FIRST_SECONDS, ROUND_SECONDS = 60.0, 600.0
STEP = 500
SHARE = 0.05
LEAST_PAUSE = 0.01
LOCK = "events:retention"
TABLES = ("activities", "texts", "text_keys")

Step = Callable[[Tx], Awaitable[int]]
"""Does a little and says how much; less than `STEP` when nothing is left."""


async def keep_time(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Every ten minutes, but not while everything starts; of several replicas one at a time."""
    for table in TABLES:
        # From 0 on: what appears with its first value has not increased in the eyes of Prometheus.
        PURGED.labels(one.service.name, table)
    for outcome in OUTCOMES:
        TEXTS.labels(outcome)
    await pause(stopping, FIRST_SECONDS)
    while not stopping.is_set():
        await _all_of(one, stopping, "", count_uncounted)
        await purge(one, stopping)
        await pause(stopping, ROUND_SECONDS)


async def purge(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Everything whose time is over."""
    async with one.db.read() as tx:
        wishes = {row.community_id: row for row in await keeping.all_wishes(tx)}
    for community_id, wish in wishes.items():
        days = wish.keep_text_days
        before = one.clock() - timedelta(days=days) if days else None
        await _all_of(one, stopping, "texts", partial(_texts, community_id, before))
        if not days:
            await _all_of(one, stopping, "text_keys", partial(_keys, community_id))
    community: UUID | None = None
    while not stopping.is_set():
        async with one.db.read() as tx:
            community = await store.communities(tx, after=community)
        if community is None:
            return
        wish = wishes.get(community)
        days = wish.activity_days if wish is not None else None
        days = one.settings.activity_days if days is None else days
        if days:
            await _activities(one, stopping, community, one.clock() - timedelta(days=days))


async def _all_of(one: ServiceRuntime, stopping: asyncio.Event, table: str, step: Step) -> None:
    done = STEP
    while done >= STEP and not stopping.is_set():
        done = await _some_of(one, stopping, table, step)


async def _some_of(one: ServiceRuntime, stopping: asyncio.Event, table: str, step: Step) -> int:
    async with one.db.begin() as tx:
        # From here on: waiting for one's turn takes nobody's time.
        began = monotonic()
        # Two replicas that delete the same rows would wait for each other for nothing.
        done = await step(tx) if await try_lock(tx, LOCK) else 0
    if table:
        PURGED.labels(one.service.name, table).inc(done)
    await pause(stopping, max(LEAST_PAUSE, (monotonic() - began) * (1 / SHARE - 1)))
    return done


async def _activities(one: ServiceRuntime, stopping: asyncio.Event, community_id: UUID, before: datetime) -> None:
    """Those that count and came before then: history is kept from the day it was imported on. They are found by
    reading, which keeps no writer waiting however much history is passed over."""
    done = STEP
    while done >= STEP and not stopping.is_set():
        async with one.db.read() as tx:
            ids = await store.over(tx, community_id=community_id, before=before, limit=STEP)
        done = await _some_of(one, stopping, "activities", partial(_forget, ids)) if ids else 0


async def count_uncounted(tx: Tx) -> int:
    """Some of what was stored before there were daily figures, counted on the days it belongs to."""
    rows = await store.uncounted(tx, limit=STEP)
    days = await days_of(tx, [(row.community_id, row.effective_at) for row in rows])
    await count_days(tx, [{**row._mapping, "day": day} for row, day in zip(rows, days, strict=True)])
    if rows:
        await store.set_days(tx, days=[(row.event_id, day) for row, day in zip(rows, days, strict=True)])
    return len(rows)


async def _forget(ids: list[UUID], tx: Tx) -> int:
    await store.delete(tx, event_ids=ids)
    return len(ids)


async def _texts(community_id: UUID, before: datetime | None, tx: Tx) -> int:
    ids = await keeping.texts_before(tx, community_id=community_id, before=before, limit=STEP)
    await keeping.delete_texts(tx, event_ids=ids)
    return len(ids)


async def _keys(community_id: UUID, tx: Tx) -> int:
    """Of who opted out: what lies on the log is unreadable from then on as well. Asked again here, because it may have
    opted in meanwhile."""
    wish = (await keeping.wishes(tx, community_ids=[community_id])).get(community_id)
    if wish is None or wish.keep_text_days:
        return 0
    ids = await keeping.some_keys(tx, community_id=community_id, limit=STEP)
    await keeping.delete_keys(tx, community_id=community_id, actor_ids=ids)
    return len(ids)


LOOPS = (Loop("retention", keep_time),)
