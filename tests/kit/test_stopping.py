"""Stopping: fetch no more, finish what is in hand, commit, close; bounded, and nothing is lost or done twice."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from kit import codec, outbox
from kit.clock import system_clock, uuid7
from kit.consumer import group_name
from kit.contracts import MEMBERS_TOPIC
from kit.contracts.platform import KeyUsed
from kit.log import Record
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from tests.kit.toy import Toy, once_each, uses

PATIENCE = 30.0
GROUP = group_name("toy", MEMBERS_TOPIC)


def started_on(toy: Toy, directory: Path, **settings: object) -> Runtime:
    return toy.runtime(EmbeddedLog(directory / "log.sqlite"), data_dir=directory, **settings)


async def append(runtime: Runtime, keys: list[UUID]) -> None:
    now = system_clock()
    bodies = [codec.encode(KeyUsed(key_id=key, used_at=now), id=uuid7(now), time=now) for key in keys]
    await runtime.log.append(MEMBERS_TOPIC, [Record(b"k", body) for body in bodies])


async def test_a_batch_in_hand_is_finished_and_what_came_after_it_is_left_for_the_next_start(tmp_path: Path) -> None:
    toy = Toy()
    runtime = started_on(toy, tmp_path)
    await runtime.start(migrating=True)
    toy.gate.clear()
    in_hand, later = [uuid4() for _ in range(5)], [uuid4() for _ in range(5)]
    await append(runtime, in_hand)
    async with asyncio.timeout(PATIENCE):
        await toy.begun.wait()
        await append(runtime, later)
        stopping = asyncio.create_task(runtime.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        toy.gate.set()
        await stopping
    again = started_on(toy, tmp_path)
    await again.start(migrating=False)
    await again.settle()
    assert await once_each(again.services["toy"].db, [*in_hand, *later])
    await again.stop()


async def test_what_was_announced_last_is_on_the_log_before_the_platform_is_gone(tmp_path: Path) -> None:
    toy = Toy()
    runtime = started_on(toy, tmp_path)
    await runtime.start(migrating=True)
    keys = [uuid4() for _ in range(2500)]
    async with runtime.services["toy"].db.begin() as tx:
        for key in keys:
            outbox.add(tx, KeyUsed(key_id=key, used_at=tx.now))
    async with asyncio.timeout(PATIENCE):
        await runtime.stop()
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    assert sum((await log.lag("nobody", [MEMBERS_TOPIC])).values()) == len(keys)
    await log.stop()
    again = started_on(toy, tmp_path)
    await again.start(migrating=False)
    await again.settle()
    assert await once_each(again.services["toy"].db, keys)
    await again.stop()


async def test_a_batch_that_does_not_end_is_cut_short_rolled_back_and_done_by_the_next_start(tmp_path: Path) -> None:
    toy = Toy()
    runtime = started_on(toy, tmp_path, stop_seconds=1.0)
    await runtime.start(migrating=True)
    toy.gate.clear()
    keys = [uuid4() for _ in range(5)]
    await append(runtime, keys)
    async with asyncio.timeout(PATIENCE):
        await toy.begun.wait()
        with capture_logs() as lines:
            await runtime.stop()
    assert GROUP in {line["task"] for line in lines if line["event"] == "stop.cut_short"}
    toy.gate.set()
    again = started_on(toy, tmp_path)
    await again.start(migrating=False)
    await again.settle()
    assert await once_each(again.services["toy"].db, keys)
    await again.stop()


async def test_settling_names_what_is_left_when_it_takes_too_long(tmp_path: Path) -> None:
    toy = Toy()
    runtime = started_on(toy, tmp_path)
    await runtime.start(migrating=True)
    toy.gate.clear()
    await append(runtime, [uuid4()])
    with pytest.raises(TimeoutError, match=GROUP):
        await runtime.settle(0.1)
    toy.gate.set()
    await runtime.settle()
    await runtime.stop()


async def test_a_consumer_that_gave_up_makes_the_platform_unready_and_says_why(tmp_path: Path) -> None:
    from tests.kit.toy import POISON

    toy = Toy()
    runtime = started_on(toy, tmp_path, dead_letters_in_a_row=3)
    await runtime.start(migrating=True)
    assert all(check.ok for check in await runtime.readiness())
    await append(runtime, [POISON] * 10)
    async with asyncio.timeout(PATIENCE):
        while not any(consumer.stopped_by for consumer in runtime.consumers):
            await asyncio.sleep(0.02)
    failing = {check.name: check.detail for check in await runtime.readiness() if not check.ok}
    assert failing == {f"consumer:{GROUP}": "3 dead letters in a row on guildhall.members"}
    assert await uses(runtime.services["toy"].db) == {}
    await runtime.stop()


async def test_lag_over_the_limit_makes_the_platform_unready(tmp_path: Path) -> None:
    toy = Toy()
    runtime = started_on(toy, tmp_path, ready_max_lag=4)
    await runtime.start(migrating=True)
    toy.gate.clear()
    await append(runtime, [uuid4() for _ in range(5)])
    assert {check.name for check in await runtime.readiness() if not check.ok} == {f"lag:{GROUP}"}
    toy.gate.set()
    await runtime.settle()
    assert all(check.ok for check in await runtime.readiness())
    await runtime.stop()
