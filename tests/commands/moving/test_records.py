"""The log moves record by record, and its readers to where they had come."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.consumer import group_name
from kit.contracts import ACTIVITY_TOPIC, MEMBERS_TOPIC
from kit.log import Log, Partition, Record
from kit.log.embedded import EmbeddedLog
from kit.log.embedded.reading import LogFile
from kit.log.kafka import KafkaLog
from kit.log.partitioner import partition_of
from kit.runtime import topics
from kit.settings import load_settings
from services.commands.moving.records import append_topic, compared
from services.compose import SERVICES
from tests.commands.moving.target import Target
from tests.kit.log.support import by_key, everything, next_to_read, read, records

GROUP = group_name("rewards", ACTIVITY_TOPIC)


async def opened(target: Target, partitions: int = 3) -> KafkaLog:
    log = KafkaLog(target.kafka, partitions=partitions, prefix=target.prefix)
    await log.start()
    await log.ensure(topics(load_settings({})))
    return log


async def written(path: Path, what: Sequence[Record], *, read_until: int, partitions: int = 1) -> None:
    """A log whose records the rewards service has read in part."""
    log = EmbeddedLog(path, partitions=partitions)
    await log.start()
    await log.ensure(topics(load_settings({})))
    await log.append(ACTIVITY_TOPIC, what)
    if read_until:
        member = await log.subscribe(GROUP, [ACTIVITY_TOPIC])
        await member.commit(next_to_read(await read(member, read_until, limit=read_until)))
        await member.close()
    await log.stop()


async def unread(log: Log, count: int) -> dict[bytes, list[int]]:
    member = await log.subscribe(GROUP, [ACTIVITY_TOPIC])
    found = by_key(await read(member, count))
    assert await member.fetch(10, 1.0) == []
    await member.close()
    return found


@pytest.mark.parametrize("read_until", [0, 1, 137, 400])
async def test_a_reader_reads_on_where_it_was_each_key_in_order(
    target: Target, tmp_path: Path, read_until: int
) -> None:
    everyone = records(400, keys=17)
    await written(tmp_path / "log.sqlite", everyone, read_until=read_until)
    log = await opened(target)
    with LogFile(tmp_path / "log.sqlite") as file:
        await append_topic(file, log, ACTIVITY_TOPIC, SERVICES, chunk=64, say=lambda _: None)
        assert await compared(file, log, ACTIVITY_TOPIC) == (400, 400, True)
    left: dict[bytes, list[int]] = {}
    for record in everyone[read_until:]:
        left.setdefault(record.key, []).append(int(record.value or b""))
    assert await unread(log, 400 - read_until) == left
    assert sum((await log.lag(group_name("events", ACTIVITY_TOPIC), [ACTIVITY_TOPIC])).values()) == 400
    await log.stop()


async def test_what_arrived_before_a_kill_is_not_appended_again(target: Target, tmp_path: Path) -> None:
    everyone = records(300, keys=7)
    await written(tmp_path / "log.sqlite", everyone, read_until=0)
    log = await opened(target)
    # What a call that was killed had brought over: of each partition the first some, not of all of them as many.
    await log.append(ACTIVITY_TOPIC, everyone[:90])
    one = partition_of(b"key-3", 3)
    await log.append(ACTIVITY_TOPIC, [r for r in everyone[90:200] if partition_of(r.key, 3) == one])
    with LogFile(tmp_path / "log.sqlite") as file:
        for _ in range(2):
            await append_topic(file, log, ACTIVITY_TOPIC, SERVICES, chunk=64, say=lambda _: None)
            assert await compared(file, log, ACTIVITY_TOPIC) == (300, 300, True)
    await log.stop()


async def test_a_reader_of_several_partitions_skips_nothing_it_has_not_read(target: Target, tmp_path: Path) -> None:
    everyone = records(200, keys=23)
    await written(tmp_path / "log.sqlite", everyone, read_until=77, partitions=2)
    with LogFile(tmp_path / "log.sqlite") as file:
        stood = file.positions()[GROUP]
        places = [Partition(ACTIVITY_TOPIC, number) for number in (0, 1)]
        entries = [e for place in places for batch in file.entries(place, stood.get(place, 0)) for e in batch]
        not_read = {int(value or b"") for _, _, value in entries}
        assert len(not_read) == 123
        log = await opened(target)
        await append_topic(file, log, ACTIVITY_TOPIC, SERVICES, chunk=64, say=lambda _: None)
    lag = sum((await log.lag(GROUP, [ACTIVITY_TOPIC])).values())
    assert lag >= 123
    found = await unread(log, lag)
    assert not_read <= {number for numbers in found.values() for number in numbers}
    await log.stop()


async def test_state_keeps_its_newest_record_tombstones_included(target: Target, tmp_path: Path) -> None:
    here = EmbeddedLog(tmp_path / "log.sqlite")
    await here.start()
    await here.ensure(topics(load_settings({})))
    states = [Record(b"a", b"1"), Record(b"b", b"1"), Record(b"a", b"2"), Record(b"b", None), Record(b"c", b"1")]
    for state in states:
        await here.append(MEMBERS_TOPIC, [state])
    await here.maintain()
    await here.stop()
    log = await opened(target)
    with LogFile(tmp_path / "log.sqlite") as file:
        await append_topic(file, log, MEMBERS_TOPIC, SERVICES, chunk=2, say=lambda _: None)
        count, there, same = await compared(file, log, MEMBERS_TOPIC)
        assert (count == there, same) == (True, True)
    newest = {r.key: r.value for r in await everything(log, MEMBERS_TOPIC, count)}
    assert newest == {b"a": b"2", b"b": None, b"c": b"1"}
    await log.stop()


async def test_a_record_that_differs_is_seen(target: Target, tmp_path: Path) -> None:
    await written(tmp_path / "log.sqlite", records(50), read_until=0)
    log = await opened(target)
    await log.append(ACTIVITY_TOPIC, [r._replace(value=b"other") if r.value == b"7" else r for r in records(50)])
    with LogFile(tmp_path / "log.sqlite") as file:
        assert await compared(file, log, ACTIVITY_TOPIC) == (50, 50, False)
    await log.stop()
