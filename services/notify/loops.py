"""What the notify service does by itself: forget messages after their time."""

import asyncio
from datetime import timedelta

from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.notify.handlers.purging import purge

PURGE_SECONDS = 6 * 3600.0
SETTLE_IN_SECONDS = 600.0


async def forget(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Not at the start, when there is enough to catch up with."""
    await pause(stopping, SETTLE_IN_SECONDS)
    while not stopping.is_set():
        await purge(one.db, keep=timedelta(days=one.settings.message_days), stopping=stopping)
        await pause(stopping, PURGE_SECONDS)


LOOPS = (Loop("forgetting", forget),)
