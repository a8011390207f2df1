"""The loop as it runs: beside a real log, of which it waits until what was there is handled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.rewards import BoardFinalized
from kit.log import Partition, Record, Topic
from kit.log.embedded import EmbeddedLog
from kit.service import ServiceRuntime
from kit.settings import load_settings
from services.rewards import loops
from services.rewards.handlers.finalising import GROUP
from services.rewards.service import SERVICE
from tests.rewards.boards.support import make_board, shown
from tests.rewards.boards.test_finalising import AT_LAST, place, set_clock
from tests.rewards.ledger.support import Place, announced

assert place


@pytest.fixture
async def log(place: Place, tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=place.db.clock)
    await log.start()
    await log.ensure([Topic(ACTIVITY_TOPIC)])
    yield log
    await log.stop()


async def test_after_a_long_sleep_the_loop_waits_for_the_consumer_and_then_finalises(
    place: Place, log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "FINALIZE_SECONDS", 0.01)
    await make_board(place, periods=("week",))
    await place.give(place.grant(place.members[0], 5))
    # It came in time, and was not handled before everything went down.
    await log.append(ACTIVITY_TOPIC, [Record(b"k", b"somebody's seven points")])
    set_clock(place, AT_LAST)
    passes = 0
    through = loops.CaughtUp.through

    async def counted(self: loops.CaughtUp, now: object) -> object:
        nonlocal passes
        passes += 1
        return await through(self, now)  # type: ignore[arg-type]  # an instant

    monkeypatch.setattr(loops.CaughtUp, "through", counted)
    stopping = asyncio.Event()
    one = ServiceRuntime(SERVICE, place.db, log, place.db.clock, load_settings({}))
    running = asyncio.create_task(loops.finalize_boards(one, stopping))
    while passes < 5:
        await asyncio.sleep(0.005)
    assert await announced(place.db, BoardFinalized) == []
    subscription = await log.subscribe(GROUP, [ACTIVITY_TOPIC])
    (record,) = await subscription.fetch(10, 1.0)
    await place.give(place.grant(place.members[1], 7))
    await subscription.commit({await _place(log): record.offset + 1})
    while not await announced(place.db, BoardFinalized):
        await asyncio.sleep(0.005)
    stopping.set()
    await running
    await subscription.close()
    assert await shown(place, kind="week", key="2026-W48") == [(1, 1, 7), (2, 0, 5)]
    assert [e.members for e in await announced(place.db, BoardFinalized)] == [2]


async def _place(log: EmbeddedLog) -> Partition:
    return next(p for p, lag in (await log.lag(GROUP, [ACTIVITY_TOPIC])).items() if lag)
