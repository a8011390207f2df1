"""What the members service does by itself."""

import asyncio

from kit.errors import Conflict
from kit.metrics import MEMBERS
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.members.domain import STATES
from services.members.handlers.tokens import signing_key
from services.members.store import people

COUNT_SECONDS = 60.0


async def first_signing_key(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Publish the first key at the first start, so that every service knows it before it signs anything."""
    while not stopping.is_set():
        try:
            async with one.db.begin() as tx:
                await signing_key(tx, secret_key=one.settings.secret_key)
            return
        except Conflict:
            # Another replica is making it at this moment.
            await pause(stopping, 1.0)


async def count_members(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Keep the gauge of members by state; every replica reports the same figures."""
    while not stopping.is_set():
        async with one.db.read() as tx:
            counts = await people.count_by_state(tx)
        for state in STATES:
            MEMBERS.labels(state).set(counts.get(state, 0))
        await pause(stopping, COUNT_SECONDS)


LOOPS = (Loop("first-signing-key", first_signing_key), Loop("count-members", count_members))
