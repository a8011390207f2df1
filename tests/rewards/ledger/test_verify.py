"""Verifying reads the ledger once for each question, however much a community has posted."""

import re

import pytest
from sqlalchemy import text

from kit.database import Database
from services.rewards.handlers.adjusting import post_one, reverse
from services.rewards.handlers.ledger import verify
from tests.rewards.ledger.support import Place, check_books, make_place, wish
from tests.support.databases import MakeDatabase
from tests.support.plans import plans_of


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


async def taken_back_in_parts(place: Place) -> None:
    """Of one entry two parts, of another nothing, of a third all."""
    async with place.db.begin() as tx:
        some = [(await post_one(tx, place.id, wish(m, 10), "operator:o")).id for m in place.members]
        for number, part in ((0, 2), (0, 3), (2, None)):
            await reverse(tx, place.id, some[number], amount=part, reason="no", actor="operator:o")  # type: ignore[arg-type]


async def test_what_was_taken_back_is_held_against_what_is_noted(db: Database) -> None:
    await taken_back_in_parts(await make_place(db))
    await check_books(db)
    for was, noted, took in ((5, 4, 5), (0, 1, 0), (10, 0, 10)):
        async with db.begin() as tx:
            changed = f"UPDATE entries SET reversed = {noted} WHERE line = 0 AND amount = 10 AND reversed = {was}"
            await tx.execute(text(changed))
            (said,) = await verify(tx)
            assert said.endswith(f" notes {noted} as taken back, the reversals took {took}")
            await tx.conn.rollback()
    await check_books(db)


async def test_no_question_reads_a_community_for_each_entry(db: Database) -> None:
    if db.dialect != "sqlite":
        pytest.skip("PostgreSQL makes tables of what it joins by itself")
    await taken_back_in_parts(await make_place(db))
    wrong, plans = await plans_of(db, verify)
    assert wrong == []
    assert len(plans) >= 7
    assert not [plan for plan in plans if re.search(r"index \S+ \(community_id=\?\)", plan)]
