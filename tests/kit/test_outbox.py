"""Leaving a service: with the state or not at all, once more rather than never, when due and not before."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from kit import codec, outbox
from kit.contracts import MEMBERS_TOPIC
from kit.contracts.members import CommunityChanged
from kit.contracts.platform import KeyUsed
from kit.database import Database, metadata_for
from kit.log import Log, Record, RecordTooLarge, Topic
from kit.log.embedded import EmbeddedLog
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")
MakeScratch = Callable[[object], Awaitable[Database]]


@pytest.fixture
async def db(scratch: MakeScratch) -> Database:
    return await scratch(METADATA)


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock):  # type: ignore[no-untyped-def]  # an async generator fixture
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    await log.start()
    await log.ensure([Topic(MEMBERS_TOPIC, compacted=True)])
    yield log
    await log.stop()


def used(clock: ManualClock) -> KeyUsed:
    return KeyUsed(key_id=uuid4(), used_at=clock.now)


async def on_the_log(log: Log) -> list[KeyUsed]:
    subscription = await log.subscribe(f"look-{uuid4()}", [MEMBERS_TOPIC])
    records = await subscription.fetch(1000, 0.2)
    await subscription.close()
    envelopes = [codec.decode(r) for r in records]
    return [e.event for e in envelopes if e is not None]


async def test_an_event_leaves_when_its_transaction_commits_and_not_when_it_does_not(
    db: Database, log: Log, clock: ManualClock
) -> None:
    event = used(clock)
    async with db.begin() as tx:
        outbox.add(tx, event)
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            outbox.add(tx, used(clock))
            raise RuntimeError
    assert await outbox.carry(db, log) == 1
    assert await outbox.carry(db, log) == 0
    assert await on_the_log(log) == [event]


async def test_events_of_an_undone_savepoint_do_not_leave(db: Database, log: Log, clock: ManualClock) -> None:
    kept, also = used(clock), used(clock)
    async with db.begin() as tx:
        outbox.add(tx, kept)
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                outbox.add(tx, used(clock))
                raise RuntimeError
        outbox.add(tx, also)
    await outbox.carry(db, log)
    assert await on_the_log(log) == [kept, also]


async def test_a_relay_that_dies_between_append_and_mark_sends_again(
    db: Database, log: Log, clock: ManualClock
) -> None:
    event = used(clock)
    async with db.begin() as tx:
        outbox.add(tx, event)

    class DyingLog:
        async def append(self, topic: str, records: list[Record]) -> None:
            await log.append(topic, records)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await outbox.carry(db, DyingLog())  # type: ignore[arg-type]  # only `append` is called
    await outbox.carry(db, log)
    assert await on_the_log(log) == [event, event]


async def test_due_work_leaves_at_its_time_and_not_before(db: Database, log: Log, clock: ManualClock) -> None:
    event = used(clock)
    async with db.begin() as tx:
        outbox.add(tx, event, not_before=clock.now + timedelta(minutes=5), due_key="reminder")
    assert await outbox.carry(db, log) == 0
    clock.advance(timedelta(minutes=5))
    assert await outbox.carry(db, log) == 1
    assert await on_the_log(log) == [event]


async def test_due_work_is_moved_and_cancelled_in_a_transaction(db: Database, log: Log, clock: ManualClock) -> None:
    async with db.begin() as tx:
        outbox.add(tx, used(clock), not_before=clock.now + timedelta(minutes=5), due_key="a")
        outbox.add(tx, used(clock), not_before=clock.now + timedelta(minutes=5), due_key="b")
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            assert await outbox.cancel(tx, "a")
            raise RuntimeError
    async with db.begin() as tx:
        assert await outbox.move(tx, "a", clock.now + timedelta(hours=1))
        assert await outbox.cancel(tx, "b")
        assert not await outbox.cancel(tx, "c")
    clock.advance(timedelta(minutes=30))
    assert await outbox.carry(db, log) == 0
    clock.advance(timedelta(minutes=30))
    assert await outbox.carry(db, log) == 1
    async with db.begin() as tx:
        assert not await outbox.cancel(tx, "a"), "it has left already"


async def test_a_service_cannot_announce_what_it_does_not_publish(db: Database) -> None:
    event = CommunityChanged(
        community_id=uuid4(), version=1, name="n", zone="UTC", day_start=0, locale="en", state="active"
    )
    with pytest.raises(ValueError, match="does not publish"):
        async with db.begin() as tx:
            outbox.add(tx, event)


async def test_an_event_too_large_for_the_log_is_refused_before_it_could_stop_the_relay(
    db: Database, log: Log, clock: ManualClock
) -> None:
    db.publishes = frozenset({CommunityChanged, KeyUsed})
    event = CommunityChanged(
        community_id=uuid4(), version=1, name="n" * 1_000_000, zone="UTC", day_start=0, locale="en", state="active"
    )
    with pytest.raises(RecordTooLarge, match=r"guildhall\.members\.community_changed"):
        async with db.begin() as tx:
            outbox.add(tx, event)
    async with db.begin() as tx:
        outbox.add(tx, used(clock))
    assert await outbox.carry(db, log) == 1


async def test_concurrent_transactions_lose_no_row_and_keep_the_order_of_a_key(
    db: Database, log: Log, clock: ManualClock
) -> None:
    """A relay with a cursor over the sequence loses rows that commit late with a low number; ours keeps none."""
    key = uuid4()
    stopping = asyncio.Event()
    running = asyncio.create_task(outbox.relay(db, log, stopping))

    async def write(writer: int) -> None:
        for step in range(10):
            async with db.begin() as tx:
                outbox.add(tx, KeyUsed(key_id=uuid4() if writer else key, used_at=clock.now + timedelta(seconds=step)))
                await asyncio.sleep(0.001 * (writer % 3))

    await asyncio.gather(*(write(w) for w in range(20)))
    async with asyncio.timeout(60):
        while True:
            async with db.read() as tx:
                if (await outbox.waiting(tx))[0] == 0:
                    break
            await asyncio.sleep(0.02)
    stopping.set()
    await running
    events = await on_the_log(log)
    assert len(events) == 200
    ours = [e.used_at for e in events if e.key_id == key]
    assert ours == sorted(ours)
    assert len(ours) == 10
