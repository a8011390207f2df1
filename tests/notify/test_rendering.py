"""What a template's text may do, and that it can neither look around nor run away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify import rendering
from services.notify.rendering import MAX_ITEMS, MAX_OUTPUT, Unfit, check, render
from services.notify.shipped import SHIPPED

DECLARED = {"name", "items", "person", "n"}
VALUES: dict[str, Any] = {"name": "Ada", "items": ["a", "b"], "person": {"name": "Ben", "items": 3}, "n": 2}


def made(source: str, locale: str = "en", **values: Any) -> str:
    check(source, DECLARED)
    return render(source, {**VALUES, **values}, locale)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello {{ name }}", "Hello Ada"),
        ("{{ person.name }} {{ person['name'] }} {{ person.items }}", "Ben Ben 3"),
        ("{{ items[0] }}{{ items[-1] }}", "ab"),
        ("{% for x in items %}{{ loop.index }}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "1a, 2b"),
        ("{% for x in items if x != 'a' %}{{ x }}{% else %}none{% endfor %}", "b"),
        ("{% if n > 1 and name %}many{% elif n == 1 %}one{% else %}none{% endif %}", "many"),
        ("{{ items | join(' and ') }} {{ items | length }}", "a and b 2"),
        ("{{ name | upper }} {{ name | lower | capitalize }} {{ name | first }}{{ name | last }}", "ADA Ada Aa"),
        ("{{ name ~ '!' ~ n }} {{ n + 1 - 2 }} {{ 7 // n }} {{ -n }}", "Ada!2 1 3 -2"),
        ("{{ '' | default('nobody', true) }} {{ '  x ' | trim }}", "nobody x"),
        ("{{ 'points' | unit }} {{ 'xp' | unit }} {{ 'tokens' | unit }}", "points XP tokens"),
        ("{{ 'checkin.submitted' | activity }} {{ 'own.kind' | activity }}", "your check-in own.kind"),
        ("{{ locale }}", "en"),
        ("{# nobody reads this #}{{ 'a' in items }}", "True"),
        ("打卡 😀 {{ name }}", "打卡 😀 Ada"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
    ],
)
def test_what_a_text_may_do(source: str, text: str) -> None:
    assert made(source) == text


def test_our_own_names_are_said_in_the_language_of_the_text() -> None:
    assert made("{{ 'points' | unit }}，{{ 'checkin.submitted' | activity }}", locale="zh-CN") == "积分，打卡"


ESCAPES = [
    "{{ name.__class__ }}",
    "{{ name.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__ }}",
    "{{ person._secret }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ loop }}",
    "{% for x in items %}{{ loop }}{% endfor %}",
    "{% for x in items %}{{ loop.__init__ }}{% endfor %}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner }}",
    "{{ namespace(a=1) }}",
    "{{ lipsum() }}",
    "{{ range(9) }}",
    "{{ dict(a=1) }}",
    "{{ config }}",
    "{{ request }}",
    "{{ caller() }}",
    "{{ name.upper() }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '%s' % name }}",
    "{{ name | attr('__class__') }}",
    "{{ items | map('upper') }}",
    "{{ items | map(attribute='__class__') | join }}",
    "{{ name | format(1) }}",
    "{{ name | safe }}",
    "{{ name | tojson }}",
    "{{ name | replace('A', 'B') }}",
    "{% include 'other' %}",
    "{% import 'other' as o %}",
    "{% from 'other' import o %}",
    "{% extends 'other' %}",
    "{% block a %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% call name() %}{% endcall %}",
    "{% filter upper %}a{% endfilter %}",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "{{ name is callable }}",
    "{{ {'a': 1} }}",
]
RUNAWAYS = [
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'a' * 999999999 }}",
    "{{ items * 999999999 }}",
    "{{ '%0999999999d' % n }}",
    "{{ 1 / 3 }}",
    "{% set x = name ~ name %}{{ x }}",
    "{% set x = name %}" + "{% set x = x ~ x %}" * 60,
    "{% set x %}{{ name }}{% endset %}",
    "{% with x = name ~ name %}{% with y = x ~ x %}{{ y }}{% endwith %}{% endwith %}",
    "{% for a in items %}{% for b in items %}x{% endfor %}{% endfor %}",
    "{% for a in items %}{% if a %}{% for b in items %}x{% endfor %}{% endif %}{% endfor %}",
    "{% for a in items %}{{ a }}{% else %}{% for b in items %}x{% endfor %}{% endfor %}",
    "{% for a in items recursive %}{{ loop(items) }}{% endfor %}",
    "{% for a in items recursive %}{{ a }}{% endfor %}",
    "{% for a in items + items %}{{ a }}{% endfor %}",
    "{% for a in [1, 2, 3] %}{{ a }}{% endfor %}",
    "{% for a in items | sort %}{{ a }}{% endfor %}",
    "{% for a, b in items %}{{ a }}{% endfor %}",
    "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
    "{{ " + "[" * 30 + "]" * 30 + " }}",
    "{{ " + "not " * 900 + "name }}",
    "{{ " + "-" * 2000 + "1 }}",
    "{{ " + "+".join(["name"] * 400) + " }}",
    "{% if name %}" * 120 + "{% endif %}" * 120,
    "{{ " + "9" * 4900 + " }}",
    "{{ name" + "[0]" * 900 + " }}",
]
WRONG = [
    "{{ name",
    "{% for %}",
    "{% endfor %}",
    "{{ stranger }}",
    "{{ name if }}",
    "{{ \0 }}",
    "{{ name | nothing }}",
    "{{ name is nothing }}",
]


@pytest.mark.parametrize("source", [*ESCAPES, *RUNAWAYS, *WRONG], ids=lambda s: s[:50])
def test_what_a_text_may_not_do_is_refused_before_anybody_uses_it(source: str) -> None:
    with pytest.raises(Unfit):
        check(source, DECLARED)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name['__class__'] }}",
        "{{ name['upper'] }}",
        "{{ name.upper }}",
        "{{ items.append }}",
        "{{ items.copy }}",
        "{{ person.keys }}",
        "{{ person['keys'] }}",
        "{{ n.bit_length }}",
        "{{ items['__len__'] }}",
    ],
)
def test_a_value_has_entries_and_no_methods(source: str) -> None:
    with pytest.raises(Unfit):
        made(source)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("{% for x in name %}{{ x }}{% endfor %}", {}),
        ("{% for x in person %}{{ x }}{% endfor %}", {}),
        ("{% for x in items %}{{ x }}{% endfor %}", {"items": ["x"] * (MAX_ITEMS + 1)}),
        ("{{ name | join('aaaa') }}", {}),
        ("{{ items | join(name) }}", {"items": ["x"] * 100, "name": "y" * 10_000}),
        ("{{ n // 0 }}", {}),
        ("{{ n + name }}", {}),
        ("{{ items[9] }}", {}),
        ("{{ person.nothing }}", {}),
        ("{{ n[0] }}", {}),
        ("{{ n | length }}", {}),
        ("{{ items < n }}", {}),
        ("{{ items | join(', ', attribute='x') }}", {}),
    ],
)
def test_what_does_not_suit_the_values_is_an_answer_and_no_accident(source: str, values: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        made(source, **values)


def test_the_work_ends_where_the_output_is_long_enough() -> None:
    source = "{% for x in items %}{{ name }}{% endfor %}{{ 1 // 0 }}"
    text = made(source, items=["x"] * 100, name="y" * 10_000)
    assert (len(text), text[-1]) == (MAX_OUTPUT, "…")
    assert made("{{ name }}", name="z" * MAX_OUTPUT) == "z" * MAX_OUTPUT


def test_characters_that_nobody_sees_and_no_database_keeps_do_not_come_out() -> None:
    assert made('{{ "a\\x00b\\ud800c\\x1b[31m" }}\n\t{{ name }}') == "abc[31m\n\tAda"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)
BITS = st.sampled_from(
    ["{{ ", " }}", "{% if name %}", "{% endif %}", "{% for x in items %}", "{% endfor %}", "{% else %}", "name", "x",
     "items", "person", ".", "[0]", "[", "]", "(", ")", " | join(', ')", " | upper", " | first", " ~ ", " + ", " // ",
     " if ", " else ", "loop.index", "'a'", "1", " in ", "not ", " is string", "text "]
)  # fmt: skip


@given(st.lists(BITS, max_size=25).map("".join), st.dictionaries(st.sampled_from(sorted(DECLARED)), json_values))
def test_whatever_is_put_together_is_either_refused_or_becomes_a_text(source: str, values: dict[str, Any]) -> None:
    try:
        check(source, DECLARED | {"x"})
        text = render(source, values, "en")
    except Unfit:
        return
    assert len(text) <= MAX_OUTPUT
    assert " object at 0x" not in text
    text.encode()


@given(st.text(max_size=200))
def test_any_text_at_all_is_either_refused_or_kept(source: str) -> None:
    try:
        check(source, set())
        assert rendering.render(source, {}, "en") is not None
    except Unfit:
        return


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_shipped_texts_keep_the_rules_in_both_languages(name: str) -> None:
    shipped = SHIPPED[name]
    assert {"en", "zh-CN"} <= set(shipped.texts)
    for text in shipped.texts.values():
        for source in text.values():
            check(source, set(shipped.variables["properties"]))
