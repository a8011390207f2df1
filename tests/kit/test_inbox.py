"""Entering a service: which events are new, and for how long that is remembered."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit import inbox
from kit.contracts import Envelope
from kit.contracts.platform import KeyUsed
from kit.database import Database, metadata_for
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")


@pytest.fixture
async def db(scratch: Callable[[object], Awaitable[Database]]) -> Database:
    return await scratch(METADATA)


def envelopes(db: Database, *ids: UUID) -> list[Envelope[Any]]:
    now = db.clock()
    return [Envelope(id, now, None, None, KeyUsed(key_id=UUID(int=n), used_at=now)) for n, id in enumerate(ids)]


async def keep(db: Database, *ids: UUID) -> list[UUID]:
    async with db.begin() as tx:
        return [e.id for e in await inbox.keep_new(tx, envelopes(db, *ids))]


async def test_each_id_is_new_once_and_the_first_of_a_batch_stands_for_it(db: Database) -> None:
    a, b, c = uuid4(), uuid4(), uuid4()
    assert await keep(db, b, a, b) == [b, a]
    async with db.begin() as tx:
        kept = await inbox.keep_new(tx, envelopes(db, a, c, c, b))
    assert [(e.id, e.event.key_id) for e in kept] == [(c, UUID(int=1))]
    assert await keep(db) == []


async def test_an_id_whose_transaction_did_not_commit_is_new_again(db: Database) -> None:
    id = uuid4()
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            assert await inbox.keep_new(tx, envelopes(db, id))
            raise RuntimeError
    assert await keep(db, id) == [id]


async def test_of_transactions_that_get_the_same_ids_at_once_each_id_is_new_to_one(db: Database) -> None:
    ids = [uuid4() for _ in range(60)]
    turned = [ids[i:] + ids[:i] for i in range(0, 60, 6)]
    got = await asyncio.gather(*(keep(db, *some) for some in turned))
    assert sorted(id for some in got for id in some) == sorted(ids)


async def test_ids_are_forgotten_after_their_time_and_not_before(db: Database, clock: ManualClock) -> None:
    old = [uuid4() for _ in range(12)]
    await keep(db, *old)
    clock.advance(timedelta(days=30))
    young = uuid4()
    await keep(db, young)
    assert await inbox.purge(db, timedelta(days=30)) == 0
    clock.advance(timedelta(seconds=1))
    assert await inbox.purge(db, timedelta(days=30)) == len(old)
    assert await keep(db, young, old[0]) == [old[0]]


async def test_forgetting_goes_in_steps_that_let_others_write(db: Database, clock: ManualClock) -> None:
    await keep(db, *(uuid4() for _ in range(inbox.PURGE_STEP + 10)))
    clock.advance(timedelta(days=2))
    forgetting = asyncio.create_task(inbox.purge(db, timedelta(days=1)))
    assert len(await keep(db, uuid4())) == 1
    assert await forgetting == inbox.PURGE_STEP + 10
