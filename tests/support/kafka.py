"""A real Kafka broker for the session."""

import shutil
import tempfile
from collections.abc import Iterator
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
