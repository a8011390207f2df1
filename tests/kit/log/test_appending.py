"""Appending: durable when it returns, in order, whole or not at all."""

import asyncio
import os

import pytest

from kit.log import Log, Record, RecordTooLarge
from kit.log.partitioner import partition_of
from tests.kit.log.conftest import PARTITIONS, Logs
from tests.kit.log.support import by_key, everything, read, records, topic


async def test_positions_come_in_input_order_and_say_where_each_record_stands(log: Log) -> None:
    things = await topic(log)
    given = records(60)
    positions = await log.append(things, given)
    stored = {(r.partition, r.offset): (r.key, r.value) for r in await everything(log, things, 60)}
    assert [stored[p.partition, p.offset] for p in positions] == [(r.key, r.value) for r in given]


async def test_a_later_append_stands_behind_an_earlier_one(log: Log) -> None:
    things = await topic(log)
    first = await log.append(things, records(30))
    second = await log.append(things, records(30))
    last = {p.partition: p.offset for p in first}
    assert all(p.offset > last[p.partition] for p in second)


async def test_the_partition_is_that_of_every_kafka_client(log: Log) -> None:
    things = await topic(log)
    keys = [os.urandom(length) for length in range(1, 40)]
    positions = await log.append(things, [Record(key, b"x") for key in keys])
    assert [p.partition for p in positions] == [partition_of(key, PARTITIONS) for key in keys]


async def test_records_of_a_key_keep_the_order_in_which_their_appends_were_started(log: Log) -> None:
    things = await topic(log)
    await asyncio.gather(*(log.append(things, [Record(b"one", b"%d" % i)]) for i in range(300)))
    assert by_key(await everything(log, things, 300)) == {b"one": list(range(300))}


async def test_many_concurrent_appenders_keep_the_order_of_their_keys(log: Log) -> None:
    things = await topic(log)

    async def write(writer: int) -> None:
        for step in range(20):
            await log.append(things, [Record(b"w%d" % writer, b"%d" % (step * 3 + i)) for i in range(3)])

    await asyncio.gather(*(write(writer) for writer in range(40)))
    got = by_key(await everything(log, things, 40 * 60))
    assert got == {b"w%d" % writer: list(range(60)) for writer in range(40)}


async def test_appending_nothing_is_answered_with_nothing(log: Log) -> None:
    assert await log.append(await topic(log), []) == []


async def test_bytes_come_back_as_they_went_in_and_a_tombstone_is_not_an_empty_value(log: Log) -> None:
    things = await topic(log, compacted=True)
    given = [
        Record(b"\x00\xff", b"\x00" * 100),
        Record(b"empty", b""),
        Record(b"gone", None),
        Record("打卡".encode(), b"\xff"),
    ]
    await log.append(things, given)
    assert {(r.key, r.value) for r in await everything(log, things, 4)} == {(r.key, r.value) for r in given}


async def test_a_large_record_that_is_allowed_comes_back_whole(log: Log) -> None:
    things = await topic(log)
    value = os.urandom(600_000)
    await log.append(things, [Record(b"k", value)])
    assert [r.value for r in await everything(log, things, 1)] == [value]


async def test_a_record_over_the_limit_is_refused_with_nothing_appended_and_nothing_broken(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(5))
    with pytest.raises(RecordTooLarge):
        await log.append(things, [*records(5, start=100), Record(b"k", os.urandom(2_000_000)), *records(5, start=200)])
    await log.append(things, records(5, start=5))
    assert sorted(int(r.value or b"-1") for r in await everything(log, things, 10)) == list(range(10))
    assert sum((await log.lag("nobody", [things])).values()) == 10


async def test_what_was_acknowledged_is_there_after_the_log_was_opened_anew(logs: Logs) -> None:
    log = await logs.open()
    things = await topic(log)
    await log.append(things, records(100))
    await log.stop()
    again = await logs.open()
    await topic(again)
    await again.append(things, records(50, start=100))
    got = by_key(await everything(again, things, 150))
    assert got == {b"key-%d" % k: list(range(k, 150, 10)) for k in range(10)}


async def test_appends_that_run_into_stopping_are_durable_or_refused_but_always_answered(logs: Logs) -> None:
    log = await logs.open()
    things = await topic(log)
    acknowledged: list[int] = []

    async def write(i: int) -> None:
        await log.append(things, [Record(b"k%d" % (i % 7), b"%d" % i)])
        acknowledged.append(i)

    writing = [asyncio.create_task(write(i)) for i in range(200)]
    await asyncio.sleep(0)
    stopping = asyncio.create_task(log.stop())
    late = []
    while not stopping.done():
        late.append(asyncio.create_task(write(1000 + len(late))))
        await asyncio.sleep(0.001)
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*writing, *late, return_exceptions=True)
    assert {type(o).__name__ for o in outcomes} <= {"NoneType", "LogUnavailable"}
    again = await logs.open()
    await topic(again)
    subscription = await again.subscribe("after", [things])
    got = await read(subscription, len(acknowledged))
    while more := await subscription.fetch(500, 0.5):
        got += more
    await subscription.close()
    assert {int(r.value or b"-1") for r in got} >= set(acknowledged)
