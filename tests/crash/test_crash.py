"""SIGKILL at moments drawn from a seed while a large chat flows in; nothing is lost, nothing counts twice.

`GUILDHALL_CRASH_SEED` repeats a schedule, `GUILDHALL_CRASH_KILLS` sets its length: few in `make test`, 50 in
`make soak`, which takes the whole chat.
"""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.generator import generate
from tests.crash import harness
from tests.crash.processes import embedded, split
from tests.journeys.data import activities_of, has

SEED = int(os.environ.get("GUILDHALL_CRASH_SEED", secrets.randbelow(10**6)))
FEW_KILLS, FEW_EVENTS = 5, 8_000
MANY_KILLS = int(os.environ.get("GUILDHALL_CRASH_KILLS", "50"))


def some_events(count: int | None) -> list[dict[str, Any]]:
    """The first `count` of the recorded chat (None: all); where that is not at hand, a simulated community's."""
    if has("large-chat"):
        return activities_of("large-chat")[:count]
    simulated = generate(SEED, 1000, 100, datetime(2026, 11, 1, tzinfo=UTC))
    distinct = {event["id"]: event for event in simulated}
    return list(distinct.values())[:count]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - pytest shows it when the test fails, and always with -s


async def test_the_process_is_killed_while_history_flows_in(tmp_path: Path) -> None:
    installation = embedded(tmp_path)
    try:
        await harness.run(installation, some_events(FEW_EVENTS), seed=SEED, kills=FEW_KILLS, say=say)
    finally:
        installation.stop()


async def test_any_of_four_processes_is_killed_while_history_flows_in(
    tmp_path: Path, postgres_server: Any, kafka_broker: Any
) -> None:
    url = postgres_server.create_database("crash_few")
    installation = split(tmp_path, url, kafka_broker.bootstrap, prefix="few.")
    try:
        await harness.run(installation, some_events(FEW_EVENTS), seed=SEED, kills=FEW_KILLS, say=say)
    finally:
        installation.stop()


@pytest.mark.soak
async def test_the_process_is_killed_many_times(tmp_path: Path) -> None:
    installation = embedded(tmp_path)
    try:
        await harness.run(installation, some_events(None), seed=SEED, kills=MANY_KILLS, say=say)
    finally:
        installation.stop()


@pytest.mark.soak
async def test_any_of_four_processes_is_killed_many_times(
    tmp_path: Path, postgres_server: Any, kafka_broker: Any
) -> None:
    url = postgres_server.create_database("crash_many")
    installation = split(tmp_path, url, kafka_broker.bootstrap, prefix="many.")
    try:
        await harness.run(installation, some_events(None), seed=SEED, kills=MANY_KILLS, say=say)
    finally:
        installation.stop()
