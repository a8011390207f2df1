"""Holds: set aside, then given away or back, each once (R39)."""

import asyncio
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, delete

from kit.errors import Conflict, GuildhallError, NotFound, Unprocessable
from services import rewards
from services.rewards.domain.ledger import MOST, RECORD_DEBT, system_account_id
from services.rewards.handlers import holds
from services.rewards.handlers.expiring import expire_some
from services.rewards.handlers.holds import Wanted, release_some
from services.rewards.store import balances
from services.rewards.store import entries as reading
from services.rewards.tables.ledger import accounts
from tests.rewards.boards.support import make_board, shown
from tests.rewards.ledger.support import NOON, Place, all_entries, change_unit, check_books, make_place
from tests.rewards.ledger.test_lots import lots_of, post, take_back
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    """Its first member has 20."""
    place = await make_place(await make_database("rewards"))
    await place.give(place.grant(place.members[0], 20))
    return place


async def hold(place: Place, amount: int, *, member: UUID | None = None, seconds: int = 3600, **more: Any) -> UUID:
    values = {"member_id": member or place.members[0], "unit": "points", "reason": "Deposit", **more}
    async with place.db.begin() as tx:
        row, _ = await holds.hold(tx, place.id, Wanted(amount=amount, timeout_seconds=seconds, **values), "operator:o")
    return UUID(str(row.id))


async def capture(place: Place, id: UUID, amount: int | None = None) -> Any:
    async with place.db.begin() as tx:
        return await holds.capture(tx, place.id, id, amount=amount, actor="operator:o")


async def release(place: Place, id: UUID) -> Any:
    async with place.db.begin() as tx:
        return await holds.release(tx, place.id, id, actor="operator:o")


async def stands(place: Place) -> tuple[int, int, int]:
    """(balance, held, burnt) of the first member."""
    day = place.db.clock().date()
    held = (await balances.having(place.db, place.id, place.members[0], day, day)).held.get("points", 0)
    async with place.db.read() as tx:
        system = {r.name: r.balance for r in await reading.system_balances(tx, place.id) if r.unit == "points"}
    return await place.balance(place.members[0]), held, system["burn"]


async def test_what_is_held_is_neither_there_nor_gone(place: Place) -> None:
    id = await hold(place, 8)
    assert await stands(place) == (12, 8, 0)
    with pytest.raises(Unprocessable):
        await post(place, place.members[0], -13, kind="spend")
    row = await capture(place, id)
    assert (row.state, row.captured, row.ended_by) == ("captured", 8, "operator:o")
    assert await stands(place) == (12, 0, 8)
    await check_books(place.db)


async def test_of_a_part_that_is_captured_the_rest_goes_back(place: Place) -> None:
    await capture(place, await hold(place, 8), 3)
    assert await stands(place) == (17, 0, 3)
    async with place.db.read() as tx:
        lines = [(row.kind, row.amount, row.reversed) for row in await all_entries(tx, place, place.members[0])]
    assert sorted(lines) == [("grant", 20, 0), ("hold", -8, 5), ("release", 5, 0)]
    await check_books(place.db)


async def test_what_is_released_is_all_back(place: Place) -> None:
    row = await release(place, await hold(place, 8))
    assert (row.state, row.captured) == ("released", 0)
    assert await stands(place) == (20, 0, 0)
    await check_books(place.db)


@pytest.mark.parametrize("first", [capture, release])
@pytest.mark.parametrize("second", [capture, release])
async def test_a_hold_ends_once(place: Place, first: Any, second: Any) -> None:
    id = await hold(place, 8)
    await first(place, id)
    before = await stands(place)
    with pytest.raises(Conflict) as refused:
        await second(place, id)
    assert refused.value.code == "hold_ended"
    assert await stands(place) == before


async def test_of_many_who_end_it_at_once_one_does(place: Place, clock: ManualClock) -> None:
    ids = [await hold(place, 2, seconds=60) for _ in range(8)]
    clock.advance(timedelta(seconds=59))

    async def ends(what: Any, id: UUID) -> int:
        try:
            await what(place, id)
        except Conflict:
            return 0
        return 1

    done = await asyncio.gather(*[ends(what, id) for id in ids for what in (capture, release, capture)])
    assert sum(done) == len(ids)
    balance, held, burnt = await stands(place)
    assert (balance + burnt, held) == (20, 0)
    await check_books(place.db)


async def test_it_ends_by_itself_when_its_time_is_over_once_with_two_replicas(place: Place, clock: ManualClock) -> None:
    ids = [await hold(place, 3, seconds=60 + n) for n in range(4)]
    clock.advance(timedelta(seconds=61))
    with pytest.raises(Conflict):
        await capture(place, ids[1])
    assert sum(await asyncio.gather(*[release_some(place.db) for _ in range(4)])) == 2
    assert await stands(place) == (14, 6, 0)
    with pytest.raises(Conflict) as refused:
        await release(place, ids[0])
    assert refused.value.details["state"] == "expired"
    clock.advance(timedelta(days=30))
    assert await release_some(place.db) == 2
    assert await release_some(place.db) == 0
    assert await stands(place) == (20, 0, 0)
    await check_books(place.db)


async def test_no_more_end_in_one_transaction_than_may(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "MOST", 3)
    for _ in range(7):
        await hold(place, 1, seconds=1)
    clock.advance(timedelta(hours=1))
    assert [await release_some(place.db) for _ in range(4)] == [3, 3, 1, 0]


async def test_the_same_key_holds_once_and_other_content_is_refused(place: Place) -> None:
    first = await hold(place, 8, idempotency_key="k")
    assert await hold(place, 8, idempotency_key="k") == first
    for more in ({"seconds": 7}, {"reason": "Another"}):
        with pytest.raises(Unprocessable) as refused:
            await hold(place, 8, idempotency_key="k", **more)
        assert refused.value.code == "idempotency_key_reused"
    await release(place, first)
    assert await hold(place, 8, idempotency_key="k") == first
    assert await stands(place) == (20, 0, 0)


async def test_of_twenty_with_one_key_at_once_one_holds(place: Place) -> None:
    ids = await asyncio.gather(*[hold(place, 8, idempotency_key="k") for _ in range(20)])
    assert len(set(ids)) == 1
    assert await stands(place) == (12, 8, 0)


async def test_never_more_is_held_than_there_is(place: Place) -> None:
    async def tries() -> str:
        try:
            await hold(place, 3)
        except GuildhallError as error:
            return error.code
        return "held"

    codes = await asyncio.gather(*[tries() for _ in range(20)])
    assert sorted(codes) == ["held"] * 6 + ["insufficient"] * 14
    assert await stands(place) == (2, 18, 0)
    await check_books(place.db)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"amount": 21}, "insufficient"),
        ({"amount": 1, "unit": "xp"}, "unit_not_spendable"),
        ({"amount": 1, "unit": "nothing"}, "unit_unknown"),
        ({"amount": 1, "member": uuid4()}, "member_unknown"),
        ({"amount": 1, "reason": " "}, "reason_missing"),
    ],
)
async def test_what_is_refused_says_why_and_leaves_nothing(place: Place, wanted: dict[str, Any], code: str) -> None:
    with pytest.raises(GuildhallError) as refused:
        await hold(place, **wanted)
    assert refused.value.code == code
    assert await stands(place) == (20, 0, 0)


async def test_no_more_is_captured_than_is_held_and_another_community_captures_nothing(place: Place) -> None:
    id = await hold(place, 8)
    with pytest.raises(Unprocessable) as refused:
        await capture(place, id, 9)
    assert refused.value.code == "capture_too_large"
    there = await make_place(place.db)
    for what in (capture, release):
        with pytest.raises(NotFound):
            await what(there, id)
    assert await stands(place) == (12, 8, 0)


async def test_a_capture_that_is_reversed_gives_it_back_to_whose_it_was(place: Place) -> None:
    row = await capture(place, await hold(place, 8), 6)
    await take_back(place, row.capture_id, 2)
    assert await stands(place) == (16, 0, 4)
    await take_back(place, row.capture_id)
    assert await stands(place) == (20, 0, 0)
    with pytest.raises(Conflict):
        await take_back(place, row.capture_id)
    await check_books(place.db)


async def test_neither_a_hold_nor_its_release_can_be_reversed(place: Place) -> None:
    id = await hold(place, 8)
    await release(place, id)
    async with place.db.read() as tx:
        lines = {line.kind: line.transaction_id for line in await all_entries(tx, place, place.members[0])}
    for kind in ("hold", "release"):
        with pytest.raises(Unprocessable) as refused:
            await take_back(place, lines[kind])
        assert refused.value.code == "not_reversible"


async def test_who_owes_holds_nothing_and_what_is_released_pays_off(place: Place) -> None:
    await change_unit(place, clawback=RECORD_DEBT)
    member = place.members[0]
    prize = await post(place, member, 10)
    id = await hold(place, 25)
    await take_back(place, prize)
    assert await place.balance(member) == 0
    with pytest.raises(Unprocessable) as refused:
        await hold(place, 1)
    assert refused.value.code == "in_debt"
    await release(place, id)
    assert await stands(place) == (20, 0, 0)
    await check_books(place.db)


async def test_lots_that_are_held_do_not_expire_and_go_back_where_they_were(make_database: MakeDatabase) -> None:
    place = await make_place(await make_database("rewards"))
    await change_unit(place, expires_after_days=10)
    member = place.members[0]
    await place.give(place.grant(member, 5, NOON - timedelta(days=4)), place.grant(member, 5))
    id = await hold(place, 8, seconds=80 * 86400)
    assert await lots_of(place, member) == {10: 2}
    row = await capture(place, id, 2)
    assert await lots_of(place, member) == {10: 5, 6: 3}
    await take_back(place, row.capture_id)
    assert await lots_of(place, member) == {10: 5, 6: 5}
    await check_books(place.db)


async def test_what_was_held_past_its_time_lasts_a_week_more(make_database: MakeDatabase, clock: ManualClock) -> None:
    place = await make_place(await make_database("rewards"))
    await change_unit(place, expires_after_days=10)
    member = place.members[0]
    await place.give(place.grant(member, 5))
    id = await hold(place, 5, seconds=80 * 86400)
    clock.advance(timedelta(days=30))
    assert await expire_some(place.db) == 0
    await release(place, id)
    assert await expire_some(place.db) == 0
    clock.advance(timedelta(days=8))
    assert await expire_some(place.db) == 1
    assert await place.balance(member) == 0
    await check_books(place.db)


async def test_boards_do_not_count_what_is_held(place: Place) -> None:
    await make_board(place)
    id = await hold(place, 8)
    assert await shown(place) == [(1, 0, 20)]
    await capture(place, id, 3)
    assert await shown(place) == [(1, 0, 20)]
    await check_books(place.db)


async def test_units_that_were_there_before_holds_get_the_account_they_stand_on(place: Place) -> None:
    path = next((Path(rewards.__file__).parent / "migrations" / "versions").glob("*_lots.py"))
    spec = spec_from_file_location("lots_migration", path)
    assert spec is not None
    assert spec.loader is not None
    migration = module_from_spec(spec)
    spec.loader.exec_module(migration)

    def again(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            migration._open_escrow()

    await make_board(place)
    async with place.db.begin() as tx:
        await tx.execute(delete(accounts).where(accounts.c.name == "escrow"))
        await tx.conn.run_sync(again)
    id = await hold(place, 8)
    assert await stands(place) == (12, 8, 0)
    await release(place, id)
    async with place.db.read() as tx:
        rows = await reading.accounts_of(tx, place.id, system_account_id(place.id, "escrow"))
        others = await reading.accounts_of(tx, place.id, system_account_id(place.id, "mint"))
    assert [(r.unit, r.followers) for r in rows] == [(r.unit, r.followers) for r in others]
    await check_books(place.db)


async def test_what_needs_a_second_person_is_not_held_around_them(place: Place) -> None:
    await change_unit(place, approval_above=5)
    with pytest.raises(Unprocessable, match="second person"):
        await hold(place, 6)
    await hold(place, 5)


async def test_what_one_community_cannot_be_given_back_keeps_none_of_anothers(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    """An account can hold no more than it can: its hold stays, and is named in the log."""
    db = await make_database("rewards")
    full, other = await make_place(db), await make_place(db)
    await post(full, full.members[0], MOST)
    await hold(full, MOST, seconds=60)
    await post(full, full.members[1], -MOST, allow_negative=True)
    await post(full, full.members[0], MOST)
    await other.give(other.grant(other.members[0], 20))
    await hold(other, 8, seconds=120)
    clock.advance(timedelta(minutes=5))
    assert await release_some(db) == 1
    assert await stands(other) == (20, 0, 0)
    assert await release_some(db) == 0
    await check_books(db)
