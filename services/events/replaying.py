"""The loop behind replays: every second each of them sends as much as its speed says."""

import asyncio
from uuid import UUID

from kit.clock import uuid7
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.events.handlers import replays as handlers
from services.events.store import replays as store

TICK_SECONDS = 1.0


async def run(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Any replica may; each replay has one at a time, and another within 15 seconds when that one is killed."""
    me = uuid7(one.clock())
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        began = loop.time()
        await tick(one, me)
        await pause(stopping, max(0.05, began + TICK_SECONDS - loop.time()))


async def tick(one: ServiceRuntime, me: UUID) -> int:
    """One second's worth of each replay; how many activities were sent."""
    async with one.db.read() as tx:
        rows = await store.running(tx)
    return sum([await handlers.step(one, row.id, me, row.speed) for row in rows])


LOOPS = (Loop("replays", run),)
