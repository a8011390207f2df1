"""Walking through a table and deleting what is over: everything once, in steps, and nothing that is in use again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Column, Integer, String, Table, func, select, update

from kit import purging
from kit.database import Database, Tx, insert_many, metadata_for

METADATA = metadata_for("scratch")
NOTES = Table(
    "notes",
    METADATA,
    Column("shelf", String(10), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("age", Integer, nullable=False),
)
OLD = NOTES.c.age >= 5


@pytest.fixture
async def db(scratch: Callable[[object], Awaitable[Database]]) -> Database:
    made = await scratch(METADATA)
    async with made.begin() as tx:
        rows = [{"shelf": f"s{n // 10}", "number": n % 10, "age": n % 10} for n in range(100)]
        await insert_many(tx, NOTES, rows)
    return made


async def left(db: Database) -> int:
    async with db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(NOTES)))


@pytest.mark.parametrize("step", [1, 7, 10, 99, 100, 1000])
async def test_whatever_the_step_everything_that_is_over_goes_and_nothing_else(db: Database, step: int) -> None:
    assert await purging.sweep(db, NOTES, OLD, stopping=asyncio.Event(), step=step) == 50
    async with db.read() as tx:
        assert await tx.scalar(select(func.max(NOTES.c.age))) == 4
    assert await left(db) == 50
    assert await purging.sweep(db, NOTES, OLD, stopping=asyncio.Event(), step=step) == 0


async def test_it_ends_between_two_steps_when_the_platform_stops(db: Database) -> None:
    stopping = asyncio.Event()

    async def stop(tx: Tx, keys: list[purging.Key]) -> int:
        stopping.set()
        return await purging.delete(tx, NOTES, await purging.still(tx, NOTES, OLD, keys))

    assert await purging.sweep(db, NOTES, OLD, stopping=stopping, remove=stop, step=20) == 10
    assert await left(db) == 90


async def test_what_is_no_longer_over_when_its_turn_comes_stays(db: Database) -> None:
    async def refresh_half(tx: Tx, keys: list[purging.Key]) -> int:
        await tx.execute(update(NOTES).where(NOTES.c.shelf < "s5").values(age=0))
        return await purging.delete(tx, NOTES, await purging.still(tx, NOTES, OLD, keys))

    assert await purging.sweep(db, NOTES, OLD, stopping=asyncio.Event(), remove=refresh_half) == 25
    assert await left(db) == 75
