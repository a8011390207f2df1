"""Deciding a batch, as a pure function: counters, moments, order."""

from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.rewards.domain.amounts import draw
from services.rewards.domain.engine import Cooled, Moments, State, Verdict, Want, decide, reads
from services.rewards.domain.rules import Cap, Give, Rule, RuleSet, UnitCap
from tests.rewards.guild import MORNING

COMMUNITY = UUID(int=1)
ANN = UUID(int=2)


def want(
    number: int, amount: int = 1, *, seconds: float = 0, rule: Rule, rules: RuleSet | None = None, **f: Any
) -> Want:
    at = MORNING + timedelta(seconds=seconds)
    values: dict[str, Any] = {"actor_id": ANN, "subject": None, "member_id": ANN, "unit": "xp", **f}
    windows = {"day": at.date().isoformat(), "week": "w", "month": "m", "lifetime": "ever"}
    return Want(
        community_id=COMMUNITY,
        rule=rule,
        rule_version=1,
        rule_set=rules or RuleSet(rules=(rule,)),
        event_id=uuid5(COMMUNITY, str(number)),
        at=at,
        amount=amount,
        windows=windows,
        **values,
    )


def of(*caps: Cap, **fields: Any) -> Rule:
    give = (Give(to="actor", unit="xp", amount=1),)
    return Rule(id="r", on=("message.created",), give=give, caps=caps, **fields)


def run(wants: list[Want], state: State | None = None) -> list[Verdict]:
    ids, slots = reads(wants, MORNING)
    fresh = state or State(dict.fromkeys(ids, 0), {slot: Moments() for slot in slots})
    return decide(wants, fresh)


def amounts(verdicts: list[Verdict]) -> list[int]:
    return [v.amount for v in verdicts]


def test_a_batch_that_crosses_a_cap_is_paid_up_to_it_and_the_rest_is_told() -> None:
    rule = of(Cap(limit=7))
    verdicts = run([want(n, 3, rule=rule) for n in range(4)])
    assert [(v.verdict, v.amount) for v in verdicts] == [("granted", 3), ("granted", 3), ("capped", 1), ("capped", 0)]
    assert verdicts[2].reason == "limit 7, amount per day and member"


def test_a_batch_decided_in_parts_is_decided_as_at_once() -> None:
    rule = of(Cap(limit=7), cooldown_seconds=60)
    wants = [want(n // 2, 3, seconds=n // 2 * 61, rule=rule) for n in range(6)]
    ids, slots = reads(wants, MORNING)
    state, cooled, parts = State(dict.fromkeys(ids, 0), {slot: Moments() for slot in slots}), Cooled(), []
    for one in wants:
        parts += decide([one], state, cooled)
    assert parts == run(wants)
    assert amounts(parts) == [3, 3, 1, 0, 0, 0]


def test_skip_leaves_a_grant_out_that_does_not_fit_and_takes_a_later_one_that_does() -> None:
    rule = of(Cap(limit=7, on_exceed="skip"))
    assert amounts(run([want(n, a, rule=rule) for n, a in enumerate((5, 4, 2, 1))])) == [5, 0, 2, 0]


def test_a_cap_of_grants_counts_occasions_whatever_their_amount() -> None:
    rule = of(Cap(limit=2, of="grants"))
    assert amounts(run([want(n, 50, rule=rule) for n in range(3)])) == [50, 50, 0]


def test_a_limit_of_nothing_gives_nothing() -> None:
    assert amounts(run([want(1, rule=of(Cap(limit=0)))])) == [0]


def test_two_caps_that_differ_in_their_limit_only_read_one_counter_that_moves_once() -> None:
    rule = of(Cap(limit=100), Cap(limit=5))
    assert amounts(run([want(n, 2, rule=rule) for n in range(4)])) == [2, 2, 1, 0]


def test_the_tightest_of_several_caps_decides() -> None:
    rule = of(Cap(limit=10), Cap(per="week", limit=6), Cap(limit=3, of="grants"))
    assert amounts(run([want(n, 4, rule=rule) for n in range(3)])) == [4, 2, 0]


def test_a_budget_is_everybodys_and_named_when_it_is_used_up() -> None:
    rule = of(Cap(scope="community", limit=5))
    verdicts = run([want(n, 3, rule=rule, member_id=UUID(int=10 + n)) for n in range(3)])
    assert [(v.verdict, v.amount) for v in verdicts] == [("granted", 3), ("capped", 2), ("budget_exhausted", 0)]


def test_a_unit_cap_holds_over_all_rules() -> None:
    one, other = of(), Rule(id="s", on=("question.asked",), give=(Give(to="actor", unit="xp", amount=1),))
    both = RuleSet(rules=(one, other), unit_caps=(UnitCap(unit="xp", limit=5),))
    wants = [want(n, 2, rule=r, rules=both) for n, r in enumerate((one, other, one, other))]
    assert amounts(run(wants)) == [2, 2, 1, 0]
    other_unit = want(9, 50, rule=one, rules=both, unit="points")
    assert amounts(run([*wants, other_unit]))[-1] == 50


def test_a_unit_cap_that_skips_leaves_out_what_the_rules_caps_leave_of_a_grant_where_that_does_not_fit() -> None:
    rule = of(Cap(limit=3))
    rules = RuleSet(rules=(rule,), unit_caps=(UnitCap(unit="xp", limit=4, on_exceed="skip"),))
    other = Rule(id="s", on=("message.created",), give=(Give(to="actor", unit="xp", amount=1),))
    wants = [
        want(n, a, rule=r, rules=rules) for n, (r, a) in enumerate(((rule, 10), (other, 2), (other, 1), (other, 1)))
    ]
    assert [(v.verdict, v.amount) for v in run(wants)] == [("capped", 3), ("capped", 0), ("granted", 1), ("capped", 0)]
    assert run(wants)[1].reason == "limit 4, amount per day and member, all rules"


@given(
    some=st.lists(st.integers(1, 9), max_size=30),
    limit=st.integers(0, 20),
    skip=st.booleans(),
    rolling=st.booleans(),
)
def test_a_unit_cap_cuts_and_skips_as_a_cap_of_the_only_rule_does(
    some: list[int], limit: int, skip: bool, rolling: bool
) -> None:
    same: dict[str, Any] = {"limit": limit, "on_exceed": "skip" if skip else "truncate"}
    same |= {"per": "rolling", "seconds": 5} if rolling else {"per": "week"}
    plain, capped = of(), of(Cap(**same))
    rules = RuleSet(rules=(plain,), unit_caps=(UnitCap(unit="xp", **same),))
    by_unit = run([want(n, a, rule=plain, rules=rules, seconds=n) for n, a in enumerate(some)])
    by_rule = run([want(n, a, rule=capped, seconds=n) for n, a in enumerate(some)])
    said = [v._replace(reason=v.reason.replace(", all rules", "")) for v in by_unit]
    assert [v[1:] for v in said] == [v[1:] for v in by_rule]
    if skip:
        assert all(v.amount in (0, v.want.amount) for v in by_unit)


def test_a_scope_that_the_event_does_not_name_does_not_apply() -> None:
    rule = of(Cap(scope="object", per="lifetime", limit=1), Cap(scope="pair", per="lifetime", limit=1))
    assert amounts(run([want(n, rule=rule, actor_id=None) for n in range(3)])) == [1, 1, 1]


def test_each_scope_counts_what_it_says() -> None:
    bob = UUID(int=3)

    def given(scope: Any, *who: tuple[UUID, UUID, str]) -> list[int]:
        rule = of(Cap(scope=scope, per="lifetime", limit=1))
        wants = [want(n, rule=rule, actor_id=actor, member_id=to, subject=on) for n, (actor, to, on) in enumerate(who)]
        return amounts(run(wants))

    carl = UUID(int=4)
    many = ((ANN, bob, "post1"), (carl, bob, "post1"), (ANN, bob, "post2"), (ANN, carl, "post1"))
    assert given("member", *many) == [1, 0, 0, 1]
    assert given("object", *many) == [1, 0, 1, 1]
    assert given("actor_object", *many) == [1, 1, 1, 0]
    assert given("pair", *many) == [1, 1, 0, 1]
    assert given("community", *many) == [1, 0, 0, 0]


def test_a_penalty_is_neither_capped_nor_cooled_and_frees_nothing() -> None:
    rule = of(Cap(limit=3), cooldown_seconds=60)
    wants = [want(1, 3, rule=rule), want(2, -50, rule=rule, seconds=1), want(3, 3, rule=rule, seconds=100)]
    assert amounts(run(wants)) == [3, -50, 0]


def test_a_cooldown_looks_both_ways_and_ends_to_the_second() -> None:
    rule = of(cooldown_seconds=60)
    at = (0, 59.9, 60, 30, -59.9, -60)
    verdicts = run([want(n, rule=rule, seconds=s) for n, s in enumerate(at)])
    assert [v.verdict for v in verdicts] == ["granted", "cooldown", "granted", "cooldown", "cooldown", "granted"]


def test_what_was_capped_to_nothing_does_not_start_a_cooldown() -> None:
    rule = of(Cap(limit=0), cooldown_seconds=60)
    state = State({}, {})
    ids, slots = reads([want(1, rule=rule)], MORNING)
    state = State(dict.fromkeys(ids, 0), {slot: Moments() for slot in slots})
    decide([want(1, rule=rule)], state)
    assert all(m.items == [] for m in state.moments.values())


def test_a_rule_that_gives_two_units_is_one_occasion_for_its_cooldown() -> None:
    rule = of(Cap(limit=1), cooldown_seconds=60)
    rules = RuleSet(rules=(rule,), unit_caps=(UnitCap(unit="points", limit=1),))

    def both(number: int, seconds: float) -> list[Want]:
        return [want(number, rule=rule, rules=rules, seconds=seconds, unit=unit) for unit in ("points", "xp")]

    first, second, third = both(1, 0), both(2, 10), both(3, 86400)
    verdicts = run([*first, *second, *third])
    assert [v.verdict for v in verdicts] == ["granted", "granted", "cooldown", "cooldown", "granted", "granted"]


def test_a_cooldown_holds_for_the_unit_that_still_pays_when_the_other_is_at_its_cap() -> None:
    rule = of(cooldown_seconds=60)
    rules = RuleSet(rules=(rule,), unit_caps=(UnitCap(unit="points", per="lifetime", limit=0),))
    wants = [want(n, rule=rule, rules=rules, seconds=n, unit=unit) for n in (1, 2) for unit in ("points", "xp")]
    assert [v.verdict for v in run(wants)] == ["capped", "granted", "cooldown", "cooldown"]


@given(
    seconds=st.lists(st.integers(0, 300), min_size=1, max_size=40),
    amount=st.integers(1, 5),
    limit=st.integers(0, 12),
    skip=st.booleans(),
)
def test_no_rolling_window_ever_holds_more_than_its_limit_in_whatever_order_events_arrive(
    seconds: list[int], amount: int, limit: int, skip: bool
) -> None:
    rule = of(Cap(per="rolling", seconds=60, limit=limit, on_exceed="skip" if skip else "truncate"))
    verdicts = run([want(n, amount, rule=rule, seconds=s) for n, s in enumerate(seconds)])
    paid = sorted((v.want.at, v.amount) for v in verdicts)
    for start, _ in paid:
        window = [n for at, n in paid if start <= at < start + timedelta(seconds=60)]
        assert sum(window) <= limit


@given(seconds=st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_grants_under_a_cooldown_are_never_closer_than_it(seconds: list[int]) -> None:
    rule = of(cooldown_seconds=60)
    verdicts = run([want(n, rule=rule, seconds=s) for n, s in enumerate(seconds)])
    paid = sorted(v.want.at for v in verdicts if v.amount)
    assert all(b - a >= timedelta(seconds=60) for a, b in pairwise(paid))


@given(
    amounts_=st.lists(st.integers(-5, 9).filter(bool), max_size=30),
    limit=st.integers(0, 40),
    split=st.integers(0, 30),
)
def test_a_batch_decides_the_same_as_its_parts_one_after_the_other(amounts_: list[int], limit: int, split: int) -> None:
    rule = of(Cap(limit=limit), Cap(per="rolling", seconds=30, limit=max(limit // 2, 1)), cooldown_seconds=2)
    wants = [want(n, a, rule=rule, seconds=n) for n, a in enumerate(amounts_)]
    whole = amounts(run(wants))
    ids, slots = reads(wants, MORNING)
    state = State(dict.fromkeys(ids, 0), {slot: Moments() for slot in slots})
    assert amounts(decide(wants[:split], state)) + amounts(decide(wants[split:], state)) == whole
    assert sum(n for n in whole if n > 0) <= limit


@given(secret=st.binary(min_size=1), event=st.uuids(), low=st.integers(1, 2**61), span=st.integers(0, 2**61))
def test_a_draw_is_in_range_and_the_same_for_ever(secret: bytes, event: UUID, low: int, span: int) -> None:
    drawn = draw(secret, event, "r", ANN, "xp", low, low + span)
    assert low <= drawn <= low + span
    assert drawn == draw(secret, event, "r", ANN, "xp", low, low + span)


def test_draws_are_even_and_differ_by_secret_rule_member_and_unit() -> None:
    drawn = [draw(b"secret", UUID(int=n), "r", ANN, "xp", 1, 6) for n in range(6000)]
    assert all(850 < drawn.count(face) < 1150 for face in range(1, 7))
    same = [draw(b"secret", UUID(int=n), "r", ANN, "points", 1, 6) for n in range(6000)]
    assert 850 < sum(a == b for a, b in zip(drawn, same, strict=True)) < 1150
