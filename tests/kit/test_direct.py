"""Statements straight to the driver within a transaction: the same transaction, errors and instants as any other's."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    LargeBinary,
    String,
    Table,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from kit.database import (
    Database,
    DatabaseUnavailable,
    Question,
    Tx,
    insert_many,
    insert_new,
    is_infrastructure,
    listed,
    metadata_for,
    select_among,
)
from tests.kit.test_questions import MakeScratch, endless

METADATA = metadata_for("direct")
THINGS = Table(
    "things",
    METADATA,
    Column("owner", Uuid, primary_key=True),
    Column("unit", String(20), primary_key=True),
    Column("amount", BigInteger, CheckConstraint("amount >= 0", name="not_negative"), nullable=False),
    Column("mark", LargeBinary),
)
OWNER = UUID("01939e2c-7000-7000-8000-00000000000a")


added_up = Question(select(func.coalesce(func.sum(THINGS.c.amount), 0).label("sum")).select_from(THINGS))
among = Question(
    select(THINGS.c.owner, THINGS.c.unit)
    .where(listed(THINGS.c.owner, "owners"), listed(THINGS.c.unit, "units"))
    .order_by(THINGS.c.unit)
)
whoami = Question(select(func.pg_backend_pid().label("pid")))


def thing(unit: str = "points", amount: int = 1, owner: UUID = OWNER) -> dict[str, object]:
    return {"owner": owner, "unit": unit, "amount": amount, "mark": None}


@pytest.fixture
async def db(scratch: MakeScratch) -> Database:
    return await scratch(METADATA)


async def many(db: Database) -> int:
    async with db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(THINGS)))


async def units(tx: Tx) -> list[str]:
    rows = await select_among(tx, THINGS, THINGS.c.owner, [OWNER])
    return sorted(row.unit for row in rows)


async def test_what_is_written_is_undone_with_the_transaction_and_with_the_savepoint(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing("kept")])
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                await insert_many(tx, THINGS, [thing("inside")])
                assert await units(tx) == ["inside", "kept"]
                raise RuntimeError
        assert await units(tx) == ["kept"]
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing("undone")])
            raise RuntimeError
    async with db.read() as tx:
        assert await units(tx) == ["kept"]


@pytest.mark.parametrize("wrong", [thing(), thing("minus", -1)])
async def test_what_a_constraint_forbids_is_an_integrity_error_and_no_passing_trouble(
    db: Database, wrong: dict[str, object]
) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing()])
    with pytest.raises(IntegrityError) as told:
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing("other"), wrong])
    assert not is_infrastructure(told.value)
    assert await many(db) == 1


async def test_after_an_error_inside_a_savepoint_the_transaction_goes_on(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing()])
        with pytest.raises(IntegrityError):
            async with tx.savepoint():
                await insert_many(tx, THINGS, [thing()])
        await insert_many(tx, THINGS, [thing("after")])
    assert await many(db) == 2


async def test_a_reader_sees_one_instant_whatever_it_asks_first(db: Database) -> None:
    async with db.read() as tx:
        assert await units(tx) == []
        async with db.begin() as other:
            await insert_many(other, THINGS, [thing()])
        assert await units(tx) == []
        assert await tx.scalar(select(func.count()).select_from(THINGS)) == 0
    assert await many(db) == 1


async def test_a_question_within_a_transaction_sees_what_it_wrote(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(), thing("xp", 5)])
        assert [row.sum for row in await tx.ask(added_up)] == [6]
        assert [row.sum for row in await db.ask(added_up)] == [0]


async def test_a_list_is_of_any_length_and_quotes_nothing(db: Database) -> None:
    other = uuid4()
    odd = 'a"b\\c,打'
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(odd), thing("points"), thing("points", owner=other)])
    for ask in (db.ask, None):
        async with db.read() as tx:
            asked = ask or tx.ask
            assert await asked(among, owners=[], units=["points"]) == []
            assert await asked(among, owners=[OWNER], units=set()) == []
            found = await asked(among, owners={OWNER}, units=[odd, "points", "none"])
            assert [tuple(row) for row in found] == [(OWNER, odd), (OWNER, "points")]
            crowd = [uuid4() for _ in range(3000)]
            assert len(await asked(among, owners=[*crowd, OWNER, other], units=["points"])) == 2


async def test_who_is_cancelled_in_the_middle_keeps_nothing_and_the_next_gets_its_own_answer(db: Database) -> None:
    async def slow() -> None:
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing("lost")])
            started.set()
            await tx.ask(endless, most=3_000_000)

    for _ in range(3):
        started = asyncio.Event()
        task = asyncio.create_task(slow())
        await started.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with db.begin() as tx:
            assert await insert_new(tx, THINGS, [thing("next")], key=("owner", "unit")) in ({(OWNER, "next")}, set())
            assert await units(tx) == ["next"]
    assert await many(db) == 1


async def test_a_connection_the_server_ended_is_passing_trouble_and_replaced(db: Database) -> None:
    if db.dialect == "sqlite":
        pytest.skip("a SQLite file has no server")
    with pytest.raises(DatabaseUnavailable):
        async with db.begin() as tx:
            ((pid,),) = await tx.ask(whoami)
            async with db.begin() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            await insert_many(tx, THINGS, [thing()])
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing()])
    assert await many(db) == 1


async def test_a_deadlock_is_passing_trouble(db: Database) -> None:
    if db.dialect == "sqlite":
        pytest.skip("the writer of a SQLite file is alone")
    keys = [(OWNER, "a"), (OWNER, "b")]
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing("a"), thing("b")])
    held = asyncio.Barrier(2)

    async def both(first: tuple[UUID, str], second: tuple[UUID, str]) -> None:
        async with db.begin() as tx:
            by = THINGS.c.owner, THINGS.c.unit
            await select_among(tx, THINGS, by, [first], lock=True)
            await held.wait()
            await select_among(tx, THINGS, by, [second], lock=True)

    ended = await asyncio.gather(both(*keys), both(*reversed(keys)), return_exceptions=True)
    assert sorted(type(e).__name__ for e in ended) == ["DatabaseUnavailable", "NoneType"]


async def test_a_statement_that_is_wrong_is_an_error_of_its_own_and_spoils_nothing(db: Database) -> None:
    absent = Question(select(func.no_such_function(1).label("it")))
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        async with db.begin() as tx:
            await tx.ask(absent)
    assert await many(db) == 0
