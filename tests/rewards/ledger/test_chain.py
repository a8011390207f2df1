"""What is sealed in the chain cannot be changed, left out or put in without being seen."""

from asyncio import gather
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from kit.clock import first_uuid7, uuid7
from kit.database import Database
from services.rewards.domain.chain import MOST, NO_HASH, block_hash, digest, packed, unpacked
from services.rewards.domain.exported import NoExport, check, exported
from services.rewards.handlers.sealing import look_again, seal_some, verify_chain, verify_chains
from services.rewards.store import chain as store
from services.rewards.tables.chain import ledger_blocks, ledger_chains
from services.rewards.tables.ledger import entries, transactions
from tests.rewards.ledger.support import Place, make_place
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def sealed(db: Database, clock: ManualClock) -> int:
    """Everything that was posted until now."""
    clock.advance(timedelta(seconds=6))
    count = 0
    while some := await seal_some(db):
        count += some
    return count


async def faults(place: Place) -> list[str]:
    async with place.db.read() as tx:
        return await verify_chains(tx)


async def blocks(place: Place) -> list[int]:
    """How many transactions each block has."""
    async with place.db.read() as tx:
        rows = await tx.all(select(ledger_blocks).order_by(ledger_blocks.c.number))
    return [len(unpacked(bytes(row.ids))) for row in rows if row.community_id == place.id]


async def test_what_was_posted_is_sealed_some_seconds_later_and_holds(place: Place, clock: ManualClock) -> None:
    await place.give(*(place.grant(member, 5) for member in place.members))
    assert await seal_some(place.db) == 0
    assert await sealed(place.db, clock) == 3
    await place.give(place.grant(place.members[0], 7), place.grant(place.members[0], 2, unit="xp"))
    assert await sealed(place.db, clock) == 2
    assert (await blocks(place), await faults(place)) == ([3, 2], [])


async def test_a_block_holds_a_thousand_and_the_rest_is_in_the_next(place: Place, clock: ManualClock) -> None:
    for _ in range(3):
        await place.give(*(place.grant(place.members[0], 1) for _ in range(500)))
    assert await sealed(place.db, clock) == 1500
    assert (await blocks(place), await faults(place)) == ([MOST, 500], [])


async def test_each_community_has_a_chain_of_its_own(place: Place, clock: ManualClock) -> None:
    other = await make_place(place.db)
    await place.give(place.grant(place.members[0], 1))
    await other.give(*(other.grant(member, 1) for member in other.members))
    await sealed(place.db, clock)
    assert (await blocks(place), await blocks(other)) == ([1], [3])
    async with place.db.begin() as tx:
        await tx.execute(update(entries).where(entries.c.community_id == other.id).values(amount=1000))
    [fault] = await faults(place)
    assert f"ledger of {other.id}: block 1" in fault


TAMPERING = {
    "an amount": (entries, {"amount": 1_000_000}),
    "an owner": (entries, {"owner_id": UUID(int=5)}),
    "a day": (entries, {"day": date(2020, 1, 1)}),
    "a reason": (transactions, {"reason": "because I say so"}),
    "an actor": (transactions, {"actor": "operator:somebody"}),
    "a rule": (transactions, {"rule_version": 9}),
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_a_change_of_anything_sealed_is_seen(place: Place, clock: ManualClock, what: str) -> None:
    await place.give(*(place.grant(member, 5) for member in place.members))
    await sealed(place.db, clock)
    await place.give(place.grant(place.members[0], 5))
    await sealed(place.db, clock)
    async with place.db.begin() as tx:
        table, values = TAMPERING[what]
        one = (await tx.all(select(transactions.c.id).order_by(transactions.c.id)))[1].id
        column = table.c.transaction_id if table is entries else table.c.id
        await tx.execute(update(table).where(column == one).values(**values))
    [fault] = await faults(place)
    assert "block 1 or something in it was changed" in fault


async def test_taking_back_a_part_is_no_change_of_what_was_posted(place: Place, clock: ManualClock) -> None:
    await place.give(place.grant(place.members[0], 5))
    await sealed(place.db, clock)
    async with place.db.begin() as tx:
        await tx.execute(update(entries).values(reversed=3))
    assert await faults(place) == []


async def test_what_is_left_out_or_put_in_afterwards_is_seen(place: Place, clock: ManualClock) -> None:
    await place.give(*(place.grant(member, 5) for member in place.members))
    await sealed(place.db, clock)
    async with place.db.begin() as tx:
        first, second, *_ = await tx.all(select(transactions).order_by(transactions.c.id))
        await tx.execute(delete(entries).where(entries.c.transaction_id == second.id))
        await tx.execute(delete(transactions).where(transactions.c.id == second.id))
        between = UUID(int=first.id.int + 1)
        await tx.execute(insert(transactions).values({**first._mapping, "id": between, "idem_key": bytes(32)}))
    clock.advance(timedelta(hours=2))
    told = await faults(place)
    assert f"transaction {second.id} is in block 1 and nowhere else" in told[0]
    assert f"transaction {between} was put behind the end of the chain" in told[1]
    assert len(told) == 2


async def test_a_chain_that_was_cut_or_computed_anew_is_seen_by_its_end(place: Place, clock: ManualClock) -> None:
    for _ in range(2):
        await place.give(place.grant(place.members[0], 5))
        await sealed(place.db, clock)
    async with place.db.begin() as tx:
        await tx.execute(delete(ledger_blocks).where(ledger_blocks.c.number == 2))
    [fault] = await faults(place)
    assert "its chain ends with block 2, and block 1 is the last there is" in fault


async def test_what_becomes_visible_late_is_sealed_when_its_ground_is_looked_at_again(
    place: Place, clock: ManualClock
) -> None:
    """A transaction that was begun before others and committed long after them."""
    started = clock()
    clock.advance(timedelta(seconds=1))
    await place.give(place.grant(place.members[0], 5))
    await sealed(place.db, clock)
    await place.give(place.grant(place.members[1], 5))
    late = uuid7(started)
    async with place.db.begin() as tx:
        [row] = await tx.all(
            select(transactions.c.id)
            .where(transactions.c.community_id == place.id)
            .order_by(transactions.c.id.desc())
            .limit(1)
        )
        await tx.execute(update(entries).where(entries.c.transaction_id == row.id).values(transaction_id=late))
        await tx.execute(update(transactions).where(transactions.c.id == row.id).values(id=late))
    assert await sealed(place.db, clock) == 0
    assert await look_again(place.db) == 0, "not before everything that was under way has ended"
    clock.advance(timedelta(minutes=11))
    while await look_again(place.db):
        pass
    assert (await blocks(place), await faults(place)) == ([1, 1], [])
    clock.advance(timedelta(minutes=11))
    while await look_again(place.db):
        pass
    assert await blocks(place) == [1, 1], "once"
    await place.give(place.grant(place.members[1], 5))
    await sealed(place.db, clock)
    clock.advance(timedelta(hours=3))
    assert (await blocks(place), await faults(place)) == ([1, 1, 1], [])


async def test_two_that_seal_at_once_seal_once(place: Place, clock: ManualClock) -> None:
    await place.give(*(place.grant(member, 5) for member in place.members for _ in range(50)))
    clock.advance(timedelta(seconds=6))
    done = await gather(*(seal_some(place.db) for _ in range(4)))
    assert (sum(done), await blocks(place), await faults(place)) == (150, [150], [])


async def test_an_export_holds_by_itself_and_a_change_in_it_does_not(place: Place, clock: ManualClock) -> None:
    await place.give(*(place.grant(member, 5) for member in place.members))
    await sealed(place.db, clock)
    await place.give(place.grant(place.members[0], 7))
    await sealed(place.db, clock)
    async with place.db.read() as tx:
        lines = []
        for number in (1, 2):
            block = await store.block(tx, place.id, number)
            assert block is not None
            lines += [*exported(block, await store.read(tx, place.id, block.ids), {})]
        end = await store.end_of(tx, place.id)
    assert end is not None
    found = check(lines)
    assert (found.faults, found.transactions, found.hashes[-1]) == ([], 4, end.hash.hex())
    assert found.balances[str(place.members[0]), "points"] == await place.balance(place.members[0]) == 12
    changed = [line.replace(b",5,", b",6,") for line in lines]
    assert any("was changed" in fault for fault in check(changed).faults)
    assert any("sums to" in fault for fault in check([line.replace(b",5,", b",6,", 1) for line in lines]).faults)
    for broken in ([b"x"], lines[:2], [lines[0], b"[]", b"[]", b"[]"], [b"{}"]):
        with pytest.raises(NoExport):
            check(broken)


async def test_a_block_written_down_once_is_another_when_the_chain_is_computed_anew(
    place: Place, clock: ManualClock
) -> None:
    """Who can write to the database can compute everything anew: only a hash that somebody else kept shows it."""
    await place.give(*(place.grant(member, 5) for member in place.members))
    await sealed(place.db, clock)
    async with place.db.begin() as tx:
        kept = await store.end_of(tx, place.id)
        await tx.execute(update(entries).values(amount=entries.c.amount * 2))
        await tx.execute(delete(ledger_blocks))
        await tx.execute(delete(ledger_chains))
    await sealed(place.db, clock)
    async with place.db.read() as tx:
        found = await verify_chain(tx, place.id)
        block = await store.block(tx, place.id, 1)
    assert kept is not None
    assert block is not None
    assert found.faults == []
    assert block.hash != kept.hash


def test_ids_of_before_an_instant_are_below_its_first(clock: ManualClock) -> None:
    at = clock()
    assert uuid7(at - timedelta(milliseconds=1)) < first_uuid7(at) <= uuid7(at)


@given(st.lists(st.uuids(), max_size=20))
def test_ids_of_a_block_come_out_as_they_went_in(ids: list[UUID]) -> None:
    assert unpacked(packed(ids)) == tuple(ids)


@given(st.lists(st.binary(max_size=20), max_size=5), st.lists(st.binary(max_size=20), max_size=5))
def test_blocks_of_other_transactions_have_other_hashes(one: list[bytes], other: list[bytes]) -> None:
    one, other = [digest(written) for written in one], [digest(written) for written in other]
    assert (block_hash(NO_HASH, 1, one) == block_hash(NO_HASH, 1, other)) is (one == other)
    assert block_hash(NO_HASH, 1, one) != block_hash(NO_HASH, 2, one)
