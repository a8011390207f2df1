"""Topics are made as described, and a log whose topics contradict the description says so."""

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
