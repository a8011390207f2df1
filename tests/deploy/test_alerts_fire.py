"""A real Prometheus watches real processes: its alerts fire when something is broken on purpose, and clear again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.kafka import KafkaBroker, KafkaMissing
from tests.crash.processes import Installation, embedded, split
from tests.deploy.checkins import bearer, check_in, checking_in
from tests.deploy.queries import QUERIES
from tests.support.http import client_of
from tests.support.prometheus import Prometheus, prometheus_program
from tests.support.require import missing

SETTINGS = {"metrics_seconds": "0.3", "dead_letters_in_a_row": "5"}
ACTIVITY = {"service": "rewards", "topic": "guildhall.activity"}

WRONG = ["UPDATE accounts SET balance = balance + 7 WHERE system = 0"]
RIGHT = ["UPDATE accounts SET balance = balance - 7 WHERE system = 0"]
BREAK_SQLITE = ["CREATE TRIGGER broken BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'on purpose'); END"]
MEND_SQLITE = ["DROP TRIGGER broken"]
BREAK_POSTGRES = [
    "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'on purpose'; END $$",
    "CREATE TRIGGER broken BEFORE INSERT ON decisions EXECUTE FUNCTION broken()",
]
MEND_POSTGRES = ["DROP TRIGGER broken ON decisions"]

NOT_HAPPENED = {
    "guildhall-delivery: Held for later: A",
    "guildhall-delivery: Why not sent: A",
    "guildhall-economy: Spent and taken: A",
    "guildhall-pipeline: Alerts: A",
    "guildhall-pipeline: Batches tried again, consumers stopped: A",
    "guildhall-pipeline: Batches tried again, consumers stopped: B",
    "guildhall-pipeline: Checks of /readyz that fail: A",
    "guildhall-pipeline: Forgotten: A",
    "guildhall-traffic: Activity refused: A",
    "guildhall-traffic: Tokens and link codes: B",
}
"""Panels of what this story does not tell."""

Sql = Callable[[Sequence[str]], Any]


@pytest.fixture(autouse=True)
def _prometheus_is_here() -> None:
    prometheus_program()


@asynccontextmanager
async def watched(directory: Path, installation: Installation) -> AsyncIterator[Prometheus]:
    """Prometheus over every process of the installation; both are stopped at the end."""
    prometheus = Prometheus(directory / "prometheus", {n: p.url for n, p in installation.processes.items()})
    try:
        prometheus.start()
        await prometheus.until_scraped()
        yield prometheus
    finally:
        prometheus.stop()
        await asyncio.to_thread(installation.stop)


async def points_of_somebody(installation: Installation) -> None:
    """Until the first check-in is on a board, so that there are balances to spoil."""
    async with client_of(installation.url("rewards"), timeout=30) as http, asyncio.timeout(30):
        while not (await http.get("/v1/boards/xp", headers=bearer(installation))).json()["items"]:
            await asyncio.sleep(0.1)


async def retry_all(installation: Installation) -> None:
    async with client_of(installation.url("rewards"), timeout=30) as http:
        query = {"service": "rewards"}
        letters = (await http.get("/v1/dead-letters", params=query, headers=bearer(installation))).json()["items"]
        for code in {letter["code"] for letter in letters}:
            body = {"action": "retry", "code": code}
            reply = await http.post("/v1/dead-letters/bulk", params=query, json=body, headers=bearer(installation))
            assert reply.status_code == 200, reply.text


async def show_consumer_and_dead_letters(
    prometheus: Prometheus, installation: Installation, sql: Sql, broken: Sequence[str], mended: Sequence[str]
) -> None:
    """A bug in rewards: each message is given up, until so many in a row stop the consumer; mended, all is clear."""
    await sql(broken)
    await check_in(installation, 2)
    await prometheus.until_firing("GuildhallDeadLettersGrowing", service="rewards")
    assert "GuildhallConsumerStopped" not in await prometheus.firing()
    async with checking_in(installation):
        await prometheus.until_firing("GuildhallConsumerStopped", **ACTIVITY)
    await prometheus.until_firing("GuildhallNotReady")
    await sql(mended)
    process = installation.processes.get("rewards") or installation.processes["up"]
    await asyncio.to_thread(process.stop)
    await prometheus.until_firing("GuildhallProcessDown", process=process.name)
    await asyncio.to_thread(process.start)
    await retry_all(installation)
    await prometheus.until_clear(
        "GuildhallConsumerStopped",
        "GuildhallDeadLettersGrowing",
        "GuildhallNotReady",
        "GuildhallProcessDown",
        "GuildhallServiceMissing",
    )


async def show_ledger(prometheus: Prometheus, sql: Sql) -> None:
    """A hand in the database, and the hand takes it back."""
    await sql(WRONG)
    await prometheus.until_firing("GuildhallLedgerNotZero")
    await sql(RIGHT)
    await prometheus.until_clear("GuildhallLedgerNotZero")


async def show_dashboards(prometheus: Prometheus) -> None:
    """Queries that find nothing after a good deal has happened would find nothing in production either."""
    empty = {where for where, expr in QUERIES if not (await prometheus.get("query", query=expr))["result"]}
    panels = {where for where in empty if where.startswith("guildhall-")}
    assert panels <= NOT_HAPPENED


async def test_alerts_fire_and_clear_on_an_embedded_installation(tmp_path: Path) -> None:
    installation = await asyncio.to_thread(embedded, tmp_path, **SETTINGS)

    async def sql(statements: Sequence[str]) -> None:
        with closing(sqlite3.connect(tmp_path / "data" / "rewards.sqlite", timeout=20)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    async with watched(tmp_path, installation) as prometheus:
        await check_in(installation, 1)
        await points_of_somebody(installation)
        await show_ledger(prometheus, sql)
        await show_consumer_and_dead_letters(prometheus, installation, sql, BREAK_SQLITE, MEND_SQLITE)
        await show_dashboards(prometheus)
        # How full the disk is, is the machine's own business.
        assert (await prometheus.firing()).keys() <= {"GuildhallDiskFilling"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One of the test's own, because it is killed."""
    own = KafkaBroker(tmp_path / "kafka")
    try:
        own.start()
    except KafkaMissing as error:
        missing("kafka", str(error))
    yield own
    own.stop()


async def test_alerts_fire_and_clear_on_four_processes(
    tmp_path: Path, postgres_server: Any, broker: KafkaBroker
) -> None:
    name = "alerts"
    url = postgres_server.create_database(name)
    installation = await asyncio.to_thread(split, tmp_path, url, broker.bootstrap, prefix="", **SETTINGS)

    async def sql(statements: Sequence[str]) -> None:
        connection = await asyncpg.connect(f"{postgres_server.dsn}/{name}", server_settings={"search_path": "rewards"})
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async with watched(tmp_path, installation) as prometheus:
        await check_in(installation, 1)
        await points_of_somebody(installation)
        await show_ledger(prometheus, sql)
        await show_consumer_and_dead_letters(prometheus, installation, sql, BREAK_POSTGRES, MEND_POSTGRES)
        await asyncio.to_thread(broker.kill)
        # Taken all the same, by the spool of the one process that is as well as before.
        await check_in(installation, 1)
        for process in installation.processes.keys() - {"events"}:
            await prometheus.until_firing("GuildhallLogGone", process=process)
        await prometheus.until_firing("GuildhallSpoolInUse")
        assert {"GuildhallDatabaseGone", "GuildhallSpoolFilling"}.isdisjoint(await prometheus.firing())
        await asyncio.to_thread(broker.start)
        await prometheus.until_clear("GuildhallLogGone")
        await prometheus.until_clear("GuildhallSpoolInUse")
        await check_in(installation, 1)
