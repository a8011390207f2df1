"""What docs/operations.md says about backups, done: taken while people check in, restored, and nothing counted twice.

Each person checks in once and gets 10 points: whoever is stored must have exactly those, when all is caught up with.
"""

import asyncio
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import USER, PostgresServer, binaries
from tests.crash.processes import SERVICES, Installation, Process, clean_environment, embedded, lags, split
from tests.deploy.checkins import bearer, check_in, checking_in
from tests.support.http import client_of

EACH = 10
STORED = "SELECT count(*) FROM {events}activities"
POINTS = "SELECT count(*), min(balance), max(balance) FROM {rewards}accounts WHERE system = 0 AND unit = 'xp'"
BOOKS = "SELECT sum(balance) FROM {rewards}accounts"
FROM_THE_BEGINNING = "DELETE FROM positions"
AHEAD = (
    "DO $$ DECLARE t text; BEGIN FOR t IN SELECT table_name FROM information_schema.columns WHERE table_schema ="
    " 'members' AND column_name = 'version' AND table_name NOT LIKE 'known%' LOOP EXECUTE"
    " format('UPDATE members.%I SET version = version + 1000000', t); END LOOP; END $$"
)
"""Copies know versions from after the dump; what members changes next must be newer than those."""
NEW_LOG = (
    "DELETE FROM events.tails",
    "UPDATE events.activities SET log_offset = -1",
    "UPDATE events.consequences SET log_offset = -1",
)


async def caught_up(installation: Installation) -> None:
    """Until nothing is left to read and to send, twice over: what was handled last may have announced something."""
    quiet = 0
    async with asyncio.timeout(90):
        while quiet < 3:
            quiet = 0 if any((await lags(installation)).values()) else quiet + 1
            await asyncio.sleep(0.5)


def restarted(installation: Installation, directory: Path, **changed: str) -> Installation:
    """The same processes with other settings, started."""
    settings = {**installation.settings, **changed}
    environment = clean_environment(**settings)
    processes = {
        name: Process(name, old.arguments, environment, directory / f"{name}-restored.log")
        for name, old in installation.processes.items()
    }
    for process in processes.values():
        process.spawn()
    for process in processes.values():
        process.wait_ready()
    return Installation(processes, settings, installation.community, installation.key)


def copy_files(data: Path, to: Path) -> None:
    """Beside the running process: the databases first, the log last."""
    to.mkdir()
    for name in (*SERVICES, "log"):
        with (
            closing(sqlite3.connect(f"file:{data / name}.sqlite?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(to / f"{name}.sqlite")) as copy,
        ):
            source.backup(copy)
    shutil.copy(data / "secret", to / "secret")


def of_files(data: Path, query: str) -> Any:
    name = "events" if "{events}" in query else "rewards"
    with closing(sqlite3.connect(data / f"{name}.sqlite")) as connection:
        return connection.execute(query.format(events="", rewards="")).fetchone()


async def test_an_embedded_installation_comes_back_from_files_copied_beside_it(tmp_path: Path) -> None:
    installation = await asyncio.to_thread(embedded, tmp_path)
    copy = tmp_path / "backup"
    async with checking_in(installation, pause=0.0) as taken:
        while len(taken) < 50:
            await asyncio.sleep(0.05)
        before = len(taken)
        await asyncio.to_thread(copy_files, tmp_path / "data", copy)
        while len(taken) < before + 50:
            await asyncio.sleep(0.05)
    installation.processes["up"].kill()
    with closing(sqlite3.connect(copy / "log.sqlite")) as log:
        log.execute(FROM_THE_BEGINNING)
        log.commit()
    restored = await asyncio.to_thread(restarted, installation, tmp_path, data_dir=str(copy))
    try:
        await caught_up(restored)
    finally:
        await asyncio.to_thread(restored.stop)
    [stored] = of_files(copy, STORED)
    assert before <= stored
    assert of_files(copy, POINTS) == (stored, EACH, EACH)
    assert of_files(copy, BOOKS) == (0,)


async def test_a_stopped_embedded_installation_is_its_folder(tmp_path: Path) -> None:
    installation = await asyncio.to_thread(embedded, tmp_path)
    await check_in(installation, 20)
    await asyncio.to_thread(installation.stop)
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    restored = await asyncio.to_thread(restarted, installation, tmp_path, data_dir=str(tmp_path / "backup"))
    try:
        await check_in(restored, 1)
        await caught_up(restored)
    finally:
        await asyncio.to_thread(restored.stop)
    assert of_files(tmp_path / "backup", POINTS) == (21, EACH, EACH)


class Dumped:
    """A database in `server`, with the programs that operators use."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server, self.name = server, name

    def _run(self, program: str, *arguments: str | Path) -> None:
        where = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", USER]
        command = [str(binaries() / program), *where, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def dump(self, to: Path) -> None:
        self._run("pg_dump", "--format=custom", "--file", to, self.name)

    def restore(self, dumped: Path) -> None:
        self._run("pg_restore", "--exit-on-error", "--dbname", self.name, dumped)

    async def ask(self, query: str) -> tuple[Any, ...]:
        connection = await asyncpg.connect(f"{self.server.dsn}/{self.name}")
        try:
            row = await connection.fetchrow(query.format(events="events.", rewards="rewards."))
            return tuple(row) if row is not None else ()
        finally:
            await connection.close()


async def rewind(broker: KafkaBroker, prefix: str) -> None:
    """What `kafka-consumer-groups --reset-offsets --to-earliest --execute` does to the groups of an installation."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        # Those of a topic each; what a service reads its copies with is nobody's place and not kept.
        groups = [n for n, *_ in await admin.list_consumer_groups() if n.startswith(prefix) and ":rebuild-" not in n]
        topics = {name: [] for name in await admin.list_topics() if name.startswith(prefix)}
        for described in await admin.describe_topics(list(topics)):
            topics[described["topic"]] = [p["partition"] for p in described["partitions"]]
    finally:
        await admin.close()
    assert groups
    for group in groups:
        topic = prefix + group.rpartition(":")[2]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in topics[topic]]
            consumer.assign(places)
            begins = await consumer.beginning_offsets(places)
            await consumer.commit({place: OffsetAndMetadata(begins[place], "") for place in places})
        finally:
            await consumer.stop()


async def rename(installation: Installation, name: str) -> None:
    async with client_of(installation.url("members"), timeout=30) as http:
        path = f"/v1/communities/{installation.community}"
        reply = await http.patch(path, json={"name": name}, headers=bearer(installation))
        assert reply.status_code == 200, reply.text


async def dumped_while_people_check_in(
    directory: Path, server: PostgresServer, broker: KafkaBroker
) -> tuple[Installation, Path, int]:
    """A stopped installation, a dump taken in its life, and how many had checked in when that began."""
    name = f"backup_{directory.name}".lower()
    url = server.create_database(name)
    installation = await asyncio.to_thread(split, directory, url, broker.bootstrap, prefix=f"{name}.")
    async with checking_in(installation, pause=0.0) as taken:
        while len(taken) < 50:
            await asyncio.sleep(0.05)
        before = len(taken)
        await asyncio.to_thread(Dumped(server, name).dump, directory / "dump")
        while len(taken) < before + 50:
            await asyncio.sleep(0.05)
    for name in ("Twice", "renamed"):
        await rename(installation, name)
    await caught_up(installation)
    await asyncio.to_thread(installation.stop)
    return installation, directory / "dump", before


async def test_a_dump_comes_back_whole_with_the_log_read_again_and_without_it_goes_on_with_an_empty_one(
    tmp_path: Path, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    installation, dump, before = await dumped_while_people_check_in(tmp_path, postgres_server, kafka_broker)
    name = tmp_path.name.lower()
    read_again = Dumped(postgres_server, f"read_again_{name}")
    url = postgres_server.create_database(read_again.name)
    await asyncio.to_thread(read_again.restore, dump)
    await read_again.ask(AHEAD)
    await rewind(kafka_broker, installation.settings["kafka_prefix"])
    restored = await asyncio.to_thread(restarted, installation, tmp_path, database_url=url)
    try:
        await rename(restored, "Restored")
        await caught_up(restored)
    finally:
        await asyncio.to_thread(restored.stop)
    assert await read_again.ask("SELECT name FROM rewards.known_communities") == ("Restored",)
    [stored] = await read_again.ask(STORED)
    assert stored >= before + 50
    assert await read_again.ask(POINTS) == (stored, EACH, EACH)
    assert await read_again.ask(BOOKS) == (0,)

    empty = Dumped(postgres_server, f"empty_{name}")
    url = postgres_server.create_database(empty.name)
    await asyncio.to_thread(empty.restore, dump)
    for statement in NEW_LOG:
        await empty.ask(statement)
    restored = await asyncio.to_thread(restarted, installation, tmp_path, database_url=url, kafka_prefix=f"{name}.")
    try:
        # What the dump held unsent is new to this log too, and rightly shown: first let that pass.
        await caught_up(restored)
        await the_live_tail_shows_what_is_new_and_nothing_else(restored)
        await caught_up(restored)
    finally:
        await asyncio.to_thread(restored.stop)


async def the_live_tail_shows_what_is_new_and_nothing_else(installation: Installation) -> None:
    """With a key from before: keys and members are known from the dump."""
    async with (
        client_of(installation.url("events"), timeout=30) as http,
        http.stream("GET", "/v1/events/stream", headers=bearer(installation)) as tail,
    ):
        newest = await check_in(installation, 1)
        async for line in tail.aiter_lines():
            if line.startswith("data:"):
                assert f'"{newest}"' in line
                return
