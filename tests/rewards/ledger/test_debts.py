"""A unit that records debts: a reversal takes what there is, the rest is owed, and new points pay it off first (R7)."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import Conflict, Unprocessable
from services.rewards.domain.ledger import RECORD_DEBT, Unit
from services.rewards.handlers import units
from services.rewards.handlers.adjusting import post_many, post_one, reverse
from services.rewards.store import entries as reading
from services.rewards.store import ledger as store
from tests.rewards.boards.support import make_board, shown
from tests.rewards.ledger.support import Place, all_entries, check_books, make_place, wish
from tests.support.databases import MakeDatabase


async def owing(place: Place, unit: str = "points") -> Place:
    """The place, its unit recording debts from now on."""
    async with place.db.begin() as tx:
        present = (await store.units_of(tx, place.id))[unit]
        changed = Unit(unit, present.name, spendable=True, clawback=RECORD_DEBT, version=present.version + 1)
        await units.put(tx, place.id, changed)
    return place


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await owing(await make_place(await make_database("rewards")))


async def stands(place: Place, member: UUID) -> tuple[int, int]:
    """(balance, debt) in points."""
    async with place.db.read() as tx:
        rows = await reading.accounts_of(tx, place.id, member)
    return next(((int(r.balance), int(r.debt)) for r in rows if r.unit == "points"), (0, 0))


async def one(place: Place, member: UUID, amount: int, **more: Any) -> UUID:
    async with place.db.begin() as tx:
        id = (await post_one(tx, place.id, wish(member, amount, **more), "operator:o")).id
    assert id is not None
    return id


async def take_back(place: Place, entry: UUID, amount: int | None = None) -> None:
    async with place.db.begin() as tx:
        await reverse(tx, place.id, entry, amount=amount, reason="because", actor="operator:o")


async def test_what_was_spent_is_owed_and_new_points_pay_it_off_first(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    await one(place, member, -7, kind="spend")
    await take_back(place, prize)
    assert await stands(place, member) == (0, 7)
    await place.give(place.grant(member, 4))
    assert await stands(place, member) == (0, 3)
    await one(place, member, 5)
    assert await stands(place, member) == (2, 0)
    async with place.db.read() as tx:
        lines = await all_entries(tx, place, member)
        system = {r.name: r.balance for r in await reading.system_balances(tx, place.id) if r.unit == "points"}
    kinds = sorted((line.kind, line.amount, line.counter_name) for line in lines)
    assert kinds == [
        ("adjustment", 5, "adjust"), ("adjustment", 10, "adjust"), ("grant", 4, "mint"), ("owed", 7, "debt"),
        ("repayment", -4, "debt"), ("repayment", -3, "debt"), ("reversal", -10, "adjust"), ("spend", -7, "burn"),
    ]  # fmt: skip
    assert system["debt"] == 0
    await check_books(place.db)


async def test_who_owes_cannot_spend_and_is_told_how_much(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    await one(place, member, -7, kind="spend")
    await take_back(place, prize)
    with pytest.raises(Unprocessable) as refused:
        await one(place, member, -1, kind="spend")
    assert (refused.value.code, refused.value.details["debt"]) == ("in_debt", 7)
    wanted = [wish(member, -1, kind="spend"), wish(member, 9), wish(member, -3, kind="spend"), wish(member, -2)]
    async with place.db.begin() as tx:
        outcomes = await post_many(tx, place.id, wanted, "operator:o")
    assert [o.error.code if o.error else o.status for o in outcomes] == [
        "in_debt", "accepted", "insufficient", "accepted",
    ]  # fmt: skip
    assert await stands(place, member) == (0, 0)
    await check_books(place.db)


async def test_what_is_there_is_taken_and_nothing_is_owed_while_there_is_enough(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    await one(place, member, 5)
    await take_back(place, prize)
    assert await stands(place, member) == (5, 0)


async def test_a_part_that_is_there_is_taken_and_the_rest_is_owed(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    await one(place, member, -6, kind="spend")
    await take_back(place, prize, 3)
    assert await stands(place, member) == (1, 0)
    await take_back(place, prize)
    assert await stands(place, member) == (0, 6)


async def test_a_spend_that_comes_back_pays_off_too(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    bought = await one(place, member, -8, kind="spend")
    await take_back(place, prize)
    await take_back(place, bought)
    assert await stands(place, member) == (0, 0)
    await check_books(place.db)


async def test_neither_side_of_a_debt_can_be_reversed(place: Place) -> None:
    member = place.members[0]
    prize = await one(place, member, 10)
    await one(place, member, -8, kind="spend")
    await take_back(place, prize)
    await one(place, member, 3)
    async with place.db.read() as tx:
        lines = {line.kind: line.transaction_id for line in await all_entries(tx, place, member)}
    for kind in ("owed", "repayment"):
        with pytest.raises(Unprocessable) as refused:
            await take_back(place, lines[kind])
        assert refused.value.code == "not_reversible"


async def test_boards_count_what_was_taken_back_in_full_and_nothing_of_the_debt(place: Place) -> None:
    await make_board(place)
    member = place.members[0]
    prize = await one(place, member, 10)
    kept = await one(place, member, 4)
    await one(place, member, -9, kind="spend")
    await take_back(place, prize)
    assert await shown(place) == [(1, 0, 4)]
    await one(place, member, 2)
    assert await shown(place) == [(1, 0, 6)]
    await take_back(place, kept)
    assert await shown(place) == [(1, 0, 2)]


async def test_a_board_made_while_debts_are_recorded_goes_as_it_came(make_database: MakeDatabase) -> None:
    place = await make_place(await make_database("rewards"))
    await make_board(place)
    await owing(place)
    async with place.db.read() as tx:
        rows = await reading.accounts_of(tx, place.id, store.system_account_id(place.id, "debt"))
        others = await reading.accounts_of(tx, place.id, store.system_account_id(place.id, "mint"))
    assert [r.followers for r in rows] == [r.followers for r in others if r.unit == "points"] == [1]


_steps = st.lists(
    st.tuples(st.sampled_from(["give", "give", "spend", "back"]), st.integers(0, 1), st.integers(1, 9)), max_size=20
)


@settings(max_examples=40)
@given(steps=_steps)
async def test_balances_and_debts_are_those_of_a_model(place: Place, steps: list[tuple[str, int, int]]) -> None:
    home = await owing(await make_place(place.db, 2))
    has, owes = [0, 0], [0, 0]
    given_to: list[tuple[int, int, UUID]] = []
    for what, who, amount in steps:
        member = home.members[who]
        if what == "give":
            given_to.append((who, amount, await one(home, member, amount)))
            paid = min(owes[who], amount)
            owes[who] -= paid
            has[who] += amount - paid
        elif what == "spend":
            if owes[who] or has[who] < amount:
                with pytest.raises(Unprocessable):
                    await one(home, member, -amount, kind="spend")
            else:
                await one(home, member, -amount, kind="spend")
                has[who] -= amount
        elif given_to:
            who, amount, entry = given_to.pop(amount % len(given_to))
            await take_back(home, entry)
            taken = min(has[who], amount)
            has[who] -= taken
            owes[who] += amount - taken
        assert [await stands(home, m) for m in home.members] == list(zip(has, owes, strict=True))
    await check_books(home.db)


async def test_many_who_give_spend_and_take_back_at_once_leave_books_that_agree(place: Place) -> None:
    await make_board(place)
    prizes = [await one(place, member, 20) for member in place.members for _ in range(6)]
    other = [await one(place, member, 3, unit="xp") for member in place.members]

    async def spends(member: UUID) -> None:
        try:
            await one(place, member, -6, kind="spend")
        except Unprocessable:
            return

    async def takes(entry: UUID) -> None:
        try:
            await take_back(place, entry)
        except Conflict:
            return

    work: list[Any] = []
    for number, prize in enumerate(prizes):
        members = place.members[number % 3 :] + place.members[: number % 3]
        work += [spends(members[0]), spends(members[1]), takes(prize), takes(prize)]
        work.append(place.give(*(place.grant(member, 2) for member in members)))
    work += [takes(entry) for entry in other]
    # Fewer than there are connections: who waits for one too long is refused, which depends on the machine.
    room = asyncio.Semaphore(50)

    async def beside(others: Any) -> None:
        async with room:
            await others

    await asyncio.wait_for(asyncio.gather(*map(beside, work)), 120)
    await check_books(place.db)
    for member in place.members:
        balance, debt = await stands(place, member)
        assert balance >= 0
        assert debt >= 0
        assert not (balance and debt)
