"""Questions: one statement straight to the driver, with the types, the errors and the instants of any other read."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from kit.database import (
    Database,
    DatabaseUnavailable,
    JsonText,
    Question,
    UtcDateTime,
    gathered,
    insert_many,
    metadata_for,
)
from kit.database.engine import ASKERS

METADATA = metadata_for("asked")
THINGS = Table(
    "things",
    METADATA,
    Column("owner", Uuid, primary_key=True),
    Column("unit", String(20), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcDateTime),
    Column("open", Boolean),
    Column("note", JsonText),
    Column("mark", LargeBinary),
    Column("name", Text),
)
AT = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
OWNER = UUID("01939e2c-7000-7000-8000-00000000000a")

MakeScratch = Callable[[object], Awaitable[Database]]

by_owner = Question(select(THINGS).where(THINGS.c.owner == bindparam("owner", type_=Uuid())))
counted = Question(select(func.count().label("many")).select_from(THINGS))
echo = Question(select(bindparam("said", type_=BigInteger()).label("said")))


def _endless() -> Question:
    """Counts up to `most`, which nobody waits for."""
    most = bindparam("most", type_=BigInteger())
    numbers = select(literal(1, BigInteger()).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < most))
    return Question(select(func.count().label("many")).select_from(numbers))


endless = _endless()


def thing(owner: UUID, unit: str = "points", amount: int = 1, **more: object) -> dict[str, object]:
    empty = dict.fromkeys(("at", "open", "note", "mark", "name"))
    return {"owner": owner, "unit": unit, "amount": amount, **empty, **more}


@pytest.fixture
async def db(scratch: MakeScratch) -> Database:
    return await scratch(METADATA)


async def keep(db: Database, *rows: dict[str, object]) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, list(rows))


FULL = thing(
    OWNER, amount=-(2**63), at=AT, open=True, note={"q": "打卡", "n": [1, None]}, mark=b"\x00\xff", name='"打卡\\"\n'
)
EMPTY = thing(OWNER, "xp", 2**63 - 1, open=False)


async def test_every_column_type_comes_back_as_from_any_read(db: Database) -> None:
    await keep(db, FULL, EMPTY)
    rows = {row.unit: row._asdict() for row in await db.ask(by_owner, owner=OWNER)}
    assert rows == {"points": FULL, "xp": EMPTY}
    assert rows["points"]["at"].utcoffset() == timedelta(0)
    assert await db.ask(by_owner, owner=uuid4()) == []


@pytest.mark.parametrize("column", ["owner", "unit", "amount", "at", "open", "note", "name"])
async def test_a_column_is_gathered_with_its_type_and_what_is_missing(db: Database, column: str) -> None:
    question = Question(select(gathered(THINGS.c[column]).label("all")))
    assert [row.all for row in await db.ask(question)] == [[]]
    await keep(db, FULL, EMPTY)
    (row,) = await db.ask(question)
    assert sorted(row.all, key=str) == sorted([FULL[column], EMPTY[column]], key=str)
    assert [type(v) for v in row.all if isinstance(v, datetime)] == ([datetime] if column == "at" else [])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Uuid(), OWNER),
        (UtcDateTime(), AT.astimezone(timezone(timedelta(hours=8)))),
        (BigInteger(), -(2**63)),
        (Boolean(), True),
        (String(), "打卡'"),
        (JsonText(), {"a": [None, 1.5]}),
        (LargeBinary(), b"\x00"),
    ],
)
async def test_a_parameter_of_every_type_is_given_as_it_is_kept(db: Database, kind: Any, value: object) -> None:
    question = Question(select(bindparam("said", type_=kind).label("said")))
    for said in (value, None):
        assert [row.said for row in await db.ask(question, said=said)] == [said]


async def test_a_parameter_is_used_wherever_it_stands_and_one_that_is_missing_is_named(db: Database) -> None:
    low = bindparam("low", type_=BigInteger())
    question = Question(
        select(
            THINGS.c.amount, case((THINGS.c.amount > low, "more"), else_="same").label("how"), literal(7).label("seven")
        )
        .where(THINGS.c.amount >= low)
        .order_by(THINGS.c.amount)
        .limit(bindparam("most", type_=BigInteger()))
    )
    await keep(db, *(thing(uuid4(), amount=n) for n in range(5)))
    assert [tuple(row) for row in await db.ask(question, low=2, most=2)] == [(2, "same", 7), (3, "more", 7)]
    with pytest.raises(KeyError, match="most"):
        await db.ask(question, low=2)


async def test_a_question_sees_what_is_committed_and_nothing_else(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(uuid4())])
        assert [row.many for row in await db.ask(counted)] == [0]
    assert [row.many for row in await db.ask(counted)] == [1]
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing(uuid4())])
            raise RuntimeError
    assert [row.many for row in await db.ask(counted)] == [1]


async def test_more_questions_than_connections_wait_their_turn_and_each_gets_its_own_answer(db: Database) -> None:
    answers = await asyncio.gather(*(db.ask(echo, said=n) for n in range(20 * ASKERS)))
    assert [rows[0].said for rows in answers] == list(range(20 * ASKERS))


@pytest.mark.parametrize("begun", [False, True])
async def test_a_caller_that_gives_up_leaves_the_connections_to_the_others(db: Database, begun: bool) -> None:
    for _ in range(2):
        asking = [asyncio.create_task(db.ask(endless, most=10**15)) for _ in range(2 * ASKERS)]
        await asyncio.sleep(0.3 if begun else 0)
        for task in asking:
            task.cancel()
        done = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(outcome) for outcome in done} == {asyncio.CancelledError}
        answers = await asyncio.gather(*(db.ask(echo, said=n) for n in range(3 * ASKERS)))
        assert [rows[0].said for rows in answers] == list(range(3 * ASKERS))


async def test_a_question_waits_for_a_connection_but_not_for_ever(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.database.asking.PATIENCE", 0.2)
    asking = [asyncio.create_task(db.ask(endless, most=10**15)) for _ in range(ASKERS)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await db.ask(echo, said=1)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert [row.said for row in await db.ask(echo, said=1)] == [1]


async def test_a_statement_that_is_wrong_is_an_error_of_its_own_and_spoils_nothing(db: Database) -> None:
    absent = Question(select(func.no_such_function(1).label("it")))
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        await db.ask(absent)
    assert [row.said for row in await db.ask(echo, said=1)] == [1]


async def test_a_connection_the_server_ended_is_replaced(db: Database) -> None:
    if db.dialect == "sqlite":
        pytest.skip("a SQLite file has no server")
    own = Question(select(func.pg_backend_pid().label("pid")))
    before = {rows[0].pid for rows in await asyncio.gather(*(db.ask(own) for _ in range(ASKERS)))}
    asking = asyncio.create_task(db.ask(endless, most=10**15))
    async with db.begin() as tx:
        running = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH RECURSIVE%' AND state = 'active'")
        while not asking.done() and not await tx.scalar(running):
            await asyncio.sleep(0.01)
        for pid in before:
            await tx.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with pytest.raises(DatabaseUnavailable):
        await asking
    after = {rows[0].pid for rows in await asyncio.gather(*(db.ask(own) for _ in range(ASKERS)))}
    assert not after & before


async def test_a_server_does_not_work_on_a_question_for_ever(db: Database) -> None:
    """Nobody may be waiting any more, which it would not notice."""
    if db.dialect == "sqlite":
        pytest.skip("a SQLite file has no server")
    with pytest.raises(DatabaseUnavailable):
        await db.ask(endless, most=10**15)
    assert [row.said for row in await db.ask(echo, said=1)] == [1]
