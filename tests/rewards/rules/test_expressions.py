"""Conditions and amounts in CEL: what is refused when a rule set is saved, and what an evaluation never does."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rewards.expressions import VARIABLES, Context, Failed, check
from tests.rewards.guild import MORNING


def context(**data: Any) -> Context:
    values: dict[str, Any] = dict.fromkeys(VARIABLES, "")
    values |= {"actor.segments": ["staff"], "author.segments": []}
    return Context({**values, "event.time": MORNING, "event.history": False, "event.data": data})


@pytest.mark.parametrize(
    ("source", "line", "column", "says"),
    [
        ("event.typ == 'x'", 1, 1, "there is no event.typ; did you mean event.type?"),
        ("actr.kind == 'person'", 1, 1, "there are actor.active_days"),
        ("event.type == 1", 1, 12, "no matching overload"),
        ("event.type ==", 1, 14, "yntax"),
        ("event.history &&\n  event.subject", 1, 1, ""),
        ("size(event.data.list) > 3 &&\n nothing", 2, 2, "there is no nothing"),
    ],
)
def test_a_wrong_expression_is_refused_with_place_and_reason(source: str, line: int, column: int, says: str) -> None:
    wrong = check(source, "bool")
    assert wrong is not None
    assert wrong.line == line
    if says:
        assert wrong.column == column
        assert says in wrong.message


def test_a_wrong_name_is_answered_with_the_names_there_are() -> None:
    wrong = check("evnt == 1", "bool")
    assert wrong is not None
    assert all(name in wrong.message for name in VARIABLES)


@pytest.mark.parametrize(
    ("source", "wanted", "says"),
    [
        ("event.type", "bool", "gives string, wanted bool"),
        ("1 + 1", "bool", "gives int, wanted bool"),
        ("event.history", "int", "gives bool, wanted int"),
        ("1.5 * 2.0", "int", "gives double, wanted int; int(…) makes a whole number"),
    ],
)
def test_an_expression_of_the_wrong_type_is_refused(source: str, wanted: str, says: str) -> None:
    wrong = check(source, wanted)
    assert wrong is not None
    assert wrong.message == says


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("has(event.data.length) && event.data.length >= 100", "bool"),
        ("event.time.getHours('Asia/Shanghai') < 6", "bool"),
        ("event.group == 'qq:1' || event.source.startsWith('/bots/')", "bool"),
        ("actor.state in ['active', 'observed'] && author.kind != 'bot'", "bool"),
        ("event.data.tags.exists(t, t == 'vip')", "bool"),
        ("event.data.length / 10", "int"),
        ("int(event.data.score * 2.5)", "int"),
        ("event.history ? 1 : 2", "int"),
    ],
)
def test_a_right_expression_is_taken(source: str, wanted: str) -> None:
    assert check(source, wanted) is None


def test_a_field_that_is_missing_fails_and_has_asks_first() -> None:
    with pytest.raises(Failed):
        context().condition("event.data.length > 3")
    assert context().condition("has(event.data.length) && event.data.length > 3") is False
    assert context(length=4).condition("has(event.data.length) && event.data.length > 3") is True


@pytest.mark.parametrize(
    "source", ["1 / event.data.zero", "event.data.text", "event.data.half", "9223372036854775807 + event.data.one"]
)
def test_an_amount_that_is_no_whole_number_of_64_bits_fails_and_never_raises_otherwise(source: str) -> None:
    with pytest.raises(Failed):
        context(zero=0, text="12", half=0.5, one=1).amount(source)


def test_a_runaway_macro_ends_by_its_budget() -> None:
    some = list(range(1000))
    with pytest.raises(Failed):
        context(l=some).condition("event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a + b + c >= 0)))")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(data=st.dictionaries(st.text(), _json, max_size=5))
def test_whatever_json_an_event_carries_an_evaluation_gives_a_value_or_fails(data: dict[str, Any]) -> None:
    made = context(**{"x": None, **data})
    for source in ("event.data.x == 1", "size(event.data.x) > 0", "event.data.x.y.z == 'a'", "has(event.data.x)"):
        with suppress(Failed):
            assert made.condition(source) in (True, False)
    with suppress(Failed):
        assert isinstance(made.amount("event.data.x + 1"), int)
