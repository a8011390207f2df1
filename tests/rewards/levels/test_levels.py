"""Levels: what a balance makes of them, announced once, versions of them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.contracts.rewards import LevelPerks, LevelReached
from kit.errors import GuildhallError, Unprocessable
from services.rewards.domain.ledger import MOST
from services.rewards.domain.levels import (
    DEFAULT_SCHEME,
    MOST_LEVELS,
    Formula,
    LevelTable,
    Perks,
    checked,
    checked_perks,
    read,
    read_perks,
    written,
    written_perks,
)
from services.rewards.handlers import levels
from services.rewards.handlers.adjusting import reverse
from tests.rewards.ledger.support import NOON, Place, announced, make_place
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def give(place: Place, *amounts: int, member: int = 0, unit: str = "xp") -> None:
    """Each amount in a batch of its own."""
    for amount in amounts:
        await place.give(place.grant(place.members[member], amount, unit=unit))


async def level_of(place: Place, member: int = 0) -> tuple[int, int, int | None]:
    """(level, balance, where the next one begins)."""
    async with place.db.read() as tx:
        found = await levels.member_level(tx, place.id, place.members[member])
    return found.level.level, found.balance, found.next.threshold if found.next else None


async def told(place: Place) -> list[int]:
    return [e.level for e in await announced(place.db, LevelReached)]


async def change(place: Place, scheme: Formula | LevelTable, unit: str = "xp") -> int:
    async with place.db.begin() as tx:
        return (await levels.change(tx, place.id, unit, scheme, "operator:o")).version


@given(balance=st.integers(-10, 60_000_000))
def test_the_formula_begins_level_n_at_50_n_times_n_minus_1(balance: int) -> None:
    n = DEFAULT_SCHEME.level_at(balance)
    assert n == 1 or 50 * n * (n - 1) <= balance
    assert n == MOST_LEVELS or balance < 50 * (n + 1) * n


@given(rises=st.lists(st.integers(1, 1000), max_size=20), balance=st.integers(-5, 20_000), step=st.integers(1, 2**40))
def test_a_scheme_reads_back_as_it_was_written_and_levels_rise_with_the_balance(
    rises: list[int], balance: int, step: int
) -> None:
    rows, threshold = [(0, "")], 0
    for rise in rises:
        threshold += rise
        rows.append((threshold, f"from {threshold}"))
    for scheme in (LevelTable(tuple(rows)), Formula(step)):
        assert read(written(scheme)) == checked(scheme, MOST) == scheme
        level = scheme.level_at(balance)
        assert scheme.threshold(level) <= max(balance, 0)
        assert level == scheme.highest or scheme.threshold(level + 1) > balance
        assert scheme.level_at(balance) <= scheme.level_at(balance + 1)


@pytest.mark.parametrize(
    ("scheme", "code"),
    [
        (Formula(0), "out_of_range"),
        (Formula(2**61), "out_of_range"),
        (LevelTable(()), "out_of_range"),
        (LevelTable(((1, ""),)), "first_not_zero"),
        (LevelTable(((0, ""), (5, ""), (5, ""))), "not_rising"),
        (LevelTable(((0, ""), (MOST + 1, ""))), "not_rising"),
    ],
)
def test_a_scheme_that_makes_no_sense_is_refused(scheme: Formula | LevelTable, code: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        checked(scheme, MOST)
    assert code in [e.code for e in refused.value.errors]


async def test_a_level_follows_from_the_balance_and_says_what_is_next(place: Place) -> None:
    assert await level_of(place) == (1, 0, 100)
    await give(place, 99)
    assert await level_of(place) == (1, 99, 100)
    await give(place, 1)
    assert await level_of(place) == (2, 100, 300)


async def test_every_level_passed_is_announced_once_and_level_1_never(place: Place) -> None:
    await give(place, 50, 50, 1)
    assert await told(place) == [2]
    await give(place, 900)
    assert await told(place) == [2, 3, 4, 5]
    (first, *_) = await announced(place.db, LevelReached)
    assert (first.member_id, first.unit, first.threshold, first.name) == (place.members[0], "xp", 100, "Level 2")


async def test_a_level_lost_and_reached_again_is_not_announced_again(place: Place) -> None:
    grant = place.grant(place.members[0], 100, unit="xp")
    posted = (await place.give(grant))[grant.idem_key]
    async with place.db.begin() as tx:
        await reverse(tx, place.id, posted, amount=None, reason="mistake", actor="operator:o")
    assert await level_of(place) == (1, 0, 100)
    await give(place, 100)
    assert await level_of(place) == (2, 100, 300)
    assert await told(place) == [2]


async def test_one_batch_announces_for_each_member_what_it_led_to(place: Place) -> None:
    a, b, c = place.members
    grants = [place.grant(a, 60, unit="xp") for _ in range(2)] + [place.grant(b, 99, unit="xp")]
    await place.give(*grants, place.grant(c, 300, unit="xp"), place.grant(b, 500, unit="points"))
    events = await announced(place.db, LevelReached)
    assert sorted((place.members.index(e.member_id), e.level) for e in events) == [(0, 2), (2, 2), (2, 3)]


async def test_history_is_marked_so_that_nobody_is_woken_by_it(place: Place) -> None:
    grant = place.grant(place.members[0], 100, NOON - timedelta(days=900), unit="xp")
    await place.give(grant, history=True)
    await give(place, 200)
    assert [e.history for e in await announced(place.db, LevelReached)] == [True, False]


async def test_a_change_of_the_levels_is_a_version_and_announces_nothing_by_itself(place: Place) -> None:
    await give(place, 100)
    table = LevelTable(((0, "Guest"), (10, "Friend"), (50, "Regular"), (120, "")))
    assert await change(place, table) == 2
    assert await level_of(place) == (3, 100, 120)
    assert await told(place) == [2]
    await give(place, 20)
    assert [(e.level, e.name) for e in await announced(place.db, LevelReached)][1:] == [(4, "Level 4")]
    assert await level_of(place) == (4, 120, None)


async def test_levels_may_follow_another_unit_from_now_on(place: Place) -> None:
    assert await change(place, Formula(5), "points") == 2
    await give(place, 100)
    assert await told(place) == []
    await give(place, 10, unit="points")
    assert await told(place) == [2]
    assert await level_of(place) == (2, 10, 30)
    with pytest.raises(GuildhallError):
        await change(place, Formula(5), "gold")


async def test_spending_costs_no_level_because_xp_cannot_be_spent(place: Place) -> None:
    await give(place, 100)
    await give(place, 100, unit="points")
    await give(place, -30, unit="points")
    assert await level_of(place) == (2, 100, 300)


async def test_an_enormous_grant_announces_no_more_levels_than_there_are(place: Place) -> None:
    await give(place, 2**60)
    assert await told(place) == list(range(2, MOST_LEVELS + 1))


PERKS = {
    2: Perks(roles=("friend",), shop=("stickers",)),
    3: Perks(roles=("regular", "friend"), multiplier=12_000),
    5: Perks(multiplier=15_000),
}


async def test_perks_add_up_over_the_levels_and_the_news_of_a_level_carries_what_it_adds(place: Place) -> None:
    async with place.db.begin() as tx:
        await levels.change(tx, place.id, "xp", Formula(50), "operator:o", PERKS)

    async def mine() -> Perks:
        async with place.db.read() as tx:
            return (await levels.member_level(tx, place.id, place.members[0])).perks

    assert await mine() == Perks()
    await give(place, 100)
    assert await mine() == PERKS[2]
    await give(place, 500)
    assert await mine() == Perks(roles=("friend", "regular"), multiplier=12_000, shop=("stickers",))
    await give(place, 400)
    assert (await mine()).multiplier == 15_000
    told = {e.level: e.perks for e in await announced(place.db, LevelReached)}
    assert told[2] == LevelPerks(roles=("friend",), shop=("stickers",))
    assert (told[4], told[5]) == (None, LevelPerks(multiplier=15_000))


def test_perks_read_back_as_they_were_written_and_name_each_level_once() -> None:
    assert read_perks(written_perks(PERKS)) == PERKS
    assert read_perks(None) == {}
    row = {"level": 2, "roles": [], "multiplier": None, "shop": []}
    table = LevelTable(((0, ""), (10, "")))
    with pytest.raises(Unprocessable) as refused:
        checked_perks([row, row, {**row, "level": 3}], table)
    assert [(e.pointer, e.code) for e in refused.value.errors] == [
        ("/perks/1/level", "duplicate"),
        ("/perks/2/level", "out_of_range"),
    ]
