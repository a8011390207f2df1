"""An empty target."""

from itertools import count

import pytest

from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from tests.commands.moving.target import Target

_numbers = count(1)


@pytest.fixture
def target(postgres_server: PostgresServer, kafka_broker: KafkaBroker) -> Target:
    number = next(_numbers)
    return Target(postgres_server.create_database(f"moved_{number}"), kafka_broker.bootstrap, f"moved{number}.")
