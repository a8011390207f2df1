"""The broker and the database are killed as well while a large chat flows in; and a broker that stays away is not
noticed by those who send (K36). As in `test_crash`: nothing is lost, nothing counts twice.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from tests.crash import harness
from tests.crash.processes import Engine, Installation, split
from tests.crash.schedule import Kill
from tests.crash.test_crash import FEW_KILLS, MANY_KILLS, SEED, say, some_events

FEW_EVENTS = 3_600


@contextmanager
def on_engines_of_its_own(tmp_path: Path, broker: KafkaBroker, *, away: float = 0.0) -> Iterator[Installation]:
    """Four processes on a database server that keeps what it committed, and on a broker that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="guildhall-crash-"))
    server = PostgresServer(folder / "data", fsync=True)
    server.start()
    try:
        installation = split(tmp_path, server.create_database("crash"), broker.bootstrap, prefix="engines.")
        installation.engines = {"broker": Engine(broker, away), "postgres": Engine(server)}
        try:
            yield installation
        finally:
            installation.stop()
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


async def test_the_broker_and_the_database_are_killed_while_history_flows_in(
    tmp_path: Path, postgres_server: PostgresServer, mortal: KafkaBroker
) -> None:
    events = some_events(FEW_EVENTS)
    plan = [Kill(5, 0.1, "broker"), Kill(14, 0.1, "postgres"), Kill(22, 0.0, "rewards"), Kill(32, 0.0, "broker", 1.0)]
    with on_engines_of_its_own(tmp_path, mortal) as installation:
        await harness.carry_out(installation, events, plan, say=say)


async def test_who_sends_does_not_notice_that_the_broker_is_away(
    tmp_path: Path, postgres_server: PostgresServer, mortal: KafkaBroker
) -> None:
    with on_engines_of_its_own(tmp_path, mortal, away=10.0) as installation:
        await not_noticed(installation, FEW_EVENTS)


@pytest.mark.soak
async def test_everything_is_killed_many_times(
    tmp_path: Path, postgres_server: PostgresServer, mortal: KafkaBroker
) -> None:
    with on_engines_of_its_own(tmp_path, mortal) as installation:
        await harness.run(installation, some_events(None), seed=SEED, kills=max(FEW_KILLS, MANY_KILLS), say=say)


@pytest.mark.soak
async def test_who_sends_does_not_notice_two_minutes_without_the_broker(
    tmp_path: Path, postgres_server: PostgresServer, mortal: KafkaBroker
) -> None:
    with on_engines_of_its_own(tmp_path, mortal, away=120.0) as installation:
        await not_noticed(installation, None)


async def test_the_door_of_a_process_that_starts_while_the_broker_is_away_is_open(
    tmp_path: Path, postgres_server: PostgresServer, mortal: KafkaBroker
) -> None:
    with on_engines_of_its_own(tmp_path, mortal) as installation:
        door = installation.processes["events"]
        await asyncio.to_thread(mortal.kill)
        await asyncio.to_thread(door.kill)
        await asyncio.to_thread(door.start)
        plan = [Kill(5, 0.0, "events"), Kill(15, 0.0, "broker")]
        await harness.carry_out(installation, some_events(2_000), plan, say=say)


async def not_noticed(installation: Installation, count: int | None) -> None:
    """The broker goes while events flow: every one is acknowledged the first time it is sent."""
    answered = await harness.carry_out(installation, some_events(count), [Kill(5, 0.0, "broker")], say=say)
    assert answered.retries == 0
