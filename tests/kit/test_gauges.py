"""What /readyz says is a metric too, and old gauges can be told from fresh ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from kit.log.embedded import EmbeddedLog
from kit.metrics import DEAD_LETTERS_WRITTEN, LOG_APPEND_FAILURES
from kit.runtime import Runtime
from tests.kit.toy import Toy

PATIENCE = 30.0


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    for counter in (DEAD_LETTERS_WRITTEN, LOG_APPEND_FAILURES):
        # Other tests of this process may have counted for a toy too.
        counter.labels("toy")
        counter.remove("toy")
    log = EmbeddedLog(tmp_path / "log.sqlite")
    runtime = Toy().runtime(log, data_dir=tmp_path, metrics_seconds=0.1)
    await runtime.start(migrating=True)
    yield runtime
    await runtime.stop()


def check(name: str) -> float | None:
    return REGISTRY.get_sample_value("guildhall_ready_check", {"check": name})


def refreshed(source: str) -> float:
    return REGISTRY.get_sample_value("guildhall_gauges_refreshed_timestamp_seconds", {"source": source}) or 0.0


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_log_that_is_away_is_seen_and_gauges_about_it_grow_old(runtime: Runtime) -> None:
    await until(lambda: check("log") == 1 and check("database:toy") == 1 and refreshed("log") > 0)
    await runtime.log.stop()
    await until(lambda: check("log") == 0)
    since, database = refreshed("log"), refreshed("database")
    await until(lambda: refreshed("database") > database)
    assert check("database:toy") == 1
    assert refreshed("log") == since
    await runtime.log.start()
    await until(lambda: check("log") == 1 and refreshed("log") > since)


async def test_a_check_that_is_not_made_any_more_is_not_shown_any_more(runtime: Runtime) -> None:
    consumer = runtime.consumers[0]
    consumer.stopped_by = "the test says so"
    await until(lambda: check(f"consumer:{consumer.group}") == 0)
    consumer.stopped_by = None
    await until(lambda: check(f"consumer:{consumer.group}") is None)


async def test_counters_that_alerts_look_at_begin_at_zero(runtime: Runtime) -> None:
    """The first dead letter must be an increase."""
    await until(lambda: refreshed("database") > 0)
    for name in ("guildhall_dead_letters_written_total", "guildhall_log_append_failures_total"):
        assert REGISTRY.get_sample_value(name, {"service": "toy"}) == 0
    labels = {"service": "toy", "topic": "guildhall.members"}
    assert REGISTRY.get_sample_value("guildhall_consumer_stopped", labels) == 0
    assert REGISTRY.get_sample_value("guildhall_consumed_records_total", labels) is not None


async def test_the_disk_under_the_files_is_measured(runtime: Runtime) -> None:
    await until(lambda: refreshed("database") > 0)
    free = REGISTRY.get_sample_value("guildhall_disk_free_bytes") or 0
    assert 0 < free <= (REGISTRY.get_sample_value("guildhall_disk_size_bytes") or 0)
