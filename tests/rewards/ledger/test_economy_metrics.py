"""The points economy as ops teams see it: what moved, what members hold, and whether the books are at zero."""

from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import update

from kit.database import Database
from services.rewards.handlers.counting import show_books
from services.rewards.handlers.ledger import post_grants, verify
from services.rewards.store import entries
from services.rewards.tables.ledger import accounts
from tests.rewards.ledger.support import make_place
from tests.support.databases import MakeDatabase


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def look(db: Database) -> None:
    async with db.read() as tx:
        show_books(await entries.books(tx))


async def change(db: Database, member: UUID, amount: int) -> None:
    """A hand in the database: somebody has more than anybody gave."""
    mine = (accounts.c.owner_id == member, accounts.c.unit == "points")
    async with db.begin() as tx:
        await tx.execute(update(accounts).where(*mine).values(balance=accounts.c.balance + amount))


async def test_faults_of_two_communities_that_cancel_each_other_out_are_seen(db: Database) -> None:
    one, other = await make_place(db), await make_place(db)
    await one.give(one.grant(one.members[0], 10))
    await other.give(other.grant(other.members[0], 20))
    await look(db)
    assert metric("guildhall_ledger_imbalance", unit="points") == 0
    assert metric("guildhall_points_held", unit="points") == 30
    await change(db, one.members[0], 5)
    await change(db, other.members[0], -5)
    await look(db)
    assert metric("guildhall_ledger_imbalance", unit="points") == 10
    assert metric("guildhall_points_held", unit="points") == 30
    async with db.read() as tx:
        assert "balances of points are 10 from adding up to 0" in await verify(tx)
    await change(db, one.members[0], -5)
    await change(db, other.members[0], 5)
    await look(db)
    assert metric("guildhall_ledger_imbalance", unit="points") == 0


async def test_what_is_given_and_taken_is_counted_once_it_is_committed(db: Database) -> None:
    place = await make_place(db)
    member = place.members[0]
    given = metric("guildhall_points_given_total", unit="points", kind="grant")
    taken = metric("guildhall_points_taken_total", unit="points", kind="grant")
    twice = place.grant(member, 10, key="the same")
    await place.give(twice, place.grant(member, 5), place.grant(member, -3))
    await place.give(twice)
    with pytest.raises(RuntimeError):
        async with db.begin() as tx:
            await post_grants(tx, [place.grant(member, 100)], history={})
            raise RuntimeError
    assert metric("guildhall_points_given_total", unit="points", kind="grant") == given + 15
    assert metric("guildhall_points_taken_total", unit="points", kind="grant") == taken + 3


def test_units_that_communities_made_up_share_one_label() -> None:
    show_books({"points": (0, 1), "gold-of-guild-17": (2, 30), "gems-of-guild-18": (3, 40)})
    assert metric("guildhall_ledger_imbalance", unit="other") == 5
    assert metric("guildhall_points_held", unit="other") == 70
    assert REGISTRY.get_sample_value("guildhall_points_held", {"unit": "gold-of-guild-17"}) is None
    show_books({})
    assert metric("guildhall_points_held", unit="other") == 0
