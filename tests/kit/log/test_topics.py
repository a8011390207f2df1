"""Topics are made as described, and a log whose topics contradict the description says so."""

import asyncio

import pytest

from kit.log import Record, Topic, TopicMismatch
from tests.kit.log.conftest import Logs
from tests.kit.log.support import everything, records, topic, values


async def test_ensure_makes_what_is_missing_and_is_content_with_what_is_there(logs: Logs) -> None:
    log = await logs.open()
    described = [Topic("state", compacted=True), Topic("things")]
    await log.ensure(described)
    await log.append("things", records(3))
    await log.ensure([*described, Topic("more")])
    await log.append("more", records(1))
    assert len(await everything(log, "things", 3)) == 3
    await log.stop()
    again = await logs.open()
    await again.ensure(described)
    assert len(await everything(again, "things", 3)) == 3


async def test_a_topic_that_is_compacted_and_should_not_be_is_refused_with_what_to_change(logs: Logs) -> None:
    log = await logs.open()
    await log.ensure([Topic("state", compacted=True), Topic("things")])
    for wrong in (Topic("state"), Topic("things", compacted=True)):
        with pytest.raises(TopicMismatch, match=wrong.name):
            await log.ensure([wrong])
    await log.stop()
    again = await logs.open()
    with pytest.raises(TopicMismatch, match="state"):
        await again.ensure([Topic("state")])


async def test_topics_have_nothing_in_common(logs: Logs) -> None:
    log = await logs.open()
    left, right = await topic(log, "left"), await topic(log, "right")
    await log.append(left, [Record(b"k", b"1"), Record(b"k", b"2")])
    await log.append(right, [Record(b"k", b"3")])
    assert values(await everything(log, left, 2)) == [1, 2]
    assert values(await everything(log, right, 1)) == [3]


async def test_a_log_that_is_open_says_it_is_fit_to_work(logs: Logs) -> None:
    log = await logs.open()
    await topic(log)
    await log.check()


async def test_topics_that_are_made_while_others_are_written_are_whole(logs: Logs) -> None:
    log = await logs.open()
    things = await topic(log)
    names = [f"more-{n}" for n in range(15)]
    finished = asyncio.Event()

    async def write() -> int:
        appended = 0
        while not finished.is_set():
            await log.append(things, records(10, start=appended))
            appended += 10
        return appended

    writing = [asyncio.create_task(write()) for _ in range(4)]
    for name in names:
        await log.ensure([Topic(name)])
        await log.append(name, records(5))
    finished.set()
    appended = sum(await asyncio.gather(*writing))
    assert sum((await log.lag("g", [things])).values()) == appended
    for name in names:
        assert sorted(values(await everything(log, name, 5))) == list(range(5))
