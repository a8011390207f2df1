"""While the database is away a caller seen before still comes in, so that activity can be taken (log first)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.postgres import PostgresServer
from kit.auth import STALE
from kit.database import open_database
from tests.kit.auth.conftest import METADATA, router
from tests.kit.stand import Stand, standing
from tests.support.clock import ManualClock
from tests.support.network import SlowLine

WHO = "/v1/scratch/who"


@pytest.fixture
async def server(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A server of this test's own, to be stopped; asking for the shared one skips where there is none."""
    server = PostgresServer(tmp_path / "pg", fsync=False)
    server.start()
    yield server
    server.remove()


@asynccontextmanager
async def stand_on(url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stand]:
    db = open_database("public", clock, metadata=METADATA, url=url)
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    async with standing(db, clock, tmp_path, router) as stand:
        yield stand
    await db.close()


@pytest.fixture
async def away(server: PostgresServer, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stand]:
    async with stand_on(server.create_database("away"), tmp_path, clock) as stand:
        yield stand


async def test_a_key_seen_before_is_good_for_fifteen_minutes_and_no_other_is(
    away: Stand, server: PostgresServer
) -> None:
    _, unseen = await away.key_known(away.community)
    other = await away.community_known()
    _, of_two = await away.key_known(away.community, other)
    of_two |= {"Guildhall-Community": str(other)}
    for headers in ({}, of_two):
        assert (await away.client.get(WHO, headers=headers)).status_code == 200
    server.stop()
    away.clock.advance(STALE - timedelta(seconds=1))
    for headers in ({}, of_two):
        assert (await away.client.get(WHO, headers=headers)).status_code == 200
    reply = await away.client.get(WHO, headers=unseen)
    assert (reply.status_code, reply.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in reply.headers
    away.clock.advance(timedelta(seconds=2))
    assert (await away.client.get(WHO)).status_code == 503
    server.start()
    assert (await away.client.get(WHO)).status_code == 200


async def test_a_key_seen_before_does_not_wait_for_a_database_that_does_not_answer(
    server: PostgresServer, tmp_path: Path, clock: ManualClock
) -> None:
    line = SlowLine(server.port)
    line.start()
    try:
        url = server.create_database("still").replace(f":{server.port}/", f":{line.port}/")
        async with stand_on(url, tmp_path, clock) as stand:
            other = await stand.community_known()
            _, of_two = await stand.key_known(stand.community, other)
            of_two |= {"Guildhall-Community": str(other)}
            for headers in ({}, of_two):
                assert (await stand.client.get(WHO, headers=headers)).status_code == 200
            line.delay = 3600.0
            clock.advance(timedelta(seconds=3))
            async with asyncio.timeout(30):
                for headers in ({}, of_two):
                    assert (await stand.client.get(WHO, headers=headers)).status_code == 200
            line.stop()
    finally:
        line.stop()
