"""A real Kafka broker for the session."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker, KafkaMissing
from tests.support.require import missing


@pytest.fixture(scope="session")
def _kafka() -> Iterator[KafkaBroker | str]:
    """The broker, or why there is none."""
    directory = Path(tempfile.mkdtemp(prefix="guildhall-kafka-"))
    broker = KafkaBroker(directory / "broker")
    try:
        broker.start()
    except (KafkaMissing, RuntimeError, OSError) as error:
        yield str(error)
        return
    yield broker
    broker.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def kafka_broker(_kafka: KafkaBroker | str) -> KafkaBroker:
    """A running broker; the test is skipped, or fails where it is required, when none can be had."""
    if isinstance(_kafka, str):
        missing("kafka", _kafka)
    return _kafka


@pytest.fixture
async def mortal(kafka_broker: KafkaBroker, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """A broker of this test's own, to be killed; asking for the shared one skips where there is none."""
    broker = KafkaBroker(tmp_path / "broker")
    await asyncio.to_thread(broker.start)
    yield broker
    await asyncio.to_thread(broker.stop)
