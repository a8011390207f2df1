"""On SQLite too, rows asked for by several columns are looked up, and never by reading the whole table."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, LargeBinary, Table, Uuid, event, func, select

from kit.clock import system_clock
from kit.database import Database, delete_among, insert_many, metadata_for, open_database, select_among

METADATA = metadata_for("lookups")
PAIRS = Table(
    "pairs",
    METADATA,
    Column("owner", Uuid, primary_key=True),
    Column("mark", LargeBinary, primary_key=True),
)
KEYS = [(UUID(int=number % 7), b"%d" % number) for number in range(2000)]
BY = (PAIRS.c.owner, PAIRS.c.mark)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = open_database("lookups", system_clock, metadata=METADATA, directory=tmp_path)
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    async with db.begin() as tx:
        await insert_many(tx, PAIRS, [{"owner": owner, "mark": mark} for owner, mark in KEYS])
    yield db
    await db.close()


@pytest.fixture
def statements(db: Database) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        seen.append((sql, parameters[0] if many else parameters))

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    return seen


async def plan(db: Database, statement: tuple[str, Any]) -> list[str]:
    async with db.begin() as tx:
        rows = (await tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", tuple(statement[1]))).all()
    return [row[3] for row in rows]


@pytest.mark.parametrize("many", [1, 3, 100, 1500])
async def test_rows_are_found_by_the_index_however_many_are_asked_for(
    db: Database, statements: list[tuple[str, Any]], many: int
) -> None:
    async with db.begin() as tx:
        rows = await select_among(tx, PAIRS, BY, [*KEYS[:many], (UUID(int=99), b"0")])
    assert sorted((row.owner, row.mark) for row in rows) == sorted(KEYS[:many])
    found = await plan(db, statements[-1])
    assert not [step for step in found if step.startswith("SCAN pairs")], found
    assert any(step.startswith("SEARCH pairs") and "owner=? AND mark=?" in step for step in found), found


async def test_rows_are_deleted_by_the_index(db: Database, statements: list[tuple[str, Any]]) -> None:
    async with db.begin() as tx:
        await delete_among(tx, PAIRS, BY, KEYS[:3])
        left = await tx.scalar(select(func.count()).select_from(PAIRS))
    assert left == len(KEYS) - 3
    deleting = next(s for s in statements if s[0].startswith("DELETE"))
    assert any("owner=? AND mark=?" in step for step in await plan(db, deleting))
