"""The chain holds when somebody was erased, and says more than it did to who changes anything of theirs."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update

from kit.database import insert_many
from services.rewards.domain.chain import digest, written
from services.rewards.domain.erasing import Erased, commitment
from services.rewards.domain.exported import Checked, check, exported
from services.rewards.domain.ledger import ERASURE_RECORD
from services.rewards.handlers.sealing import seal_some, verify_chain
from services.rewards.store import chain as store
from services.rewards.store import erasures
from services.rewards.tables.erasures import erased_transactions
from services.rewards.tables.ledger import entries, transactions
from tests.rewards.erasing.support import finish, hear, pseudonyms
from tests.rewards.ledger.support import Place, check_books, make_place
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def sealed(place: Place) -> None:
    place.db.clock.advance(timedelta(seconds=6))  # type: ignore[attr-defined]  # the test's ManualClock
    while await seal_some(place.db):
        pass


async def erased(place: Place) -> UUID:
    """The first member is erased, with three entries in blocks and one that is in none yet; one of theirs."""
    first, other, _ = place.members
    await place.give(place.grant(first, 5), place.grant(other, 7), place.grant(first, 2, unit="xp"))
    await sealed(place)
    posted = await place.give(place.grant(first, 3))
    await hear(place, first)
    await finish(place)
    await sealed(place)
    await check_books(place.db)
    return next(iter(posted.values()))


async def online(place: Place) -> list[str]:
    async with place.db.read() as tx:
        found = await verify_chain(tx, place.id)
    return [fault.partition(": ")[2] for fault in found.faults]


async def offline(place: Place, change: Callable[[bytes], bytes] = lambda line: line) -> Checked:
    lines: list[bytes] = []
    async with place.db.read() as tx:
        number = 1
        while (block := await store.block(tx, place.id, number)) is not None:
            those = await store.read(tx, place.id, block.ids)
            lines += exported(block, those, await erasures.erased_among(tx, place.id, block.ids))
            number += 1
    return check(map(change, lines))


async def test_it_holds_in_the_database_and_in_a_file(place: Place) -> None:
    await erased(place)
    assert await online(place) == []
    found = await offline(place)
    # Three grants and, of each of the two units, what closed the account.
    assert (found.faults, found.erased, len(found.records)) == ([], 5, 1)
    (pseudonym,) = await pseudonyms(place)
    first, other, _ = place.members
    held = {owner: amount for (owner, unit), amount in found.balances.items() if unit == "points"}
    assert (held[str(pseudonym)], held[str(other)]) == (0, 7)
    assert str(first) not in held


async def set_amount(place: Place, id: UUID) -> None:
    async with place.db.begin() as tx:
        for line, amount in ((0, 1000), (1, -1000)):
            where = entries.c.transaction_id == id, entries.c.line == line
            await tx.execute(update(entries).where(*where).values(amount=amount))


async def set_reason(place: Place, id: UUID) -> None:
    async with place.db.begin() as tx:
        await tx.execute(update(transactions).where(transactions.c.id == id).values(reason="nothing"))


async def forget_commitment(place: Place, id: UUID) -> None:
    async with place.db.begin() as tx:
        await tx.execute(delete(erased_transactions).where(erased_transactions.c.transaction_id == id))


async def remove_record(place: Place, id: UUID) -> None:
    async with place.db.begin() as tx:
        await tx.execute(delete(transactions).where(transactions.c.kind == ERASURE_RECORD))


@pytest.mark.parametrize("tamper", [set_amount, set_reason, forget_commitment, remove_record])
async def test_a_change_of_what_was_erased_is_seen(
    place: Place, tamper: Callable[[Place, UUID], Awaitable[None]]
) -> None:
    id = await erased(place)
    await tamper(place, id)
    assert await online(place) != []
    if tamper is not remove_record:
        assert (await offline(place)).faults != []


async def test_a_change_that_says_it_was_an_erasure_is_seen(place: Place) -> None:
    await erased(place)
    other = place.members[1]
    async with place.db.read() as tx:
        id = await tx.scalar(select(entries.c.transaction_id).where(entries.c.owner_id == other))
        (before,) = await store.read(tx, place.id, [id])
        record = await tx.scalar(select(transactions.c.id).where(transactions.c.kind == ERASURE_RECORD))
    await set_amount(place, id)
    assert await online(place) != []
    async with place.db.read() as tx:
        (after,) = await store.read(tx, place.id, [id])
    pair = {"original": digest(written(before)), "digest": digest(written(after))}
    for said, fault in ((record, "other erased entries than there are"), (uuid4(), "which is not there")):
        row = {"community_id": place.id, "transaction_id": id, "number": 1, "record_id": said, **pair}
        async with place.db.begin() as tx:
            await tx.execute(delete(erased_transactions).where(erased_transactions.c.transaction_id == id))
            await insert_many(tx, erased_transactions, [row])
        assert [one for one in await online(place) if fault in one] != []
        assert (await offline(place)).faults != []


async def test_a_line_of_a_file_that_was_changed_is_seen(place: Place) -> None:
    id = await erased(place)

    def change(line: bytes) -> bytes:
        return line.replace(b'"rule",1', b'"rule",2') if line.startswith(b'["%s"' % str(id).encode()) else line

    assert (await offline(place, change)).faults != []


async def test_what_was_tampered_with_before_is_not_made_good_by_erasing(place: Place) -> None:
    posted = await place.give(place.grant(place.members[0], 5))
    await sealed(place)
    await set_reason(place, next(iter(posted.values())))
    await hear(place, place.members[0])
    await finish(place)
    await sealed(place)
    assert [fault for fault in await online(place) if "block 1 or something in it was changed" in fault] != []


async def test_an_entry_may_be_made_another_twice(place: Place) -> None:
    """Of two people in one transaction each may be erased. No transaction is of two yet, so one is erased twice."""
    id = await erased(place)
    (pseudonym,) = await pseudonyms(place)
    await hear(place, pseudonym)
    await finish(place)
    await sealed(place)
    assert await online(place) == []
    found = await offline(place)
    assert (found.faults, found.erased, len(found.records)) == ([], 5, 2)
    async with place.db.read() as tx:
        times = (await erasures.erased_among(tx, place.id, [id]))[id]
    assert [one.number for one in times] == [1, 2]
    assert len({one.original for one in times}) == 1
    await set_amount(place, id)
    assert await online(place) != []


def test_a_commitment_is_of_everything_in_it(clock: ManualClock) -> None:
    one = Erased(UUID(int=1), 1, UUID(int=9), b"a" * 32, b"b" * 32)
    others: list[dict[str, Any]] = [
        {"transaction_id": UUID(int=2)}, {"number": 2}, {"original": b"c" * 32}, {"digest": b"c" * 32}
    ]  # fmt: skip
    made = {commitment([one]), commitment([]), *(commitment([one._replace(**change)]) for change in others)}
    assert len(made) == 6
    assert commitment([one, one._replace(number=2)]) == commitment([one._replace(number=2), one])
