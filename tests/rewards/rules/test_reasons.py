"""Every reason that the rules can give has words in both languages, and what was kept is read back as it was meant."""

import ast
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rewards import expressions
from services.rewards.domain import engine, reasons
from services.rewards.domain.explaining import Decided, phrase, why
from services.rewards.domain.reasons import (
    BY_RECEIVER,
    BY_STATE,
    Basis,
    Capped,
    Mixed,
    Multiplied,
    Why,
    read,
    with_basis,
)
from services.rewards.domain.rules import Measure, Receiver, Scope, Window
from services.rewards.handlers.checking_in import AWAY

REWARDS = Path(expressions.__file__).parent
VERDICTS = frozenset(name for name, value in vars(engine).items() if name.isupper() and isinstance(value, str))


def filled(one: Why) -> str:
    """A reason as it would be kept, with something in each of its places."""
    return one.reason(**{name: "48" for _, name, _, _ in Formatter().parse(one.kept) if name})


@pytest.mark.parametrize("one", Why, ids=lambda one: one.name)
def test_a_reason_is_said_in_words_of_the_readers_language(one: Why) -> None:
    kept = filled(one)
    english, chinese = (phrase(Decided("r", "xp", "ineligible", 1, 0, kept), language) for language in ("en", "zh"))
    assert english.startswith("rule r gave nothing: ")
    assert "{" not in english + chinese
    told = chinese.removeprefix("规则「r」未给分:")
    assert told != chinese
    assert kept not in told, "the words are those of the reader's language"
    assert any("\u4e00" <= c <= "\u9fff" for c in told)
    assert [w for w in Why if w.form.fullmatch(kept)] == [one], "it reads as no other"


def test_there_is_a_reason_for_every_receiver_that_may_not_be_named_and_every_state_that_earns_nothing() -> None:
    assert BY_RECEIVER.keys() == set(get_args(Receiver))
    assert BY_STATE.keys() == set(AWAY)
    for state, one in BY_STATE.items():
        assert one.kept == f"the member is {state}"


def test_every_kind_of_limit_has_words_and_what_was_kept_of_it_is_read_back() -> None:
    told = set()
    for of in get_args(Measure):
        for per in get_args(Window):
            for scope in get_args(Scope):
                for over_all in (False, True):
                    one = Capped(3, of, per, scope, 3600 if per == "rolling" else None, over_all)
                    assert read(one.reason) == (one.reason, one, None)
                    for language in ("en", "zh"):
                        told.add(phrase(Decided("r", "xp", "capped", 5, 0, one.reason), language))
                        told.add(phrase(Decided("r", "xp", "budget_exhausted", 5, 0, one.reason), language))
    windows, scopes = len(get_args(Window)), len(get_args(Scope))
    # A budget is everybody's, whatever its scope says.
    assert len(told) == 2 * (2 * windows * scopes * 2 + 2 * windows * 2), "no two limits are said alike"


def test_every_number_an_amount_may_be_computed_from_has_words_but_those_that_see_who_cheats() -> None:
    told = {name for name in expressions.NUMBERS if not name.startswith("signals.")}
    for language in ("en", "zh"):
        assert reasons.NUMBERS[language].keys() == told


def bare_reasons(source: str) -> list[str]:
    """Texts that are written where the code says why: beside a verdict, in `reason=`, in `Failed(…)`."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            first, second = node.elts
            if isinstance(first, ast.Name) and first.id in VERDICTS:
                found.append(second)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name == "Verdict" and len(node.args) > 3:
                found.append(node.args[3])
            if name in ("Failed", "Reason"):
                found += node.args
            if name in ("Verdict", "Want", "_replace"):
                found += [word.value for word in node.keywords if word.arg == "reason"]
    texts = (ast.JoinedStr, ast.Constant)
    return [ast.unparse(one) for one in found if isinstance(one, texts) and ast.unparse(one) != "''"]


def test_no_rule_gives_a_reason_that_is_written_where_it_is_given() -> None:
    files = [*REWARDS.glob("*.py"), *(REWARDS / "handlers").rglob("*.py"), REWARDS / "domain" / "engine.py"]
    bare = {file.name: some for file in files if (some := bare_reasons(file.read_text()))}
    assert not bare, f"add it to domain.reasons.Why, with its words: {bare}"
    assert bare_reasons('return INELIGIBLE, "too green"') == ["'too green'"]
    assert bare_reasons('raise Failed(f"of {type}")') == ["f'of {type}'"]


def test_what_was_kept_before_is_told_as_it_was() -> None:
    before = {
        ("capped", 0): ("rule r would have given 5 xp, but its limit was reached", "规则「r」本应给出 5 xp,但已达上限"),
        ("capped", 2): ("rule r gave 2 of 5 xp: its limit was reached", "规则「r」给出 2/5 xp:已达上限"),
        ("budget_exhausted", 0): (
            "rule r gave nothing: the community's budget is used up",
            "规则「r」未给分:社群预算已用完",
        ),
    }
    for (verdict, amount), both in before.items():
        told = [phrase(Decided("r", "xp", verdict, 5, amount, "limit 10"), language) for language in ("en", "zh")]
        assert tuple(told) == both


def test_a_limit_says_how_much_of_what_and_when() -> None:
    def told(language: str, limit: int, of: str, per: str, scope: str, seconds: int | None, over_all: bool) -> str:
        kept = Capped(limit, of, per, scope, seconds, over_all).reason
        return phrase(Decided("r", "xp", "capped", 5, 2, kept), language).partition(":")[2].strip()

    assert told("en", 10, "amount", "day", "member", None, False) == "it is capped at 10 xp today"
    assert told("zh", 10, "amount", "day", "member", None, False) == "已达当天上限 10 xp"
    assert (
        told("en", 1, "grants", "lifetime", "object", None, False) == "it is capped at 1 time ever for the same object"
    )
    assert told("zh", 3, "grants", "week", "pair", None, False) == "已达同两名成员之间当周上限 3 次"
    assert told("en", 9, "amount", "rolling", "member", 86400, True) == (
        "all rules together are capped at 9 xp within 24 hours"
    )
    assert told("en", 9, "amount", "rolling", "pair", 90, False) == (
        "it is capped at 9 xp within 90 seconds between the same two members"
    )
    assert told("zh", 9, "amount", "rolling", "community", 604800, False) == "已达全体成员7 天内上限 9 xp"
    budget = Decided(
        "r", "xp", "budget_exhausted", 5, 0, Capped(1000, "amount", "month", "community", None, True).reason
    )
    assert phrase(budget, "en") == (
        "rule r gave nothing: the community's budget of 1000 xp this month for all rules together is used up"
    )
    assert why(budget, "zh") == "社群当月所有规则合计的预算 1000 xp 已用完"


_numbers = st.dictionaries(st.sampled_from(sorted(expressions.NUMBERS)), st.integers(0, 2**62), max_size=4)
_limits = st.builds(
    Capped,
    st.integers(0, 2**62),
    st.sampled_from(get_args(Measure)),
    st.just("day"),
    st.sampled_from(get_args(Scope)),
    st.none(),
    st.booleans(),
)


_bases = st.none() | st.builds(Basis, st.sampled_from(get_args(Receiver)), _numbers)
_mixes = st.builds(Mixed, st.integers(0, 100), st.integers(1, 2**62), st.integers(1, 2**62))
_multiplied = st.builds(
    Multiplied, st.integers(1, 2**62), st.integers(1, 1_000_000), st.integers(1, 1000), _bases | _mixes
)


@given(st.none() | _limits, _bases | _mixes | _multiplied)
def test_a_limit_and_what_an_amount_was_computed_from_are_read_back_from_one_text(
    capped: Capped | None, basis: Basis | Mixed | Multiplied | None
) -> None:
    first = capped.reason if capped else reasons.NO_REASON
    kept = read(with_basis(first, basis.reason if basis else reasons.NO_REASON))
    assert (kept.text, kept.capped, kept.basis) == (first, capped, basis)


def test_what_was_multiplied_says_of_what_by_how_much_and_how_it_was_rounded() -> None:
    def told(amount: int, of: Multiplied, formula: str = "", language: str = "en") -> str:
        return phrase(Decided("r", "xp", "granted", amount, amount, of.reason, formula=formula), language)

    assert told(6, Multiplied(4, 15_000, 20)) == "rule r gave 6 xp = 4 × 1.5 (level 20)"
    assert told(7, Multiplied(5, 15_000, 20)) == "rule r gave 7 xp = 5 × 1.5 rounded down (level 20)"
    assert told(1, Multiplied(3, 1, 2)) == "rule r gave 1 xp = 3 × 0.0001, at least 1 (level 2)"
    assert told(7, Multiplied(5, 15_000, 20), language="zh") == "规则「r」给出 7 xp = 5 × 1.5 向下取整(等级 20)"
    made = Multiplied(20, 20_000, 3, Basis("actor", {"streak.current": 4}))
    assert told(40, made, "5 * streak.current") == (
        "rule r gave 40 xp = 20 × 2 (level 3), 20 = 5 * streak.current (streak of 4)"
    )
    assert told(40, made, "5 * streak.current", "zh") == (
        "规则「r」给出 40 xp = 20 × 2(等级 3),20 = 5 * streak.current (连续 4 天)"
    )
    mixed = Multiplied(13, 20_000, 3, Mixed(40, 20, 9))
    assert told(26, mixed) == "rule r gave 26 xp = 13 × 2 (level 3), 13 = 40 % effort (20) + 60 % chance (9)"


def test_what_the_library_says_of_an_error_stands_in_a_sentence_of_the_language() -> None:
    told = Decided("r", "xp", "error", 0, 0, reasons.library_said("divide by zero\nat line 1"))
    assert phrase(told, "en") == "rule r could not be worked out: divide by zero"
    assert phrase(told, "zh") == "规则「r」无法计算:算式出错(divide by zero)"


def test_a_formula_that_nobody_reads_and_one_that_is_not_known_any_more_are_left_out() -> None:
    kept = Basis("actor", {"streak.current": 7}).reason
    short, long, gone = (
        phrase(Decided("r", "xp", "granted", 7, 7, kept, formula=text), "en")
        for text in ("streak.current", "streak.current + " * 30 + "0", "")
    )
    assert short == "rule r gave 7 xp = streak.current (streak of 7)"
    assert long == gone == "rule r gave 7 xp (streak of 7)"
