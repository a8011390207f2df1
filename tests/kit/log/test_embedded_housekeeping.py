"""Compaction and retention of the embedded log (a broker does its own; there the topic's settings are checked)."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from kit.log import Partition, Record, Stored, Topic
from kit.log.embedded import EmbeddedLog
from tests.kit.log.support import everything, next_to_read, read, records, topic, values
from tests.support.clock import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


async def opened(path: Path, clock: ManualClock, partitions: int = 2) -> EmbeddedLog:
    log = EmbeddedLog(path, partitions=partitions, clock=clock)
    await log.start()
    return log


async def all_of(log: EmbeddedLog, name: str) -> list[Stored]:
    """What a group that begins now would read, to the end."""
    subscription = await log.subscribe("all", [name])
    got: list[Stored] = []
    while batch := await subscription.fetch(10_000, 0):
        got += batch
    await subscription.close()
    return got


@pytest.mark.parametrize("seed", range(5))
async def test_compaction_keeps_the_newest_record_of_every_key_where_it_stood(
    path: Path, clock: ManualClock, seed: int
) -> None:
    draw = random.Random(seed)
    log = await opened(path, clock)
    await topic(log, "state", compacted=True)
    newest: dict[bytes, tuple[int, int, bytes | None]] = {}
    for step in range(150):
        keys = [b"k%d" % draw.randrange(40) for _ in range(draw.randrange(1, 12))]
        given = [Record(key, None if draw.random() < 0.1 else b"%d" % step) for key in keys]
        for record, place in zip(given, await log.append("state", given), strict=True):
            newest[record.key] = (place.partition, place.offset, record.value)
        if draw.random() < 0.1:
            await log.maintain()
        if draw.random() < 0.03:
            await log.stop()
            log = await opened(path, clock)
    await log.append("state", [Record(b"last-%d" % n, b"x") for n in range(20)])
    await log.maintain()
    got = await all_of(log, "state")
    kept = {r.key: (r.partition, r.offset, r.value) for r in got}
    assert newest.items() <= kept.items(), "the newest of a key is lost or moved"
    # All but the newest batch of each partition were compacted, and that one has other keys only.
    assert len(got) == len(kept)
    await log.stop()


async def test_compaction_goes_through_a_topic_of_many_batches(path: Path, clock: ManualClock) -> None:
    log = await opened(path, clock, partitions=1)
    await topic(log, "state", compacted=True)
    for step in range(400):
        await log.append("state", [Record(b"k%d" % (step % 3), b"%d" % step), Record(b"once-%d" % step, b"1")])
    await log.maintain()
    got = await all_of(log, "state")
    assert len([r for r in got if r.key.startswith(b"once")]) == 400
    assert values(r for r in got if r.key.startswith(b"k")) == [397, 398, 399]
    await log.stop()


async def test_a_reader_in_the_midst_of_a_topic_that_is_compacted_goes_on_and_lag_comes_to_nothing(
    path: Path, clock: ManualClock
) -> None:
    log = await opened(path, clock, partitions=1)
    await topic(log, "state", compacted=True)
    for step in range(100):
        await log.append("state", [Record(b"a", b"%d" % step), Record(b"b", b"%d" % step)])
    subscription = await log.subscribe("g", ["state"])
    await subscription.commit(next_to_read(await subscription.fetch(31, 0)))
    await log.maintain()
    await log.append("state", [Record(b"c", b"7")])
    got = []
    while batch := await subscription.fetch(10, 0):
        await subscription.commit(next_to_read(batch))
        got += batch
    assert [(r.key, r.value) for r in got][-3:] == [(b"a", b"99"), (b"b", b"99"), (b"c", b"7")]
    assert await log.lag("g", ["state"]) == {Partition("state", 0): 0}
    await log.stop()


async def test_offsets_are_never_given_twice_although_everything_before_was_superseded(
    path: Path, clock: ManualClock
) -> None:
    given: list[int] = []
    for _ in range(4):
        log = await opened(path, clock, partitions=1)
        await topic(log, "state", compacted=True)
        for _ in range(5):
            given += [p.offset for p in await log.append("state", [Record(b"k", b"x")])]
        await log.maintain()
        await log.stop()
    assert given == list(range(20))


async def test_a_topic_forgets_what_is_past_its_retention_and_no_more(path: Path, clock: ManualClock) -> None:
    log = await opened(path, clock)
    await topic(log, "things", retention=timedelta(days=7))
    await topic(log, "state", compacted=True)
    await log.append("things", records(100))
    await log.append("state", records(100, keys=100))
    clock.advance(timedelta(days=4))
    await log.append("things", records(100, start=100))
    clock.advance(timedelta(days=3))
    await log.maintain()
    assert len(await all_of(log, "things")) == 200, "seven days old is not older than seven days"
    clock.advance(timedelta(seconds=1))
    await log.maintain()
    assert sorted(values(await all_of(log, "things"))) == list(range(100, 200))
    assert len(await all_of(log, "state")) == 100, "a compacted topic has no retention"
    await log.stop()


async def test_a_topic_of_which_all_is_old_still_knows_its_next_offset(path: Path, clock: ManualClock) -> None:
    log = await opened(path, clock, partitions=1)
    await topic(log, "things", retention=timedelta(days=1))
    for start in range(0, 50, 10):
        await log.append("things", records(10, start=start))
    clock.advance(timedelta(days=30))
    await log.maintain()
    await log.stop()
    log = await opened(path, clock, partitions=1)
    [place] = await log.append("things", [Record(b"k", b"50")])
    assert place.offset == 50
    await log.stop()


async def test_a_group_that_stopped_before_what_was_forgotten_goes_on_with_what_is_left(
    path: Path, clock: ManualClock
) -> None:
    log = await opened(path, clock, partitions=1)
    await topic(log, "things", retention=timedelta(days=1))
    for start in range(0, 500, 10):
        await log.append("things", records(10, start=start))
    subscription = await log.subscribe("g", ["things"])
    await subscription.commit(next_to_read(await subscription.fetch(5, 0)))
    await subscription.close()
    clock.advance(timedelta(days=2))
    await log.append("things", records(10, start=500))
    await log.maintain()
    again = await log.subscribe("g", ["things"])
    assert values(await read(again, 10, commit=True)) == list(range(500, 510))
    assert await log.lag("g", ["things"]) == {Partition("things", 0): 0}
    await log.stop()


async def test_another_retention_holds_from_the_next_housekeeping(path: Path, clock: ManualClock) -> None:
    log = await opened(path, clock, partitions=1)
    await topic(log, "things", retention=timedelta(days=7))
    await log.append("things", records(10))
    clock.advance(timedelta(days=2))
    await log.append("things", records(10, start=10))
    await log.ensure([Topic("things", retention=timedelta(days=1))])
    await log.stop()
    log = await opened(path, clock, partitions=1)
    await log.maintain()
    assert values(await everything(log, "things", 10)) == list(range(10, 20))
    await log.stop()
