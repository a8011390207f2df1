"""The audits of the rewards service see a single row that does not fit."""

from typing import Any

import pytest
from sqlalchemy import update

from kit.database import Database
from services.rewards.handlers import boards as board_handlers
from services.rewards.service import SERVICE
from services.rewards.tables.boards import board_buckets, board_scores, board_tallies
from services.rewards.tables.ledger import accounts, entries
from tests.rewards.ledger.support import Place, make_place
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    """Three members with points on the community's own board."""
    place = await make_place(await make_database("rewards"))
    await place.give(*(place.grant(member, 5 * n, unit="xp") for n, member in enumerate(place.members, 1)))
    return place


async def audited(db: Database) -> dict[str, list[str]]:
    async with db.read() as tx:
        return {audit.name: await audit.look(tx) for audit in SERVICE.audits}


async def test_books_that_agree_say_nothing(place: Place) -> None:
    assert await audited(place.db) == {"ledger": [], "boards": [], "chain": [], "streaks": []}
    async with place.db.read() as tx:
        assert await board_handlers.find(tx, place.id, "xp"), "there is a board to be looked at"


@pytest.mark.parametrize(
    ("table", "values", "audit"),
    [
        (accounts, {"balance": accounts.c.balance + 1}, "ledger"),
        (accounts, {"debt": accounts.c.debt + 1}, "ledger"),
        (entries, {"amount": entries.c.amount + 1}, "ledger"),
        (entries, {"reversed": 1}, "ledger"),
        (board_tallies, {"members": board_tallies.c.members + 1}, "boards"),
        (board_buckets, {"members": board_buckets.c.members + 1}, "boards"),
        (board_scores, {"negated": board_scores.c.negated - 1}, "boards"),
    ],
)
async def test_a_row_that_does_not_fit_is_named(place: Place, table: Any, values: dict[str, Any], audit: str) -> None:
    async with place.db.begin() as tx:
        await tx.execute(update(table).values(**values))
    found = await audited(place.db)
    assert found[audit], found
    if audit == "boards":
        assert f"board xp of {place.id}" in found[audit][0]
        assert found["ledger"] == []
