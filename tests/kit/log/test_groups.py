"""Reading in groups: everything at least once, from where the group stopped, one owner a partition."""

import asyncio

from kit.log import Log, Partition, Record
from tests.kit.log.conftest import PARTITIONS, Logs
from tests.kit.log.support import by_key, next_to_read, read, records, topic, values


async def test_a_new_group_starts_at_the_oldest_record_and_goes_on_with_the_new_ones(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(50))
    subscription = await log.subscribe("g", [things])
    assert sorted(values(await read(subscription, 50))) == list(range(50))
    await log.append(things, records(50, start=50))
    assert sorted(values(await read(subscription, 50))) == list(range(50, 100))
    await subscription.close()


async def test_a_fetch_returns_no_more_than_asked_and_the_next_goes_on_behind_it(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(100))
    subscription = await log.subscribe("g", [things])
    async with asyncio.timeout(60):
        batches = []
        while sum(map(len, batches)) < 100:
            batches.append(await subscription.fetch(7, 1.0))
    assert max(map(len, batches)) <= 7
    got = by_key(r for batch in batches for r in batch)
    assert got == {b"key-%d" % k: list(range(k, 100, 10)) for k in range(10)}
    await subscription.close()


async def test_offsets_rise_within_a_partition(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(200))
    subscription = await log.subscribe("g", [things])
    last: dict[int, int] = {}
    for record in await read(subscription, 200, limit=13):
        assert record.offset > last.get(record.partition, -1)
        last[record.partition] = record.offset
    await subscription.close()


async def test_a_group_goes_on_where_it_committed_and_not_where_it_read(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(40))
    one = await log.subscribe("g", [things])
    await one.commit(next_to_read(await read(one, 40)))
    await log.append(things, records(20, start=40))
    await read(one, 20)  # in hand when it leaves: not committed
    await one.close()
    two = await log.subscribe("g", [things])
    assert sorted(values(await read(two, 20))) == list(range(40, 60))
    await two.close()


async def test_committed_positions_survive_the_log_being_opened_anew_and_the_rest_is_read_again(logs: Logs) -> None:
    log = await logs.open()
    things = await topic(log)
    await log.append(things, records(40))
    one = await log.subscribe("g", [things])
    await one.commit(next_to_read(await read(one, 40)))
    await log.append(things, records(40, start=40))
    await read(one, 40)
    await log.stop()  # with a batch in hand and nobody leaving the group
    again = await logs.open()
    await topic(again)
    two = await again.subscribe("g", [things])
    assert sorted(values(await read(two, 40))) == list(range(40, 80))
    await two.close()


async def test_a_committed_offset_is_the_next_to_read(log: Log) -> None:
    things = await topic(log)
    positions = await log.append(things, [Record(b"k", b"%d" % i) for i in range(10)])
    one = await log.subscribe("g", [things])
    await read(one, 10)
    await one.commit({Partition(things, positions[3].partition): positions[3].offset})
    await one.close()
    two = await log.subscribe("g", [things])
    assert values(await read(two, 7)) == list(range(3, 10))
    await two.close()


async def test_what_was_abandoned_is_fetched_again_from_the_committed_offset(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(30))
    subscription = await log.subscribe("g", [things])
    await subscription.commit(next_to_read(await read(subscription, 30)))
    await log.append(things, records(30, start=30))
    for _ in range(3):
        assert sorted(values(await read(subscription, 30, limit=11))) == list(range(30, 60))
        await subscription.abandon()
    await subscription.close()


async def test_abandoning_before_anything_was_committed_begins_again_at_the_oldest(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(30))
    subscription = await log.subscribe("g", [things])
    await read(subscription, 30)
    await subscription.abandon()
    assert sorted(values(await read(subscription, 30))) == list(range(30))
    await subscription.close()


async def test_groups_know_nothing_of_each_other(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(30))
    one, two = await log.subscribe("one", [things]), await log.subscribe("two", [things])
    assert sorted(values(await read(one, 30, commit=True))) == list(range(30))
    assert sorted(values(await read(two, 30, commit=True))) == list(range(30))
    await one.close()
    await two.close()


async def test_a_member_of_several_topics_reads_them_all(log: Log) -> None:
    names = [await topic(log, "left"), await topic(log, "right")]
    for name in names:
        await log.append(name, records(20))
    subscription = await log.subscribe("g", names)
    got = await read(subscription, 40, commit=True)
    assert {name: sorted(values(r for r in got if r.topic == name)) for name in names} == {
        name: list(range(20)) for name in names
    }
    assert set((await log.lag("g", names)).values()) == {0}
    await subscription.close()


async def test_lag_is_what_the_group_has_not_committed(log: Log) -> None:
    things = await topic(log)
    places = {Partition(things, number) for number in range(PARTITIONS)}
    assert await log.lag("g", [things]) == dict.fromkeys(places, 0)
    await log.append(things, records(40))
    subscription = await log.subscribe("g", [things])
    got = await read(subscription, 40)
    behind = await log.lag("g", [things])
    assert behind == {place: len([r for r in got if r.partition == place.number]) for place in places}
    await subscription.commit(next_to_read(got))
    assert await log.lag("g", [things]) == dict.fromkeys(places, 0)
    await log.append(things, records(5))
    assert sum((await log.lag("g", [things])).values()) == 5
    assert sum((await log.lag("another", [things])).values()) == 45
    await subscription.close()


async def test_nothing_comes_of_an_empty_topic(log: Log) -> None:
    subscription = await log.subscribe("g", [await topic(log)])
    assert await subscription.fetch(10, 0.1) == []
    await subscription.close()


async def test_a_waiting_member_wakes_when_a_record_is_appended(log: Log) -> None:
    things = await topic(log)
    subscription = await log.subscribe("g", [things])
    await subscription.fetch(1, 0.5)
    waiting = asyncio.create_task(subscription.fetch(10, 600.0))
    await asyncio.sleep(0)
    await log.append(things, records(1))
    # It would wait ten minutes if the append did not wake it.
    async with asyncio.timeout(60):
        assert values(await waiting) == [0]
    await subscription.close()


async def test_a_slow_member_holds_up_no_appender_and_misses_nothing(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(10))
    slow = await log.subscribe("slow", [things])
    got = await slow.fetch(5, 10.0)
    for start in range(10, 3010, 100):
        await log.append(things, records(100, start=start))
    fast = await log.subscribe("fast", [things])
    assert len(await read(fast, 3010, commit=True)) == 3010
    await slow.commit(next_to_read(got))
    got += await read(slow, 3010 - len(got), limit=50, commit=True)
    assert by_key(got) == {b"key-%d" % k: list(range(k, 3010, 10)) for k in range(10)}
    assert sum((await log.lag("slow", [things])).values()) == 0
    await slow.close()
    await fast.close()


async def test_progress_says_how_far_a_group_is_and_how_far_it_could_be(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(30))
    subscription = await log.subscribe("g", [things])
    await read(subscription, 30, commit=True)
    await log.append(things, records(12))
    progress = await log.progress("g", [things])
    assert {place: end - at for place, (at, end) in progress.items()} == await log.lag("g", [things])
    assert sum(end - at for at, end in progress.values()) == 12
    await subscription.close()
