"""What a member of a group does about itself: reads no further ahead than it can hold, and notices its own silence."""

import asyncio
import os
import tracemalloc
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from deploy.local.kafka import KafkaBroker
from kit.log import LogUnavailable, Record
from kit.log.kafka import KafkaLog, adapter, consuming
from kit.log.kafka.consuming import KafkaSubscription
from tests.kit.log.conftest import PARTITIONS
from tests.kit.log.support import PATIENCE, next_to_read, read, records, topic, until, values
from tests.kit.log.test_kafka import opened, patiently

RECORD_BYTES, RECORDS = 100_000, 400


async def test_a_member_that_is_busy_reads_no_more_ahead_than_its_bound(kafka_broker: KafkaBroker, prefix: str) -> None:
    """Ten times what it may hold waits on the broker; it takes one record and then works for a while."""
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things = await topic(log)
        for start in range(0, RECORDS, 20):
            # Random, so that what travels is as large as what is held.
            await log.append(things, [Record(b"k%d" % n, os.urandom(RECORD_BYTES)) for n in range(start, start + 20)])
        bound = PARTITIONS * adapter.PARTITION_FETCH_BYTES
        assert 8 * bound < RECORDS * RECORD_BYTES
        tracemalloc.start()
        try:
            member = await log.subscribe("busy", [things])
            while not await member.fetch(1, 1.0):
                pass
            held = []
            for _ in range(15):
                await asyncio.sleep(0.2)
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        # Beside what was read ahead there are the records of a batch being taken apart and an answer on its way.
        assert max(held) < 3 * bound
        await member.close()


async def test_a_member_that_is_assigned_and_silent_is_made_anew_and_misses_nothing(
    kafka_broker: KafkaBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "SILENT_SECONDS", 1.0)
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things, member = await up_to_date(log)
        # The client falls silent as it does when it loses its place: assigned as before, and nothing comes.
        assert member._consumer is not None
        member._consumer.pause(*member._consumer.assignment())
        await log.append(things, records(10, start=10))
        assert len(member.assigned()) == PARTITIONS
        with capture_logs() as told:
            assert sorted(values(await read(member, 10))) == list(range(10, 20))
        assert "kafka.silent_consumer" in {line["event"] for line in told}
        await member.close()


async def up_to_date(log: KafkaLog) -> tuple[str, KafkaSubscription]:
    """A topic with ten records, and a member of the group g that has read and committed them."""
    things = await topic(log)
    await log.append(things, records(10))
    member = await log.subscribe("g", [things])
    await member.commit(next_to_read(await read(member, 10)))
    return things, member


async def read_although(member: KafkaSubscription, count: int) -> list[int]:
    """Values of so many records, whatever fetching says meanwhile."""
    found: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            try:
                batch = await member.fetch(500, 0.5)
                await member.commit(next_to_read(batch))
                found += values(batch)
            except (LogUnavailable, consuming.Revoked):
                await member.abandon()
    return found


async def failed() -> None:
    raise RuntimeError("unable to perform operation; the handler is closed")


async def never(_: object) -> None:
    await asyncio.Event().wait()


async def test_a_member_whose_client_has_a_dead_task_inside_is_made_anew(
    kafka_broker: KafkaBroker, prefix: str
) -> None:
    """As three brokers killed in turn left it: every later fetch would fail alike."""
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things, member = await up_to_date(log)
        coordinator = member._consumer._coordinator
        heartbeat, coordinator._heartbeat_task = coordinator._heartbeat_task, asyncio.create_task(failed())
        heartbeat.cancel()
        await log.append(things, records(10, start=10))
        assert sorted(await read_although(member, 10)) == list(range(10, 20))
        # And one whose client cancelled itself, which must not end whoever reads.
        member._consumer._coordinator._coordination_task.cancel()
        await asyncio.sleep(0)
        await log.append(things, records(10, start=20))
        assert sorted(await read_although(member, 10)) == list(range(20, 30))
        await member.close()


async def test_a_member_that_never_gets_into_its_group_again_is_made_anew(
    kafka_broker: KafkaBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As three brokers killed in turn left it: reading did not fail, and did not come back either."""
    monkeypatch.setattr(consuming, "FETCH_SECONDS", 3.0)
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things, member = await up_to_date(log)
        coordinator = member._consumer._coordinator
        coordinator._do_rejoin_group = never
        coordinator.request_rejoin()
        await until(lambda: not member.assigned())
        await log.append(things, records(10, start=10))
        assert sorted(await read_although(member, 10)) == list(range(10, 20))
        await member.close()


async def test_a_member_with_nothing_to_read_is_left_in_its_place(
    kafka_broker: KafkaBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "SILENT_SECONDS", 0.2)
    async with opened(kafka_broker.bootstrap, prefix) as log:
        _, member = await up_to_date(log)
        before = member._consumer
        for _ in range(4):
            assert await member.fetch(10, 0.3) == []
        assert member._consumer is before
        await member.close()


async def test_a_batch_that_was_in_hand_when_the_member_was_made_anew_cannot_be_committed(
    kafka_broker: KafkaBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things = await topic(log)
        await log.append(things, records(10))
        member = await log.subscribe("g", [things])
        got = await read(member, 10)
        await member._reopen()
        with pytest.raises(consuming.Revoked):
            await member.commit(next_to_read(got))
        assert sorted(values(await read(member, 10))) == list(range(10))
        await member.close()


async def test_a_member_whose_commit_met_a_dead_broker_commits_again_when_it_is_back(
    mortal: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client may go on reading and never find its coordinator again: without a new one it would stand for ever."""
    monkeypatch.setattr(consuming, "CALL_SECONDS", 3.0)
    async with opened(mortal.bootstrap) as log:
        things = await topic(log)
        await log.append(things, records(100))
        member = await log.subscribe("g", [things])
        await member.commit(next_to_read(await read(member, 10, limit=10)))
        got = await read(member, 10, limit=10)
        await asyncio.to_thread(mortal.kill)
        for _ in range(2):
            with pytest.raises((LogUnavailable, consuming.Revoked)):
                await member.commit(next_to_read(got))
            await member.abandon()
        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(PATIENCE):
            while any((await patiently(lambda: log.lag("g", [things]))).values()):
                batch = await patiently(lambda: member.fetch(50, 0.5))
                if batch:
                    with suppress(LogUnavailable, consuming.Revoked):
                        await member.commit(next_to_read(batch))
        await member.close()
