"""Something that happens while the product is looked at, or taken a backup of: people who check in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

from tests.crash.processes import Installation
from tests.support.http import client_of

_numbers = count(1)


def bearer(installation: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {installation.key}"}


async def check_in(installation: Installation, people: int) -> str:
    """So many people check in for the first time, one message each; taken in means 200. Who was the last."""
    actor = ""
    async with client_of(installation.url("events"), timeout=30) as http:
        for number in (next(_numbers) for _ in range(people)):
            actor = f"test:{number}"
            event = {
                "specversion": "1.0",
                "id": f"check-in {number}",
                "source": "/tests",
                "type": "checkin.submitted",
                "data": {"actor": actor, "group": "test:hall"},
            }
            headers = {**bearer(installation), "Content-Type": "application/cloudevents+json"}
            reply = await http.post("/v1/events", json=event, headers=headers)
            assert reply.status_code == 200, reply.text
    return actor


@asynccontextmanager
async def checking_in(installation: Installation, *, pause: float = 0.2) -> AsyncIterator[list[int]]:
    """People check in all the while; a number for each that was taken in."""
    taken: list[int] = []

    async def go_on() -> None:
        while True:
            await check_in(installation, 1)
            taken.append(len(taken))
            await asyncio.sleep(pause)

    going = asyncio.create_task(go_on())
    try:
        yield taken
    finally:
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going
