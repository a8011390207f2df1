"""Chance and effort: what is drawn, what is earned, and what the two come to."""

import hashlib
import hmac
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.rewards.domain.amounts import Curve, RandomAmount, draw, mixed
from services.rewards.domain.explaining import Decided, phrase
from services.rewards.domain.ledger import MOST
from services.rewards.domain.reasons import Mixed
from services.rewards.domain.rules import MAX_EXPRESSION
from services.rewards.handlers import rules
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.rules.test_rule_sets import wrong_with
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase

SECRET = bytes(range(32))
EVENTS = [UUID(int=n) for n in range(2000)]

CURVES: tuple[Curve, ...] = ("even", "lowest_of_two")
whole = st.integers(1, MOST)
shares = st.integers(0, 100)
ranges = st.tuples(whole, whole).map(sorted)


def drawn(event_id: UUID, low: int, high: int, curve: Curve = "even", secret: bytes = SECRET) -> int:
    return draw(secret, event_id, "talk", UUID(int=1), "xp", low, high, curve)


def by_the_page(secret: bytes, names: str, low: int, high: int, curve: str) -> int:
    """The recipe of docs/rewards.md, step by step."""
    size = high - low + 1
    wanted, found, counter = {"even": 1, "lowest_of_two": 2}[curve], list[int](), 0
    while len(found) < wanted:
        message = f"{names}\n{counter}".encode()
        number = int(hmac.new(secret, message, hashlib.sha256).hexdigest()[:16], 16)
        if number < 2**64 - 2**64 % size:
            found.append(low + number % size)
        counter += 1
    return sorted(found)[0]


def test_what_rules_without_a_curve_drew_before_there_were_curves_is_drawn_still() -> None:
    # Written down from the code as it was then; the last of them throws its first number away.
    before = [
        ("00000000000000010000000000000007", "talk", "000000000000000000000000000f4243", "xp", 1, 6, 6),
        ("00000000000000020000000000000007", "talk", "000000000000000000000000001e8486", "xp", 1, 6, 4),
        ("00000000000000030000000000000007", "talk", "000000000000000000000000002dc6c9", "points", 1, 6, 4),
        ("00000000000000040000000000000007", "thanks", "000000000000000000000000003d090c", "xp", 15, 25, 23),
        ("00000000000000050000000000000007", "thanks", "000000000000000000000000004c4b4f", "xp", 1, 1, 1),
        ("00000000000000060000000000000007", "talk", "000000000000000000000000005b8d92", "xp", 1, 1000, 222),
        ("00000000000000070000000000000007", "talk", "000000000000000000000000006acfd5", "xp", 1, MOST,
         1099180049477402631),
        ("00000000000000080000000000000007", "talk", "000000000000000000000000007a1218", "xp", 1, 2**62 - 2**60,
         2061743953703573045),
        (UUID(int=30).hex, "talk", UUID(int=1).hex, "xp", 1, 2**62 - 2**60, 2418810684781754298),
    ]  # fmt: skip
    for event, rule_id, member, unit, low, high, amount in before:
        assert draw(SECRET, UUID(event), rule_id, UUID(member), unit, low, high) == amount
    assert [drawn(event, 1, 6) for event in EVENTS[:40]] == [
        3, 5, 2, 1, 1, 2, 4, 2, 2, 6, 2, 1, 6, 6, 6, 2, 5, 4, 4, 2, 6, 5, 4, 4, 3, 2, 2, 5, 5, 5, 2, 3, 3, 1, 3, 1, 5,
        6, 5, 2,
    ]  # fmt: skip
    assert rules.parse({"rules": [rule(give=[given_random(min=1, max=6)])]}).rules[0].give[0].random == RandomAmount(
        min=1, max=6, curve="even", effort=None
    )


@given(st.uuids(), ranges, st.sampled_from(CURVES), st.binary(min_size=32, max_size=32))
@example(UUID(int=30), [1, 2**62 - 2**60], "lowest_of_two", SECRET)
def test_a_draw_lies_in_its_bounds_and_anybody_with_the_secret_finds_it_by_the_recipe(
    event_id: UUID, bounds: list[int], curve: Curve, secret: bytes
) -> None:
    low, high = bounds
    found = drawn(event_id, low, high, curve, secret)
    assert low <= found <= high
    assert found == by_the_page(secret, f"{event_id.hex}\ntalk\n{UUID(int=1).hex}\nxp", low, high, curve)
    assert found <= drawn(event_id, low, high, "even", secret)


def test_even_draws_all_numbers_equally_often_and_the_lowest_of_two_small_ones_more_often() -> None:
    even, low = ([drawn(event, 1, 100, curve) for event in EVENTS] for curve in CURVES)
    assert abs(sum(even) / len(even) - 50.5) < 2
    assert abs(sum(low) / len(low) - 33.8) < 1.6
    tenths = [(sum(n <= 10 for n in some), sum(n > 90 for n in some)) for some in (even, low)]
    for found, expected in zip([*tenths[0], *tenths[1]], [200, 200, 380, 20], strict=True):
        assert abs(found - expected) < 4 * expected**0.5
    assert {drawn(event, 1, 3, "lowest_of_two") for event in EVENTS} == {1, 2, 3}


@given(whole, whole, shares)
def test_a_mix_lies_between_its_parts_and_is_the_nearest_whole_number(earned: int, chance: int, share: int) -> None:
    found = mixed(earned, chance, share)
    assert min(earned, chance) <= found <= max(earned, chance)
    exact = Fraction(share * earned + (100 - share) * chance, 100)
    assert -Fraction(1, 2) < found - exact <= Fraction(1, 2)


@given(whole, whole)
def test_no_share_is_chance_alone_and_the_whole_share_effort_alone(earned: int, chance: int) -> None:
    assert (mixed(earned, chance, 0), mixed(earned, chance, 100)) == (chance, earned)


@given(whole, whole, whole, shares)
def test_who_earned_more_never_gets_less(less: int, more: int, chance: int, share: int) -> None:
    less, more = sorted((less, more))
    assert mixed(less, chance, share) <= mixed(more, chance, share)


def test_halves_are_rounded_up() -> None:
    assert [mixed(10, n, 50) for n in (1, 2, 3, 11)] == [6, 6, 7, 11]
    assert mixed(1, 5, 40) == 3


def given_random(**random: Any) -> dict[str, Any]:
    return {"to": "actor", "unit": "xp", "random": random}


EFFORT = "/rules/0/give/0/random/effort"


@pytest.mark.parametrize(
    ("random", "pointer", "code"),
    [
        ({"min": 5, "max": 4}, "/rules/0/give/0/random", "amount_invalid"),
        ({"min": 0, "max": 4}, "/rules/0/give/0/random", "amount_invalid"),
        ({"min": 1, "max": MOST + 1}, "/rules/0/give/0/random", "amount_invalid"),
        ({"min": 1, "max": 4, "curve": "bell"}, "/rules/0/give/0/random/curve", "schema_violation"),
        ({"min": 1, "max": 4, "share": 40}, "/rules/0/give/0/random/share", "field_unknown"),
        ({"min": 1, "max": 4, "effort": 2}, EFFORT, "schema_violation"),
        ({"min": 1, "max": 4, "effort": {}}, EFFORT, "amount_ambiguous"),
        ({"min": 1, "max": 4, "effort": {"amount": 2, "cel": "2"}}, EFFORT, "amount_ambiguous"),
        ({"min": 1, "max": 4, "effort": {"amount": 5}}, f"{EFFORT}/amount", "out_of_range"),
        ({"min": 2, "max": 4, "effort": {"amount": 1}}, f"{EFFORT}/amount", "out_of_range"),
        ({"min": 1, "max": 4, "effort": {"amount": 1.5}}, f"{EFFORT}/amount", "schema_violation"),
        ({"min": 1, "max": 4, "effort": {"amount": 2, "share": -1}}, f"{EFFORT}/share", "out_of_range"),
        ({"min": 1, "max": 4, "effort": {"amount": 2, "share": 101}}, f"{EFFORT}/share", "out_of_range"),
        ({"min": 1, "max": 4, "effort": {"amount": 2, "share": 0.4}}, f"{EFFORT}/share", "schema_violation"),
        ({"min": 1, "max": 4, "effort": {"cel": "event.type"}}, f"{EFFORT}/cel", "expression_invalid"),
        ({"min": 1, "max": 4, "effort": {"cel": "text.size"}}, f"{EFFORT}/cel", "expression_invalid"),
        ({"min": 1, "max": 4, "effort": {"cel": "1.5"}}, f"{EFFORT}/cel", "expression_invalid"),
        ({"min": 1, "max": 4, "effort": {"cel": "1+" * MAX_EXPRESSION + "1"}}, f"{EFFORT}/cel", "too_long"),
        ({"min": 1, "max": 4, "effort": {"cel": "1\0"}}, f"{EFFORT}/cel", "text_invalid"),
    ],
)
def test_what_is_wrong_with_chance_or_effort_is_named(random: dict[str, Any], pointer: str, code: str) -> None:
    assert (pointer, code) in wrong_with(rule(give=[given_random(**random)]))


def test_what_is_right_is_taken_up_to_the_bounds() -> None:
    for effort in ({"amount": 1, "share": 0}, {"amount": MOST, "share": 100}, {"cel": "text.length / 20"}):
        assert wrong_with(rule(give=[given_random(min=1, max=MOST, curve="lowest_of_two", effort=effort)])) == []


def test_the_hint_for_a_share_says_what_its_ends_mean_and_an_editor_reads_them_in_the_schema() -> None:
    wrong = rules.parse({"rules": [rule(give=[given_random(min=1, max=4, effort={"amount": 1, "share": 400})])]})
    (error,) = rules.problems(wrong, ["xp"])
    assert error.message == "0 (all chance) to 100 (all effort) per cent; 40 unless given"
    defined = rules.schema()["$defs"]
    share = {"type": "integer", "default": 40, "minimum": 0, "maximum": 100}
    assert defined["Effort"]["properties"]["share"] == share
    assert "text.length" in defined["Effort"]["properties"]["cel"]["description"]
    assert defined["RandomAmount"]["properties"]["curve"] == {"enum": ["even", "lowest_of_two"], "default": "even"}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


def chance_of(guild: Guild, event_id: UUID, low: int, high: int, curve: str = "even") -> int:
    """What chance gives ann for it by the rule `talk`, by the recipe."""
    secret = hashlib.sha256(f"guildhall draws\n{guild.db.secret}".encode()).digest()
    names = f"{event_id.hex}\ntalk\n{guild.member('ann').hex}\nxp"
    return by_the_page(secret, names, low, high, curve)


async def test_forty_per_cent_are_earned_and_sixty_drawn_unless_the_rule_says_otherwise(guild: Guild) -> None:
    effort = {"cel": "text.length / 10"}
    await guild.publish(rule(give=[given_random(min=5, max=50, curve="lowest_of_two", effort=effort)]))
    lengths = {0: 5, 49: 5, 200: 20, 499: 49, 100_000: 50}
    texts = [guild.act(data={"length": length}) for length in lengths]
    await guild.score(*texts)
    total = 0
    for text, counted in zip(texts, lengths.values(), strict=True):
        chance = chance_of(guild, text.event_id, 5, 50, "lowest_of_two")
        amount = (40 * counted + 60 * chance + 50) // 100
        assert await guild.verdicts(text) == [("talk", "granted", amount)]
        total += amount
    assert await guild.has("ann") == total
    await check_books(guild.db)


async def test_effort_alone_is_what_was_earned_and_chance_alone_what_was_drawn_without_effort(guild: Guild) -> None:
    efforts = {
        "fixed": {"amount": 3, "share": 100},
        "computed": {"cel": "text.length", "share": 100},
        "talk": {"cel": "text.length", "share": 0},
    }
    await guild.publish(*(rule(id, give=[given_random(min=1, max=9, effort=e)]) for id, e in efforts.items()))
    message = guild.act(data={"length": 7})
    await guild.score(message)
    amounts = {id: amount for id, _, amount in await guild.verdicts(message)}
    assert amounts == {"fixed": 3, "computed": 7, "talk": chance_of(guild, message.event_id, 1, 9)}


async def test_effort_may_look_at_signals_and_they_are_noted_for_it(guild: Guild) -> None:
    await guild.publish(rule(give=[given_random(min=1, max=9, effort={"cel": "counts.day", "share": 100})]))
    messages = [guild.act() for _ in range(3)]
    await guild.score(*messages)
    assert [(await guild.verdicts(message))[0][2] for message in messages] == [1, 2, 3]


async def test_effort_that_cannot_be_worked_out_gives_nothing_and_says_why(guild: Guild) -> None:
    await guild.publish(rule(give=[given_random(min=1, max=9, effort={"cel": "10 / text.length"})]))
    message = guild.act()
    await guild.score(message)
    assert await guild.verdicts(message) == [("talk", "error", 0)]


async def test_a_limit_cuts_a_mixed_amount_as_any_other(guild: Guild) -> None:
    random = given_random(min=10, max=20, effort={"amount": 12})
    await guild.publish(rule(give=[random], caps=[{"limit": 21}]))
    await guild.score(*(guild.act() for _ in range(3)))
    assert await guild.has("ann") == 21


async def test_both_parts_are_told_in_both_languages_and_nothing_of_the_kind_where_there_is_one(
    rewards: Rewards,
) -> None:
    guild = rewards.guild
    both = given_random(min=1, max=9, effort={"amount": 4})
    await guild.publish(
        rule("talk", name="Talk", give=[both]), rule("dice", name="Dice", give=[given_random(min=3, max=3)])
    )
    message = guild.act()
    await guild.score(message)
    chance = chance_of(guild, message.event_id, 1, 9)
    amount = mixed(4, chance, 40)
    dice, talk = (await rewards.get(f"/v1/events/{message.event_id}/decisions"))["items"]
    assert (dice["amount"], dice["reason"]) == (3, "")
    assert (talk["amount"], talk["reason"]) == (amount, f"40 % effort (4), 60 % chance ({chance})")
    path = f"/v1/members/{guild.member('ann')}/points/explain"
    (line,) = (await rewards.get(path))["items"]
    assert f"rule Dice gave 3 xp; rule Talk gave {amount} xp = 40 % effort (4) + 60 % chance ({chance})" in line["text"]
    (line,) = (await rewards.client.get(path, headers={"Accept-Language": "zh-CN"})).json()["items"]
    assert f"规则「Talk」给出 {amount} xp = 努力 40%(4)+ 运气 60%({chance})" in line["text"]


async def test_what_waits_for_a_review_or_was_cut_says_what_it_was_mixed_of(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule(give=[given_random(min=1, max=9, effort={"amount": 4})], review_when="true"))
    message = guild.act()
    await guild.score(message)
    (waiting,) = (await rewards.get(f"/v1/events/{message.event_id}/decisions"))["items"]
    chance = chance_of(guild, message.event_id, 1, 9)
    parts, amount = f"40 % effort (4), 60 % chance ({chance})", mixed(4, chance, 40)
    assert (waiting["verdict"], waiting["amount"], waiting["reason"]) == ("pending", 0, parts)
    assert waiting["wanted"] == amount
    cut = Decided("Talk", "xp", "capped", amount, 1, f"limit 1, amount per day and member; {parts}")
    said = f"rule Talk gave 1 of {amount} xp = 40 % effort (4) + 60 % chance ({chance}): it is capped at 1 xp today"
    assert phrase(cut, "en") == said


def test_a_reviewers_reason_is_not_taken_for_the_parts_of_an_amount() -> None:
    looked_at = Decided("Talk", "xp", "granted", 2, 2, "40 % effort, as far as I can see")
    assert phrase(looked_at, "en") == "rule Talk gave 2 xp"
    told = Decided("Talk", "xp", "granted", 2, 2, Mixed(40, 1, 3).reason)
    assert phrase(told, "en") == "rule Talk gave 2 xp = 40 % effort (1) + 60 % chance (3)"
