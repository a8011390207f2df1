"""What the notify service does by itself: call the outside, give up what is overdue, forget what is over."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog

from kit.database import DatabaseUnavailable
from kit.metrics import PROVIDER_BUSY, REPLIES_REFUSED
from kit.outside import Outside
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.notify.channels import channels
from services.notify.handlers.calling import give_up_overdue, send_next
from services.notify.handlers.purging import purge, purge_windows
from services.notify.handlers.replying import give_up_waiting
from services.notify.replies import BUDGET_SPENT, NO_WINDOW, PLATFORM_CHANNELS
from services.notify.store import channels as store

logger = structlog.get_logger(__name__)

PURGE_SECONDS = 6 * 3600.0
SETTLE_IN_SECONDS = 600.0
LOOK_SECONDS = 1.0
IN_A_ROW = 50


async def send(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Every channel has a lane of its own: one that is slow, or waits, keeps no other waiting."""
    for name in {*channels(), *PLATFORM_CHANNELS}:
        # From 0 on: what appears with its first value has not increased in the eyes of Prometheus.
        PROVIDER_BUSY.labels(name)
        for reason in (NO_WINDOW, BUDGET_SPENT):
            REPLIES_REFUSED.labels(name, reason)
    outside = Outside(private=one.settings.private_channels)
    lanes: dict[UUID, asyncio.Task[None]] = {}
    try:
        while not stopping.is_set():
            for channel_id in await _look(one):
                if channel_id not in lanes:
                    lanes[channel_id] = asyncio.create_task(_lane(one, outside, stopping, channel_id))
            await one.wake.wait(LOOK_SECONDS)
            lanes = {id: task for id, task in lanes.items() if not task.done()}
        await _let_finish(lanes, one.settings.stop_seconds / 2)
    finally:
        for task in lanes.values():
            task.cancel()
        await asyncio.gather(*lanes.values(), return_exceptions=True)
        await outside.close()


async def _look(one: ServiceRuntime) -> list[UUID]:
    """Channels that may send now. A database that is away for a moment ends no call that is being made: to its lane it
    is a result that is written down a little later."""
    try:
        await give_up_overdue(one.db)
        await give_up_waiting(one.db)
        async with one.db.read() as tx:
            return await store.with_work(tx)
    except DatabaseUnavailable as error:
        logger.warning("sending.waiting", error=str(error))
        return []


async def _let_finish(lanes: dict[UUID, asyncio.Task[None]], seconds: float) -> None:
    """Calls that are being made end and are written down; what does not end in time will be unknown."""
    if lanes:
        await asyncio.wait(lanes.values(), timeout=seconds)


async def _lane(one: ServiceRuntime, outside: Outside, stopping: asyncio.Event, channel_id: UUID) -> None:
    try:
        for _ in range(IN_A_ROW):
            if stopping.is_set() or not await send_next(one, outside, channel_id):
                return
    except Exception:
        # One channel's trouble is not the others'; its message is on record and will be unknown.
        logger.exception("channel.failed", channel=str(channel_id))
        await pause(stopping, LOOK_SECONDS)


async def forget(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Not at the start, when there is enough to catch up with."""
    await pause(stopping, SETTLE_IN_SECONDS)
    while not stopping.is_set():
        await purge(one.db, keep=timedelta(days=one.settings.message_days), stopping=stopping)
        await purge_windows(one.db, stopping=stopping)
        await pause(stopping, PURGE_SECONDS)


LOOPS = (Loop("sending", send), Loop("forgetting", forget))
