"""Rows have one hash whichever database they come from, and a position that can be kept."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Uuid

from kit.database import Database, JsonText, UtcDateTime, insert_many
from kit.database.copying import Hasher, all_rows, copy_in, position_of, rows_after

Scratch = Callable[[MetaData], Awaitable[Database]]

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("amount", BigInteger),
    Column("small", Integer),
    Column("held", Boolean),
    Column("raw", LargeBinary),
    Column("told", JsonText),
)
NOON = datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=UTC)
JSON: list[Any] = [
    None,
    {},
    {"b": 1, "a": [1.0, 1.5, -0.0, 1e16, 1e300, 2**53 + 1, -7, 0.1]},
    {"a": [True, False, None, "1", 'é\\u2028"', ""], "nested": {"z": 0, "y": {"x": [[]]}}},
    "text",
    [1, 2, 3],
    False,
]


def row(number: int) -> dict[str, Any]:
    return {
        "name": f"n{number % 3}",
        "at": NOON + timedelta(microseconds=number % 5),
        "id": UUID(int=number * 2**100),
        "amount": None if number % 4 == 0 else number * 10**15,
        "small": number,
        "held": number % 2 == 0,
        "raw": bytes(range(number % 7)),
        "told": JSON[number % len(JSON)],
    }


ROWS = [row(number) for number in range(40)]
BY_HAND = Hasher(things).of([tuple(one.values()) for one in ROWS])


async def test_the_hash_of_rows_is_the_same_on_both_engines_and_that_of_what_was_written(scratch: Scratch) -> None:
    db = await scratch(metadata)
    async with db.begin() as tx:
        await insert_many(tx, things, ROWS)
    async with db.read() as tx:
        assert Hasher(things).of(await rows_after(tx, things, None, 100)) == BY_HAND


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_rows_that_were_copied_in_and_read_through_a_cursor_are_the_same(scratch: Scratch, engine: str) -> None:
    db = await scratch(metadata)
    async with db.begin() as tx:
        assert await rows_after(tx, things, None, 1) == []
        await copy_in(tx, things, [tuple(one.values()) for one in ROWS])
    hasher, total = Hasher(things), 0
    async with db.read() as tx:
        async for rows in all_rows(tx, things):
            total += hasher.of(rows)
    assert total % 2**64 == BY_HAND


@pytest.mark.parametrize(
    "change", [{"amount": 1}, {"amount": None}, {"held": None}, {"raw": b"x"}, {"told": {"b": 2, "a": 1}}]
)
def test_another_value_is_another_hash(change: dict[str, Any]) -> None:
    changed = [tuple({**one, **change}.values()) if one["small"] == 9 else tuple(one.values()) for one in ROWS]
    assert Hasher(things).of(changed) != BY_HAND


async def test_chunks_behind_kept_positions_are_every_row_once(scratch: Scratch) -> None:
    db = await scratch(metadata)
    async with db.begin() as tx:
        await insert_many(tx, things, ROWS)
    position: bytes | None = None
    seen: list[int] = []
    while True:
        async with db.read() as tx:
            rows = await rows_after(tx, things, position, 7)
        if not rows:
            break
        seen += [one.small for one in rows]
        position = position_of(things, rows[-1])
    assert sorted(seen) == list(range(40))
