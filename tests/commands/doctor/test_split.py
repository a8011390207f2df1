"""Doctor beside running platforms, and on PostgreSQL and Kafka with something wrong."""

import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from deploy.local.kafka import KafkaBroker, free_ports
from deploy.local.postgres import PostgresServer
from kit.contracts import ACTIVITY_TOPIC
from kit.database import Database
from kit.log import Record, Topic
from kit.log.kafka import KafkaLog
from kit.log.spool import SpooledLog
from kit.migrations import migrate
from kit.runtime import topics
from kit.settings import PREFIX, Settings, load_settings
from services.commands.doctor.examining import examine
from services.commands.doctor.findings import Finding, State
from services.compose import BY_NAME, SERVICES
from services.engines import open_service_database, spool_path
from tests.commands.doctor.conftest import by_name
from tests.support.platform import App

_numbers = count(1)


def environ_of(settings: Settings) -> dict[str, str]:
    given = settings.model_dump(exclude_defaults=True)
    return {PREFIX + name.upper(): str(value) for name, value in given.items()}


async def look(environ: dict[str, str], *names: str, books: bool = False, seconds: float = 60.0) -> dict[str, Finding]:
    services = tuple(BY_NAME[name] for name in names) or SERVICES
    found, hanging = await examine(services, seconds=seconds, books=books, environ=environ)
    assert not hanging
    return by_name(found)


async def test_a_running_platform_is_well_down_to_its_books(platform: App) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/bots/one",
        "type": "checkin.submitted",
        "data": {"actor": "qq:1", "group": "qq:100"},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    reply = await platform.client.post("/v1/events", json=event, headers=headers)
    assert reply.json()["accepted"] == 1
    await platform.settle()
    settings = platform.runtime.settings
    environ = environ_of(settings)
    if settings.embedded:
        # It made its own, and keeps it in the file.
        del environ["GUILDHALL_SECRET_KEY"]
    found = await look(environ, books=True)
    assert {one.state for one in found.values()} == {State.OK}, found
    assert "books:rewards:boards" in found
    assert ("clock" in found) == (not settings.embedded)


@pytest.fixture
def environ(postgres_server: PostgresServer, kafka_broker: KafkaBroker, tmp_path: Path) -> dict[str, str]:
    """Of a split installation of which there is nothing yet."""
    return {
        "GUILDHALL_DATA_DIR": str(tmp_path / "none"),
        "GUILDHALL_DATABASE_URL": postgres_server.create_database(f"doctor_{next(_numbers)}"),
        "GUILDHALL_KAFKA": kafka_broker.bootstrap,
        "GUILDHALL_KAFKA_PREFIX": f"doctor{next(_numbers)}.",
        "GUILDHALL_KAFKA_PARTITIONS": "2",
        "GUILDHALL_SECRET_KEY": "s" * 32,
    }


def rewards_database(environ: dict[str, str]) -> Database:
    service = BY_NAME["rewards"]
    return open_service_database(load_settings(environ), service.name, service.metadata, frozenset(service.publishes))


async def test_before_the_first_migration_it_says_which_command_is_missing(environ: dict[str, str]) -> None:
    found = await look(environ)
    assert {found[f"schema:{service.name}"].state for service in SERVICES} == {State.FAILED}
    assert "guildhall migrate" in found["schema:rewards"].do
    assert found["topics"].state is State.WARNING
    assert (found["kafka"].state, found["spool"].state) == (State.OK, State.OK)


async def test_what_waits_in_the_spool_is_counted_and_a_file_that_is_none_is_said(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    settings.data_dir.mkdir()
    [port] = free_ports(1)
    nobody = KafkaLog(f"127.0.0.1:{port}", client_id="doctor")
    log = SpooledLog(nobody, spool_path(settings), topics=[ACTIVITY_TOPIC], limit_bytes=10**6)
    await log.start()
    try:
        await log.ensure([Topic(ACTIVITY_TOPIC)])
        await log.append(ACTIVITY_TOPIC, [Record(b"k", b"v")] * 7)
        # Beside the process that has it open, too.
        assert (await look(environ, "events"))["spool"].found.startswith("7 accepted activities wait")
    finally:
        await log.stop()
    found = await look(environ, "events")
    assert (found["spool"].state, found["disk"].state) == (State.WARNING, State.OK)
    assert not {"spool", "disk"} & (await look(environ, "rewards")).keys()
    assert "spool" not in await look({**environ, "GUILDHALL_SPOOL_MB": "0"}, "events")
    spool_path(settings).write_bytes(b"no database" * 1000)
    assert (await look(environ, "events"))["spool"].state is State.FAILED


async def test_looking_makes_no_schema_and_no_topic(environ: dict[str, str]) -> None:
    await look(environ)
    db = rewards_database(environ)
    async with db.read() as tx:
        names = "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'rewards'"
        assert await tx.scalar(text(names)) == 0
    await db.close()
    assert (await look(environ))["topics"].state is State.WARNING


async def test_a_named_service_is_looked_at_alone(environ: dict[str, str]) -> None:
    db = rewards_database(environ)
    await migrate(db, BY_NAME["rewards"].migrations)
    await db.close()
    found = await look(environ, "rewards")
    assert found["schema:rewards"].state is State.OK
    assert not [name for name in found if name.endswith((":members", ":events", ":notify"))]


async def test_topics_that_differ_are_told_with_the_command_that_mends_them(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    log = KafkaLog(settings.kafka, partitions=2, prefix=settings.kafka_prefix)
    await log.start()
    wanted = topics(settings)
    await log.ensure(wanted)
    assert (await look(environ))["topics"].state is State.OK
    longer = await look({**environ, "GUILDHALL_LOG_RETENTION_DAYS": "8"})
    assert (longer["topics"].state, "retention.ms" in longer["topics"].found) == (State.WARNING, True)
    assert "guildhall topics repair" in longer["topics"].do
    await log.topics._set(wanted[0], {"cleanup.policy": "delete"})
    while (await log.topics.find(wanted))[wanted[0].name].configs["cleanup.policy"] != "delete":
        pass
    forgetful = (await look(environ))["topics"]
    assert (forgetful.state, "cleanup.policy" in forgetful.found) == (State.FAILED, True)
    await log.stop()


async def test_what_cannot_be_used_is_told_before_anything_is_opened(environ: dict[str, str]) -> None:
    found = await look({**environ, "GUILDHALL_DATABASE_URL": "mysql://somewhere/x", "GUILDHALL_SECRET_KEY": ""})
    assert (found["settings"].state, "postgresql+asyncpg" in found["settings"].do) == (State.FAILED, True)
    assert found["secret"].state is State.FAILED
    assert "kafka" not in found
    given = {"GUILDHALL_KAFKA_TLS": "true", "GUILDHALL_KAFKA_TLS_CA": environ["GUILDHALL_DATA_DIR"]}
    assert "GUILDHALL_KAFKA_TLS_CA" in (await look({**environ, **given}))["settings"].found


async def test_a_database_that_is_not_on_the_server_is_named(environ: dict[str, str]) -> None:
    elsewhere = environ["GUILDHALL_DATABASE_URL"].rpartition("/")[0] + "/nowhere"
    found = (await look({**environ, "GUILDHALL_DATABASE_URL": elsewhere}))["database:rewards"]
    assert (found.state, "nowhere" in found.found, "GUILDHALL_DATABASE_URL" in found.do) == (State.FAILED, True, True)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


async def test_engines_that_never_answer_hold_up_nobody(environ: dict[str, str], silent: int) -> None:
    nowhere = f"postgresql+asyncpg://someone:password-of-theirs@127.0.0.1:{silent}/x"
    given = {"GUILDHALL_DATABASE_URL": nowhere, "GUILDHALL_KAFKA": f"127.0.0.1:{silent}"}
    found = await look({**environ, **given}, seconds=1.0)
    away = {found["kafka"], *(found[f"database:{service.name}"] for service in SERVICES)}
    assert {one.state for one in away} == {State.FAILED}
    assert "schema:rewards" not in found


async def test_engines_that_are_not_there_are_told_with_their_address_and_without_the_password(
    environ: dict[str, str],
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nowhere = f"postgresql+asyncpg://someone:password-of-theirs@127.0.0.1:{port}/x"
    found = await look({**environ, "GUILDHALL_DATABASE_URL": nowhere, "GUILDHALL_KAFKA": f"127.0.0.1:{port}"})
    assert found["database:rewards"].state is found["kafka"].state is State.FAILED
    assert f"127.0.0.1:{port}" in found["database:rewards"].do
    assert "password-of-theirs" not in str(found)
