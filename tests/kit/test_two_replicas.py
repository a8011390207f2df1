"""Two processes of one service on PostgreSQL: one relay at a time, every effect once (K30, K31)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from deploy.local.postgres import PostgresServer
from kit import codec, outbox
from kit.contracts import MEMBERS_TOPIC
from kit.contracts.platform import KeyUsed
from kit.database import Database
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from tests.kit.toy import Toy, once_each

PATIENCE = 60.0
_numbers = count(1)


class SharedLog(EmbeddedLog):
    """One log for the replicas of a test: it is started and stopped by the test, not by each of them."""

    async def start(self) -> None:
        if self._writer is None:
            await super().start()

    async def stop(self) -> None:
        """The last of the replicas must not close it for the test, which still looks."""

    async def really_stop(self) -> None:
        await super().stop()


class Pair:
    def __init__(self, toy: Toy, log: SharedLog, url: str, directory: Path) -> None:
        self.toy, self.log, self._url, self._directory = toy, log, url, directory

    @asynccontextmanager
    async def replica(self, *, migrating: bool = False) -> AsyncIterator[Runtime]:
        runtime = self.toy.runtime(self.log, url=self._url, data_dir=self._directory)
        await runtime.start(migrating=migrating)
        try:
            yield runtime
        finally:
            await runtime.stop()

    async def on_the_log(self) -> list[UUID]:
        """Key ids as they stand on the log, in order."""
        subscription = await self.log.subscribe(f"look-{uuid4()}", [MEMBERS_TOPIC])
        found = []
        while batch := await subscription.fetch(5000, 0):
            found += [e.event.key_id for e in map(codec.decode, batch) if e is not None]
        await subscription.close()
        return found


@pytest.fixture
async def pair(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Pair]:
    log = SharedLog(tmp_path / "log.sqlite", partitions=4)
    url = postgres_server.create_database(f"replicas_{next(_numbers)}")
    yield Pair(Toy(), log, url, tmp_path)
    await log.really_stop()


async def announce(db: Database, keys: list[UUID]) -> None:
    for key in keys:
        async with db.begin() as tx:
            outbox.add(tx, KeyUsed(key_id=key, used_at=tx.now))


async def relays(db: Database) -> list[int]:
    """Server processes that hold the relay's lock, or any session lock of this database."""
    query = text(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with db.read() as tx:
        return [row.pid for row in await tx.all(query)]


async def test_one_of_two_replicas_carries_and_every_event_leaves_once(pair: Pair) -> None:
    keys = [uuid4() for _ in range(120)]
    async with pair.replica(migrating=True) as one, pair.replica() as two:
        dbs = [r.services["toy"].db for r in (one, two)]
        await asyncio.gather(announce(dbs[0], keys[:60]), announce(dbs[1], keys[60:]))
        await one.settle(PATIENCE)
        assert len(await relays(dbs[0])) == 1
        assert sorted(await pair.on_the_log()) == sorted(keys)
        assert await once_each(dbs[0], keys)


async def test_when_the_leading_replica_stops_the_other_takes_over(pair: Pair) -> None:
    async with pair.replica(migrating=True) as one:
        first, second = [uuid4() for _ in range(20)], [uuid4() for _ in range(20)]
        await announce(one.services["toy"].db, first)
        await one.settle(PATIENCE)
        async with pair.replica() as two:
            await one.stop()
            db = two.services["toy"].db
            await announce(db, second)
            await two.settle(PATIENCE)
            assert sorted(await pair.on_the_log()) == sorted([*first, *second])
            assert await once_each(db, [*first, *second])


async def test_a_lead_whose_connection_was_cut_is_given_up_and_somebody_leads_again(pair: Pair) -> None:
    async with pair.replica(migrating=True) as one, pair.replica() as two:
        db = two.services["toy"].db
        before = [uuid4() for _ in range(10)]
        await announce(db, before)
        await two.settle(PATIENCE)
        [leader] = await relays(db)
        async with db.begin() as tx:
            await tx.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": leader})
        after = [uuid4() for _ in range(10)]
        await announce(one.services["toy"].db, after)
        await two.settle(PATIENCE)
        assert len(await relays(db)) == 1
        assert sorted(await pair.on_the_log()) == sorted([*before, *after])
        assert await once_each(db, [*before, *after])


async def test_replicas_that_come_and_go_under_load_lose_no_event_and_repeat_no_effect(pair: Pair) -> None:
    announced: list[UUID] = []
    finished = asyncio.Event()

    async def work(db: Database) -> None:
        while not finished.is_set():
            keys = [uuid4() for _ in range(5)]
            await announce(db, keys)
            announced.extend(keys)

    async with pair.replica(migrating=True) as staying:
        db = staying.services["toy"].db
        working = asyncio.create_task(work(db))
        for _ in range(3):
            async with pair.replica() as passing:
                wanted = len(announced) + 100
                async with asyncio.timeout(PATIENCE):
                    while len(announced) < wanted:
                        await asyncio.sleep(0.01)
                assert passing.services["toy"].db.dialect == "postgresql"
        finished.set()
        await working
        await staying.settle(PATIENCE)
        assert await once_each(db, announced)
