"""Both implementations of the log behind one fixture: what `test_*` here say holds for the file and for Kafka (K34)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from kit.log import Log
from tests.support.clock import ManualClock

PARTITIONS = 4


class Logs(Protocol):
    """Logs on one store: what one of them wrote, the one opened after it reads."""

    kind: str

    async def open(self) -> Log: ...

    async def stop(self) -> None: ...


class EmbeddedLogs:
    kind = "embedded"

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self._path = path
        self._clock = clock
        self._opened: list[Log] = []

    async def open(self) -> Log:
        from kit.log.embedded import EmbeddedLog

        log = EmbeddedLog(self._path, partitions=PARTITIONS, clock=self._clock)
        await log.start()
        self._opened.append(log)
        return log

    async def stop(self) -> None:
        for log in self._opened:
            await log.stop()


class KafkaLogs:
    kind = "kafka"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = f"t{uuid4().hex[:12]}."
        self._opened: list[Log] = []

    async def open(self) -> Log:
        from kit.log.kafka import KafkaLog

        log = KafkaLog(self._bootstrap, partitions=PARTITIONS, replication=1, client_id="suite", prefix=self._prefix)
        await log.start()
        self._opened.append(log)
        return log

    async def stop(self) -> None:
        for log in self._opened:
            await log.stop()


@pytest.fixture(params=["embedded", "kafka"])
async def logs(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Logs]:
    """`log = await logs.open()`; stop a log before the next one is opened, as a process does that is started again."""
    made: Logs
    if request.param == "embedded":
        made = EmbeddedLogs(tmp_path / "log.sqlite", clock)
    else:
        made = KafkaLogs(request.getfixturevalue("kafka_broker").bootstrap)
    yield made
    await made.stop()


@pytest.fixture
def prefix() -> str:
    """Names of this test's own on the shared broker."""
    return f"t{uuid4().hex[:12]}."


@pytest.fixture
async def log(logs: Logs) -> Log:
    return await logs.open()
