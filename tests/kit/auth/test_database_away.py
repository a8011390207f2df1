"""While the database is away a caller seen before still comes in, so that activity can be taken (log first)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.postgres import PostgresServer
from kit.auth import STALE
from kit.database import open_database
from tests.kit.auth.conftest import METADATA, router
from tests.kit.stand import Stand, standing
from tests.support.clock import ManualClock

WHO = "/v1/scratch/who"


@pytest.fixture
async def server(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A server of this test's own, to be stopped; asking for the shared one skips where there is none."""
    server = PostgresServer(tmp_path / "pg", fsync=False)
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def away(server: PostgresServer, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stand]:
    url = server.create_database("away")
    db = open_database("public", clock, metadata=METADATA, url=url)
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    async with standing(db, clock, tmp_path, router) as stand:
        yield stand
    await db.close()


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
