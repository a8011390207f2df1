"""Rows of the caller's that a statement joins with: any number of them, of any type, in one and the same statement."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import BigInteger, Column, Date, String, Table, Uuid, event, func, select

from kit.database import Database, UtcDateTime, given, insert_many, metadata_for
from tests.kit.test_questions import MakeScratch

METADATA = metadata_for("given")
THINGS = Table(
    "things",
    METADATA,
    Column("owner", Uuid, primary_key=True),
    Column("unit", String(20), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
OWNER = UUID("01939e2c-7000-7000-8000-00000000000a")
AT = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
KINDS = {"id": Uuid(), "text": String(), "number": BigInteger(), "day": Date(), "at": UtcDateTime()}


@pytest.fixture
async def db(scratch: MakeScratch) -> Database:
    return await scratch(METADATA)


ROWS = [
    (OWNER, 'a"b\\c,打卡{}\n', -(2**63), date(1, 1, 1), AT),
    (uuid4(), "", 2**63 - 1, date(9999, 12, 31), datetime(1, 1, 2, tzinfo=UTC)),
    (uuid4(), "'; --", 0, date(2026, 11, 28), datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)),
]


@pytest.mark.parametrize("many", [0, 1, 3])
async def test_they_come_back_as_they_were_given(db: Database, many: int) -> None:
    async with db.read() as tx:
        rows = given(tx, "rows", KINDS, ROWS[:many])
        assert sorted(map(tuple, await tx.all(select(rows)))) == sorted(ROWS[:many])


async def test_an_instant_may_be_of_any_zone(db: Database) -> None:
    async with db.read() as tx:
        rows = given(tx, "rows", {"at": UtcDateTime()}, [(AT.astimezone(timezone(timedelta(hours=8))),)])
        ((at,),) = await tx.all(select(rows))
        assert (at, at.utcoffset()) == (AT, timedelta(0))


async def test_each_row_is_joined_and_asked_about_by_itself(db: Database) -> None:
    things = [{"owner": OWNER, "unit": f"u{n}", "amount": n} for n in range(5)]
    async with db.begin() as tx:
        await insert_many(tx, THINGS, things)
        asked = [(OWNER, "u1", 9), (OWNER, "u4", 3), (uuid4(), "u1", 9)]
        wanted = given(tx, "wanted", {"owner": Uuid(), "unit": String(), "most": BigInteger()}, asked)
        same = (THINGS.c.owner == wanted.c.owner) & (THINGS.c.unit == wanted.c.unit)
        found = await tx.all(select(THINGS).select_from(THINGS.join(wanted, same)).order_by(THINGS.c.unit))
        assert [(row.owner, row.unit, row.amount) for row in found] == [(OWNER, "u1", 1), (OWNER, "u4", 4)]
        best = select(func.max(THINGS.c.amount)).where(
            THINGS.c.owner == wanted.c.owner, THINGS.c.amount <= wanted.c.most
        )
        rows = await tx.all(select(wanted.c.unit, wanted.c.most, best.scalar_subquery().label("best")))
        assert sorted(map(tuple, rows), key=str) == [("u1", 9, 4), ("u1", 9, None), ("u4", 3, 3)]


async def test_the_statement_is_the_same_for_one_and_for_thousands(db: Database) -> None:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        seen.append(sql)

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    for many in (1, 5000):
        async with db.begin() as tx:
            rows = given(tx, "rows", {"id": Uuid(), "number": BigInteger()}, [(uuid4(), n) for n in range(many)])
            assert await tx.scalar(select(func.sum(rows.c.number))) == many * (many - 1) // 2
    asked = [sql for sql in seen if "SELECT" in sql]
    assert len(asked) == 2
    assert asked[0] == asked[1]
