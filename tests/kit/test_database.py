"""Transactions and the bulk statements, on SQLite and on PostgreSQL."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Uuid, func, select

from kit.database import (
    Database,
    JsonText,
    Tx,
    UtcDateTime,
    add_up,
    delete_among,
    insert_many,
    insert_new,
    lock_rows,
    metadata_for,
    select_among,
    try_lock,
    upsert,
)

METADATA = metadata_for("scratch")
THINGS = Table(
    "things",
    METADATA,
    Column("owner", Uuid, primary_key=True),
    Column("unit", String(20), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcDateTime),
    Column("note", JsonText),
    Column("mark", LargeBinary),
)

MakeScratch = Callable[[object], Awaitable[Database]]


def thing(owner: UUID, unit: str = "points", amount: int = 1, **more: object) -> dict[str, object]:
    return {"owner": owner, "unit": unit, "amount": amount, "at": None, "note": None, "mark": None, **more}


@pytest.fixture
async def db(scratch: MakeScratch) -> Database:
    return await scratch(METADATA)


async def test_every_column_type_comes_back_as_it_went_in(db: Database) -> None:
    at = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
    row = thing(uuid4(), amount=-(2**63), at=at, note={"q": "打卡", "n": [1, None]}, mark=b"\x00\xff")
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [row])
    async with db.read() as tx:
        assert dict((await tx.one(select(THINGS)))._mapping) == row
        assert await tx.scalar(select(THINGS.c.at)) == at


async def test_an_instant_without_a_zone_is_refused(db: Database) -> None:
    with pytest.raises(Exception, match="needs a time zone"):
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing(uuid4(), at=datetime(2026, 1, 1))])  # noqa: DTZ001 (the subject)


async def test_insert_new_says_which_keys_were_new_and_the_first_of_a_batch_wins(db: Database) -> None:
    old, new = uuid4(), uuid4()
    async with db.begin() as tx:
        assert await insert_new(tx, THINGS, [thing(old)], key=["owner", "unit"]) == {(old, "points")}
    async with db.begin() as tx:
        rows = [thing(old, amount=9), thing(new, amount=5), thing(new, amount=7)]
        assert await insert_new(tx, THINGS, rows, key=["owner", "unit"]) == {(new, "points")}
    async with db.read() as tx:
        assert {r.amount for r in await tx.all(select(THINGS.c.amount))} == {1, 5}


async def test_a_batch_larger_than_the_variables_of_one_statement_goes_in_whole(db: Database) -> None:
    rows = [thing(uuid4(), amount=i) for i in range(12_000)]
    async with db.begin() as tx:
        assert len(await insert_new(tx, THINGS, rows, key=["owner", "unit"])) == 12_000
        assert await tx.scalar(select(func.count()).select_from(THINGS)) == 12_000


@pytest.mark.parametrize("many", [1, 31, 32, 300])
async def test_columns_that_hold_one_value_come_back_like_all_others(db: Database, many: int) -> None:
    at = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    rows = [
        thing(UUID(int=n), amount=7, at=at, note={"same": 1}, mark=None if n % 2 else b"\x00same") for n in range(many)
    ]
    async with db.begin() as tx:
        await insert_many(tx, THINGS, rows)
        stored = [dict(row._mapping) for row in await tx.all(select(THINGS).order_by(THINGS.c.owner))]
    assert stored == rows


async def test_insert_new_knows_its_keys_in_every_piece_of_a_large_batch(db: Database) -> None:
    def row(n: int, amount: int) -> dict[str, object]:
        return thing(UUID(int=n), f"unit {n % 3}", amount)

    async with db.begin() as tx:
        await insert_many(tx, THINGS, [row(n, 0) for n in range(0, 500, 7)])
        new = await insert_new(tx, THINGS, [row(n, 1) for n in reversed(range(500))], key=["owner", "unit"])
        assert new == {(UUID(int=n), f"unit {n % 3}") for n in range(500) if n % 7}
        assert await tx.scalar(select(func.sum(THINGS.c.amount))) == len(new)


async def test_add_up_adds_to_what_is_there_and_returns_the_result(db: Database) -> None:
    a, b = uuid4(), uuid4()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(3):
        async with db.begin() as tx:
            rows = [thing(a, amount=2, at=at), thing(b, amount=-5, at=at)]
            got = await add_up(
                tx,
                THINGS,
                rows,
                key=["owner", "unit"],
                add=["amount"],
                keep=["at"],
                returning=["owner", "amount", "at"],
            )
    assert set(got) == {(a, 6, at), (b, -15, at)}


async def test_upsert_sets_only_the_named_columns(db: Database) -> None:
    owner = uuid4()
    async with db.begin() as tx:
        await upsert(tx, THINGS, [thing(owner, amount=1, note="kept")], key=["owner", "unit"], update=["amount"])
        await upsert(tx, THINGS, [thing(owner, amount=2, note="lost")], key=["owner", "unit"], update=["amount"])
        row = await tx.one(select(THINGS))
    assert (row.amount, row.note) == (2, "kept")


async def test_select_among_finds_by_one_column_and_by_pairs_and_asks_nothing_for_nothing(db: Database) -> None:
    owners = [uuid4() for _ in range(5)]
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(o, unit, i) for i, o in enumerate(owners) for unit in ("xp", "points")])
        one = await select_among(tx, THINGS, THINGS.c.owner, [owners[0], owners[0], uuid4()])
        assert {(r.owner, r.unit) for r in one} == {(owners[0], "xp"), (owners[0], "points")}
        pairs = [(owners[1], "xp"), (owners[2], "points")]
        both = (THINGS.c.owner, THINGS.c.unit)
        assert {(r.owner, r.unit) for r in await select_among(tx, THINGS, both, pairs, lock=True)} == set(pairs)
        assert await select_among(tx, THINGS, both, []) == []
        rich = await select_among(tx, [THINGS.c.amount], THINGS.c.owner, owners, where=THINGS.c.amount > 2)
        assert sorted(r.amount for r in rich) == [3, 3, 4, 4]


async def test_a_look_up_gives_rows_like_any_query_and_never_what_only_begins_alike(db: Database) -> None:
    owner, at = uuid4(), datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    unit = "twenty characters ok"
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(owner, unit, at=at, note=[1], mark=b"m")])
        (found,) = await select_among(tx, THINGS, (THINGS.c.owner, THINGS.c.unit), [(owner, unit)])
        assert dict(found._mapping) == dict((await tx.one(select(THINGS)))._mapping)
        (found,) = await select_among(tx, [THINGS.c.at, THINGS.c.note], THINGS.c.mark, [b"m", b"n"])
        assert (found.at, found.note) == tuple(found) == (at, [1])
        assert await select_among(tx, THINGS, THINGS.c.unit, [f"{unit} and more"]) == []


async def test_many_rows_are_deleted_by_one_column_and_the_others_stay(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(UUID(int=n)) for n in range(300)])
        await delete_among(tx, THINGS, [THINGS.c.owner], [(UUID(int=n),) for n in range(250)])
        assert {r.owner.int for r in await tx.all(select(THINGS.c.owner))} == set(range(250, 300))


async def test_rows_to_lock_are_made_only_where_a_lock_needs_a_row(db: Database) -> None:
    rows = [thing(UUID(int=n), amount=0) for n in range(2)]
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(UUID(int=1), amount=5)])
        held = await lock_rows(tx, THINGS, [THINGS.c.owner, THINGS.c.unit], rows)
    made = [(0, 0)] if db.dialect == "postgresql" else []
    assert [(r.owner.int, r.amount) for r in held] == [*made, (1, 5)]


async def test_what_raises_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing(uuid4())])
            raise RuntimeError
    async with db.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(THINGS)) == 0


async def test_what_an_undone_savepoint_meant_to_do_after_the_commit_is_not_done(db: Database) -> None:
    done: list[str] = []
    async with db.begin() as tx:
        tx.after_commit.append(lambda: done.append("kept"))
        with contextlib.suppress(RuntimeError):
            async with tx.savepoint():
                tx.after_commit.append(lambda: done.append("undone"))
                raise RuntimeError
    assert done == ["kept"]


async def test_a_savepoint_undoes_its_own_part_only(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(uuid4(), amount=1)])
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                await insert_many(tx, THINGS, [thing(uuid4(), amount=2)])
                raise RuntimeError
        await insert_many(tx, THINGS, [thing(uuid4(), amount=3)])
    async with db.read() as tx:
        assert {r.amount for r in await tx.all(select(THINGS.c.amount))} == {1, 3}


async def test_fifty_writers_that_add_to_the_same_rows_in_any_order_lose_nothing(db: Database) -> None:
    owners = [uuid4() for _ in range(8)]

    async def write(i: int) -> None:
        turned = owners[i % 8 :] + owners[: i % 8]
        async with db.begin() as tx:
            await add_up(tx, THINGS, [thing(o) for o in turned], key=["owner", "unit"], add=["amount"])

    await asyncio.gather(*(write(i) for i in range(50)))
    async with db.read() as tx:
        assert {r.amount for r in await tx.all(select(THINGS.c.amount))} == {50}


async def test_a_reader_sees_one_instant_and_does_not_wait_for_the_writer(db: Database) -> None:
    async with db.begin() as tx:
        await insert_many(tx, THINGS, [thing(uuid4())])
    count = select(func.count()).select_from(THINGS)
    async with db.read() as reader:
        assert await reader.scalar(count) == 1
        async with db.begin() as tx:
            await insert_many(tx, THINGS, [thing(uuid4())])
            assert await reader.scalar(count) == 1
        assert await reader.scalar(count) == 1
    async with db.read() as reader:
        assert await reader.scalar(count) == 2


async def test_now_is_the_clocks_and_stands_still_within_a_transaction(db: Database) -> None:
    async with db.begin() as tx:
        before = tx.now
        db.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]  # the test's ManualClock
        assert tx.now == before


async def test_a_lock_is_had_by_one_transaction_at_a_time_where_there_can_be_two(db: Database) -> None:
    if db.dialect == "sqlite":
        async with db.begin() as tx:
            assert await try_lock(tx, "k")
        return
    async with db.begin() as one, db.begin() as two:
        assert await try_lock(one, "k")
        assert not await try_lock(two, "k")
        assert await try_lock(two, "other")


async def test_two_transactions_that_insert_the_same_key_agree_on_who_was_first(db: Database) -> None:
    owner = uuid4()

    async def claim() -> bool:
        async with db.begin() as tx:
            new = await insert_new(tx, THINGS, [thing(owner)], key=["owner", "unit"])
            await asyncio.sleep(0.01)
            return bool(new)

    assert sorted(await asyncio.gather(*(claim() for _ in range(10)))) == [False] * 9 + [True]


async def leads(db: Database, seconds: float, out: list[Tx | bool]) -> None:
    async with db.leadership("relay") as lead:
        out.append(await lead.acquire())
        await asyncio.sleep(seconds)


async def test_only_one_process_leads_and_the_next_follows_when_it_leaves(db: Database) -> None:
    if db.dialect == "sqlite":
        pytest.skip("a SQLite installation is one process")
    first: list[Tx | bool] = []
    second: list[Tx | bool] = []
    holding = asyncio.create_task(leads(db, 0.3, first))
    await asyncio.sleep(0.1)
    await leads(db, 0, second)
    await holding
    await leads(db, 0, second)
    assert (first, second) == ([True], [False, True])
