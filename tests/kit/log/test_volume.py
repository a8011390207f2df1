"""A lot of records, written and read at the same time."""

import asyncio

import pytest

from kit.log import Log, Record
from tests.kit.log.support import by_key, next_to_read, topic

WRITERS = 10
BATCH = 250


async def write_and_read(log: Log, count: int, seconds: float) -> None:
    """Ten writers and a reader that commits what it read; every key's values arrive in order, none missing."""
    things = await topic(log)
    each = count // WRITERS

    async def write(writer: int) -> None:
        for start in range(0, each, BATCH):
            await log.append(things, [Record(b"w%d" % writer, b"%d" % (start + i)) for i in range(BATCH)])

    subscription = await log.subscribe("g", [things])
    following = [0] * WRITERS
    async with asyncio.timeout(seconds):
        writing = asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        while sum(following) < each * WRITERS:
            batch = await subscription.fetch(2000, 1.0)
            for key, got in by_key(batch).items():
                writer = int(key[1:])
                assert got == list(range(following[writer], following[writer] + len(got)))
                following[writer] += len(got)
            await subscription.commit(next_to_read(batch))
        await writing
    assert following == [each] * WRITERS
    assert sum((await log.lag("g", [things])).values()) == 0
    await subscription.close()


async def test_fifty_thousand_records_arrive_in_order(log: Log) -> None:
    await write_and_read(log, 50_000, 120)


@pytest.mark.soak
async def test_a_million_records_arrive_in_order(log: Log) -> None:
    await write_and_read(log, 1_000_000, 900)
