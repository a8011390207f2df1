"""Entries by hand: who, why, how much, twice, and never more than there is."""

from datetime import timedelta

import pytest

from kit.auth import Principal
from kit.contracts.rewards import PointsAdjusted
from kit.errors import BadRequest, Conflict, Forbidden, GuildhallError, Unprocessable
from services.rewards.domain.adjusting import Wish
from services.rewards.domain.ledger import Unit
from services.rewards.handlers import units
from services.rewards.handlers.adjusting import decide, post_many, post_one, reverse
from services.rewards.store import adjustments, entries
from tests.rewards.ledger.support import NOON, Place, Statements, announced, check_books, make_place, wish
from tests.support.databases import MakeDatabase

ALICE = "operator:alice"


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def post(place: Place, *wishes: Wish) -> list[tuple[str, str]]:
    """(status, code of the problem) of each."""
    async with place.db.begin() as tx:
        outcomes = await post_many(tx, place.id, wishes, ALICE)
    return [(o.status, o.error.code if o.error else "") for o in outcomes]


async def one(place: Place, wanted: Wish) -> object:
    async with place.db.begin() as tx:
        return (await post_one(tx, place.id, wanted, ALICE)).id


def principal(place: Place, name: str) -> Principal:
    return Principal("operator", name, place.id, frozenset(), None, "live")


async def test_an_adjustment_names_who_and_why_and_is_announced(place: Place) -> None:
    member = place.members[0]
    posted = await one(place, wish(member, 30, reason="helped"))
    async with place.db.read() as tx:
        row = await entries.entry(tx, place.id, posted)  # type: ignore[arg-type]  # an id, when accepted
    assert row is not None
    assert (row.actor, row.reason, row.counter_name, row.kind) == (ALICE, "helped", "adjust", "adjustment")
    (event,) = await announced(place.db, PointsAdjusted)
    assert (event.member_id, event.amount, event.transaction_id) == (member, 30, posted)
    await check_books(place.db)


async def test_spending_goes_to_burn_and_never_below_the_minimum(place: Place) -> None:
    member = place.members[0]
    await one(place, wish(member, 30))
    await one(place, wish(member, -20, kind="spend"))
    with pytest.raises(Unprocessable) as refused:
        await one(place, wish(member, -11, kind="spend"))
    assert refused.value.code == "insufficient"
    assert refused.value.details["available"] == 10
    assert await place.balance(member) == 10
    await check_books(place.db)


async def test_a_debit_by_hand_is_refused_unless_it_may_leave_less_than_nothing(place: Place) -> None:
    member = place.members[0]
    with pytest.raises(Unprocessable):
        await one(place, wish(member, -5))
    await one(place, wish(member, -5, allow_negative=True))
    assert await place.balance(member) == -5
    with pytest.raises(Unprocessable):
        await one(place, wish(member, -1, kind="spend"))
    await one(place, wish(member, 3))
    assert await place.balance(member) == -2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 0}, "amount_zero"),
        ({"amount": 2**63}, "amount_out_of_range"),
        ({"reason": "  "}, "reason_missing"),
        ({"unit": "gold"}, "unit_unknown"),
        ({"kind": "spend", "amount": 5}, "spend_positive"),
        ({"kind": "spend", "amount": -5, "unit": "xp"}, "unit_not_spendable"),
        ({"effective_at": NOON + timedelta(days=400)}, "in_the_future"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_reason(
    place: Place, change: dict[str, object], code: str
) -> None:
    values: dict[str, object] = {"amount": 5, **change}
    with pytest.raises(GuildhallError) as refused:
        await one(place, wish(place.members[0], **values))  # type: ignore[arg-type]  # a table of bad values
    assert refused.value.code == code
    assert refused.value.status == (400 if code == "amount_out_of_range" else 422)


async def test_another_communitys_member_is_nobody_here(place: Place) -> None:
    other = await make_place(place.db)
    assert await post(place, wish(other.members[0], 5)) == [("refused", "member_unknown")]


async def test_the_same_key_is_the_original_with_the_same_content_and_refused_with_other(place: Place) -> None:
    member = place.members[0]
    assert await post(place, wish(member, 5, key="a")) == [("accepted", "")]
    assert await post(place, wish(member, 5, key="a")) == [("duplicate", "")]
    assert await post(place, wish(member, 6, key="a")) == [("refused", "idempotency_key_reused")]
    assert await place.balance(member) == 5


async def test_two_items_with_one_key_in_a_batch_are_one_accepted_and_one_duplicate(place: Place) -> None:
    a, b, _ = place.members
    batch = [wish(a, 5, key="k"), wish(a, 5, key="k"), wish(a, 7, key="k"), wish(b, 1), wish(b, 0)]
    assert await post(place, *batch) == [
        ("accepted", ""),
        ("duplicate", ""),
        ("refused", "idempotency_key_reused"),
        ("accepted", ""),
        ("refused", "amount_zero"),
    ]
    assert (await place.balance(a), await place.balance(b)) == (5, 1)
    await check_books(place.db)


async def test_a_batch_is_gone_through_in_order_and_refuses_only_what_is_not_covered(place: Place) -> None:
    member = place.members[0]
    batch = [wish(member, -1, kind="spend"), wish(member, 10), wish(member, -8, kind="spend", key="x"),
             wish(member, -8, kind="spend", key="y")]  # fmt: skip
    expected = [("refused", "insufficient"), ("accepted", ""), ("accepted", ""), ("refused", "insufficient")]
    assert await post(place, *batch) == expected
    assert await place.balance(member) == 2
    # What was refused left no key behind: it can be asked again.
    await post(place, wish(member, 10))
    assert await post(place, wish(member, -8, kind="spend", key="y")) == [("accepted", "")]
    await check_books(place.db)


async def test_above_the_threshold_a_second_person_decides_and_not_the_first(place: Place) -> None:
    member = place.members[0]
    async with place.db.begin() as tx:
        points = Unit("points", "Points", spendable=True, approval_above=100, version=2)
        await units.put(tx, place.id, points)
    assert await post(place, wish(member, 101, key="big"), wish(member, 100)) == [("waiting", ""), ("accepted", "")]
    assert await post(place, wish(member, 101, key="big")) == [("waiting", "")]
    assert await post(place, wish(member, 102, key="big")) == [("refused", "idempotency_key_reused")]
    assert await place.balance(member) == 100
    async with place.db.read() as tx:
        (row,) = await adjustments.page(tx, place.id, state="waiting", limit=10, after=None, before=None)
    async with place.db.begin() as tx:
        with pytest.raises(Forbidden):
            await decide(tx, principal(place, "alice"), row.id, approve=True)
    async with place.db.begin() as tx:
        await decide(tx, principal(place, "bob"), row.id, approve=True)
    assert await place.balance(member) == 201
    async with place.db.begin() as tx:
        with pytest.raises(Conflict):
            await decide(tx, principal(place, "bob"), row.id, approve=True)
    assert await post(place, wish(member, 101, key="big")) == [("duplicate", "")]
    assert await place.balance(member) == 201
    await check_books(place.db)


async def test_a_refused_adjustment_posts_nothing(place: Place) -> None:
    member = place.members[0]
    async with place.db.begin() as tx:
        await units.put(tx, place.id, Unit("points", "Points", spendable=True, approval_above=0, version=2))
    await post(place, wish(member, 5))
    async with place.db.begin() as tx:
        (row,) = await adjustments.page(tx, place.id, state="waiting", limit=10, after=None, before=None)
        await decide(tx, principal(place, "bob"), row.id, approve=False)
    assert await place.balance(member) == 0


async def test_a_full_reversal_happens_once_and_refers_to_the_original(place: Place) -> None:
    member = place.members[0]
    grant = place.grant(member, 7)
    original = (await place.give(grant))[grant.idem_key]
    async with place.db.begin() as tx:
        back = await reverse(tx, place.id, original, amount=None, reason="mistake", actor=ALICE)
    async with place.db.read() as tx:
        row = await entries.entry(tx, place.id, back)
    assert row is not None
    assert (row.amount, row.reverses, row.counter_name) == (-7, original, "mint")
    async with place.db.begin() as tx:
        with pytest.raises(Conflict) as refused:
            await reverse(tx, place.id, original, amount=None, reason="again", actor=ALICE)
    assert refused.value.code == "already_reversed"
    async with place.db.begin() as tx:
        with pytest.raises(Unprocessable):
            await reverse(tx, place.id, back, amount=None, reason="undo", actor=ALICE)
    assert await place.balance(member) == 0
    await check_books(place.db)


async def test_partial_reversals_go_as_far_as_the_original(place: Place) -> None:
    member = place.members[0]
    grant = place.grant(member, 10)
    original = (await place.give(grant))[grant.idem_key]
    for part in (3, 3):
        async with place.db.begin() as tx:
            await reverse(tx, place.id, original, amount=part, reason="part", actor=ALICE)
    async with place.db.begin() as tx:
        with pytest.raises(Unprocessable) as refused:
            await reverse(tx, place.id, original, amount=5, reason="too much", actor=ALICE)
    assert refused.value.details["left"] == 4
    async with place.db.begin() as tx:
        await reverse(tx, place.id, original, amount=None, reason="rest", actor=ALICE)
    assert await place.balance(member) == 0
    await check_books(place.db)


async def test_a_reversal_may_leave_less_than_nothing_unless_the_unit_says_refuse(place: Place) -> None:
    member = place.members[0]
    given = {unit: await one(place, wish(member, 10, unit=unit)) for unit in ("points", "fund")}
    for unit in given:
        await one(place, wish(member, -8, unit=unit, kind="spend"))
    async with place.db.begin() as tx:
        await reverse(tx, place.id, given["points"], amount=None, reason="x", actor=ALICE)  # type: ignore[arg-type]  # an id
    with pytest.raises(Unprocessable) as refused:
        async with place.db.begin() as tx:
            await reverse(tx, place.id, given["fund"], amount=None, reason="x", actor=ALICE)  # type: ignore[arg-type]  # an id
    assert refused.value.code == "insufficient"
    assert (await place.balance(member), await place.balance(member, "fund")) == (-8, 2)
    await check_books(place.db)


async def test_a_spend_that_is_reversed_comes_back(place: Place) -> None:
    member = place.members[0]
    await one(place, wish(member, 10))
    spent = await one(place, wish(member, -8, kind="spend"))
    async with place.db.begin() as tx:
        await reverse(tx, place.id, spent, amount=None, reason="refund", actor=ALICE)  # type: ignore[arg-type]  # an id
    assert await place.balance(member) == 10
    await check_books(place.db)


async def test_an_amount_that_overflows_a_balance_is_a_bad_request(place: Place) -> None:
    member = place.members[0]
    await one(place, wish(member, 2**62 - 1))
    with pytest.raises(BadRequest) as refused:
        await one(place, wish(member, 1))
    assert refused.value.code == "balance_out_of_range"


async def test_one_entry_takes_five_statements(place: Place) -> None:
    await one(place, wish(place.members[0], 1))
    with Statements(place.db) as statements:
        await one(place, wish(place.members[0], 1))
    assert len(statements.texts) == 5
