"""What the sentences about the log are said with."""

import asyncio
from collections.abc import Callable, Iterable

from kit.log import Log, Partition, Record, Stored, Subscription, Topic

PATIENCE = 60.0
"""Seconds until a test gives up waiting; nothing is ever asserted about how long something took."""


def records(count: int, *, keys: int = 10, start: int = 0) -> list[Record]:
    """Values that count on, spread over some keys."""
    return [Record(b"key-%d" % (i % keys), b"%d" % i) for i in range(start, start + count)]


async def topic(log: Log, name: str = "things", **kind: object) -> str:
    await log.ensure([Topic(name, **kind)])  # type: ignore[arg-type]  # the fields of Topic
    return name


async def read(subscription: Subscription, count: int, *, limit: int = 500, commit: bool = False) -> list[Stored]:
    """Fetch until `count` records came; commits each batch when asked to."""
    got: list[Stored] = []
    async with asyncio.timeout(PATIENCE):
        while len(got) < count:
            batch = await subscription.fetch(limit, 1.0)
            got += batch
            if commit and batch:
                await subscription.commit(next_to_read(batch))
    return got


async def everything(log: Log, name: str, count: int) -> list[Stored]:
    """The first `count` records of a topic, read by a group of its own."""
    subscription = await log.subscribe(f"reader-of-{count}-{id(object())}", [name])
    got = await read(subscription, count)
    await subscription.close()
    return got


def next_to_read(batch: Iterable[Stored]) -> dict[Partition, int]:
    return {Partition(r.topic, r.partition): r.offset + 1 for r in batch}


def values(batch: Iterable[Stored]) -> list[int]:
    return [int(r.value or b"-1") for r in batch]


def by_key(batch: Iterable[Stored]) -> dict[bytes, list[int]]:
    out: dict[bytes, list[int]] = {}
    for r in batch:
        out.setdefault(r.key, []).append(int(r.value or b"-1"))
    return out


async def until(true: Callable[[], bool], *working: Subscription) -> None:
    """Wait until it is so; meanwhile the given members keep fetching, as idle consumers do, and drop what they get."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            for member in working:
                await member.fetch(1, 0.05)
            await asyncio.sleep(0.02)
