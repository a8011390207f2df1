"""How long an activity waits for its points while others keep coming: from the moment it is on the log until what it
earned is committed."""

import asyncio
from time import perf_counter
from typing import Any, cast
from uuid import UUID

from bench.activities import Day
from bench.installation import prepare
from bench.measure import percentiles
from kit import codec
from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC, Envelope
from kit.contracts.events import Activity
from kit.database import Tx
from kit.log import Record, Stored
from kit.settings import Settings
from services import server
from services.compose import BY_NAME, compose

SHARE = 0.5
"""Of what the consumers get through when everything is there already."""
STEP_SECONDS = 0.02
WARM = 0.2
"""The part of the activities, from the first on, that does not count: rules are compiled, pools filled."""


class Watch:
    """When activities were put on the log, and when the transaction that handled them was over."""

    def __init__(self) -> None:
        self.put: dict[UUID, float] = {}
        self.done: dict[UUID, float] = {}

    async def note(self, tx: Tx, batch: list[Envelope[Activity]]) -> None:
        ids = [one.id for one in batch]
        tx.after_commit.append(lambda: self.done.update(dict.fromkeys(ids, perf_counter())))

    def waits(self) -> list[float]:
        """Seconds, of those after the warm part; RuntimeError when one was put there and not handled."""
        counted = list(self.put.items())[int(len(self.put) * WARM) :]
        missing = sum(1 for id, _ in counted if id not in self.done)
        if missing or not counted:
            raise RuntimeError(f"{missing} of {len(counted)} activities were not handled")
        return [self.done[id] - at for id, at in counted]


async def measure(settings: Settings, day: Day, names: tuple[str, ...], rate: float) -> tuple[float, float]:
    """The median and the 99th percentile, in seconds, when so many activities a second come."""
    made = await prepare(settings)
    runtime = compose(settings, [BY_NAME[name] for name in names])
    rewards, watch = runtime.services["rewards"], Watch()
    cast(list[Any], rewards.handlers[Activity]).append(watch.note)
    wanted = rewards.service.activity_types
    records = [(_decoded(record), record) for record in day.records(1, made.community, system_clock())]
    server.tune_collector()
    await runtime.start(migrating=False)
    try:
        started, sent = perf_counter(), 0
        while sent < len(records):
            due = min(len(records), int((perf_counter() - started) * rate) + 1)
            step = records[sent:due]
            sent += len(step)
            if step:
                await runtime.log.append(ACTIVITY_TOPIC, [record for _, record in step])
                now = perf_counter()
                watch.put |= {one.id: now for one, _ in step if wanted is None or one.event.type in wanted}
            await asyncio.sleep(STEP_SECONDS)
        await runtime.settle(60)
    finally:
        await runtime.stop()
    return percentiles(watch.waits())


def _decoded(record: Record) -> Envelope[Activity]:
    assert record.value is not None
    one = codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, record.key, record.value))
    assert one is not None
    return cast(Envelope[Activity], one)
