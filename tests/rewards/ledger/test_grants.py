"""Grants in bulk: once each, in balance, in a bounded number of statements."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from kit.database import Database
from kit.errors import Unavailable
from services.rewards.domain.ledger import DEFAULT_UNITS, MOST
from services.rewards.handlers.ledger import ensure_defaults, post_grants, verify
from services.rewards.store import boards, entries, levels
from services.rewards.store import ledger as store
from services.rewards.tables.ledger import transactions
from tests.rewards.ledger.support import NOON, Statements, all_entries, check_books, make_place
from tests.support.databases import MakeDatabase


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


async def test_a_new_community_gets_units_levels_and_a_board_once(db: Database) -> None:
    place = await make_place(db)
    async with db.begin() as tx:
        await ensure_defaults(tx, [place.id])
        assert list(await store.units_of(tx, place.id)) == sorted(u.id for u in DEFAULT_UNITS)
        assert [b.id for b in await boards.boards_of(tx, place.id)] == ["contribution", "xp"]
        assert (await levels.current(tx, [place.id]))[place.id].version == 1


async def test_a_grant_is_paid_from_the_mint_and_named_by_its_transaction(db: Database) -> None:
    place = await make_place(db)
    member = place.members[0]
    grant = place.grant(member, 7)
    posted = await place.give(grant)
    assert await place.balance(member) == 7
    async with db.read() as tx:
        row = await entries.entry(tx, place.id, posted[grant.idem_key])
        assert row is not None
        assert (row.owner_id, row.amount, row.counter_name, row.rule_id) == (member, 7, "mint", "rule")
        assert row.source_event_id == grant.source_event_id
    await check_books(db)


async def test_a_key_is_paid_once_even_with_another_amount_and_twice_in_one_batch(db: Database) -> None:
    place = await make_place(db)
    member = place.members[0]
    grant = place.grant(member, 7, key="once")
    first = await place.give(grant, place.grant(member, 9, key="once"), place.grant(member, 1))
    assert len(first) == 2
    again = await place.give(place.grant(member, 100, key="once"))
    assert again == {}
    assert await place.balance(member) == 8
    await check_books(db)


async def test_a_grant_may_take_and_leave_less_than_nothing(db: Database) -> None:
    place = await make_place(db)
    await place.give(place.grant(place.members[0], -5))
    assert await place.balance(place.members[0]) == -5


async def test_an_unknown_community_is_trouble_that_passes(db: Database) -> None:
    place = await make_place(db)
    place.id = uuid4()
    with pytest.raises(Unavailable):
        await place.give(place.grant(place.members[0], 5))


async def test_a_balance_out_of_range_is_refused_and_nothing_of_it_stays(db: Database) -> None:
    place = await make_place(db)
    member = place.members[0]
    await place.give(place.grant(member, MOST))
    with pytest.raises(Exception, match="balance lies between"):
        await place.give(place.grant(member, 1))
    assert await place.balance(member) == MOST
    await check_books(db)


async def test_the_entries_of_several_communities_stay_apart(db: Database) -> None:
    here, there = await make_place(db), await make_place(db)
    async with db.begin() as tx:
        grants = [here.grant(here.members[0], 3), there.grant(there.members[0], 4)]
        assert len(await post_grants(tx, grants, history={})) == 2
    async with db.read() as tx:
        assert len(await all_entries(tx, here, here.members[0])) == 1
        assert await all_entries(tx, here, there.members[0]) == []
        assert await entries.accounts_of(tx, here.id, there.members[0]) == []


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_the_statements_of_a_batch_do_not_grow_with_it(db: Database, size: int) -> None:
    place = await make_place(db, 40)
    many = [
        place.grant(place.members[n % 40], 1 + n % 3, NOON - timedelta(hours=n), unit=unit)
        for n in range(size)
        for unit in ("points", "xp")
    ]
    await place.give(*[place.grant(m, 5, unit="xp") for m in place.members])
    with Statements(db) as statements:
        await place.give(*many)
    assert len(statements.texts) <= 18
    await check_books(db)


async def test_verify_names_what_somebody_changed_behind_the_ledgers_back(db: Database) -> None:
    place = await make_place(db)
    await place.give(place.grant(place.members[0], 7))
    async with db.begin() as tx:
        await tx.execute(text("UPDATE entries SET amount = 8 WHERE line = 0"))
        await tx.execute(text("UPDATE entries SET reversed = 1 WHERE line = 0"))
    async with db.read() as tx:
        wrong = await verify(tx)
    assert len(wrong) == 3
    assert "sums to 1 points" in wrong[0]


async def test_a_rolled_back_transaction_leaves_nothing(db: Database) -> None:
    place = await make_place(db)
    grant = place.grant(place.members[0], 7)
    with pytest.raises(RuntimeError, match="died"):
        async with db.begin() as tx:
            await post_grants(tx, [grant], history={})
            raise RuntimeError("died")
    async with db.read() as tx:
        assert await tx.all(select(transactions)) == []
    assert len(await place.give(grant)) == 1
