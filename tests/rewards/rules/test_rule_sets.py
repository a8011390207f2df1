"""What makes a rule set, what is refused and where, and how versions follow each other."""

import asyncio
from typing import Any

import msgspec
import pytest

from kit.errors import Conflict, Unprocessable
from services.rewards.domain.rules import MAX_EXPRESSION, problems
from services.rewards.handlers import rules
from services.rewards.starter_rules import STARTER
from services.rewards.store import ledger
from tests.rewards.guild import Guild, make_guild, rule
from tests.support.databases import MakeDatabase

UNITS = ("contribution", "points", "xp")


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


def wrong_with(*some: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    """(pointer, code) of what is wrong, as a caller of the API gets it."""
    try:
        parsed = rules.parse({"rules": list(some), **more})
    except Unprocessable as error:
        return [(e.pointer, e.code) for e in error.errors]
    return [(e.pointer, e.code) for e in [*problems(parsed, UNITS), *rules.wrong_expressions(parsed)]]


def test_the_starter_rules_are_a_valid_set_with_room_to_change() -> None:
    body = msgspec.to_builtins(STARTER)
    assert wrong_with(*body["rules"]) == []
    assert rules.parse(body) == STARTER
    assert rules.parse(msgspec.json.decode(msgspec.json.encode(body))) == STARTER


def give(**fields: Any) -> dict[str, Any]:
    return {"to": "actor", "unit": "xp", "amount": 1, **fields}


def cap(**fields: Any) -> dict[str, Any]:
    return {"limit": 10, **fields}


@pytest.mark.parametrize(
    ("bad", "pointer", "code"),
    [
        (rule(on=1), "/rules/0/on/0", "schema_violation"),  # type: ignore[arg-type]
        (rule(give=[give(to="everybody")]), "/rules/0/give/0/to", "schema_violation"),
        (rule(caps=[cap(scope="planet")]), "/rules/0/caps/0/scope", "schema_violation"),
        (rule(caps=[cap(per="century")]), "/rules/0/caps/0/per", "schema_violation"),
        (rule(caps=[cap(of="points")]), "/rules/0/caps/0/of", "schema_violation"),
        (rule(caps=[cap(on_exceed="shout")]), "/rules/0/caps/0/on_exceed", "schema_violation"),
        (rule(give=[give(amount=1.5)]), "/rules/0/give/0/amount", "schema_violation"),
        (rule(give=[give(amount=2**63)]), "/rules/0/give/0/amount", "amount_invalid"),
        (rule(give=[give(amount=0)]), "/rules/0/give/0/amount", "amount_invalid"),
        (rule(give=[give(cel="1")]), "/rules/0/give/0", "amount_ambiguous"),
        (rule(give=[{"to": "actor", "unit": "xp"}]), "/rules/0/give/0", "amount_ambiguous"),
        (rule(give=[give(unit="gold")]), "/rules/0/give/0/unit", "unit_unknown"),
        (rule(give=[give(unit="freezes")]), "/rules/0/give/0/unit", "unit_follows"),
        (rule(give=[give(unit="fund")]), "/rules/0/give/0/unit", "unit_bookkeeping"),
        (rule(give=[give(), give()]), "/rules/0/give", "give_twice"),
        (rule(give=[{"to": "actor", "unit": "xp", "random": {"min": 5, "max": 4}}]), "/rules/0/give/0/random",
         "amount_invalid"),
        (rule(give=[{"to": "actor", "unit": "xp", "cel": "'a'"}]), "/rules/0/give/0/cel", "expression_invalid"),
        (rule(give=[]), "/rules/0/give", "missing"),
        (rule(when="event.typ == 'x'"), "/rules/0/when", "expression_invalid"),
        (rule(when="true ||" * MAX_EXPRESSION + "true"), "/rules/0/when", "too_long"),
        (rule(when="\0"), "/rules/0/when", "text_invalid"),
        (rule(name="\0"), "/rules/0/name", "text_invalid"),
        (rule("Two Words"), "/rules/0/id", "rule_id_invalid"),
        (rule("x" * 101), "/rules/0/id", "rule_id_invalid"),
        (rule(""), "/rules/0/id", "rule_id_invalid"),
        (rule(cooldown_seconds=-1), "/rules/0/cooldown_seconds", "out_of_range"),
        (rule(lateness_hours=-1), "/rules/0/lateness_hours", "out_of_range"),
        (rule(undone_by=["a"] * 51), "/rules/0/undone_by", "too_many"),
        (rule(undone_by=["a", "a"]), "/rules/0/undone_by", "type_twice"),
        (rule(undone_by=["a", "x" * 201]), "/rules/0/undone_by/1", "too_long"),
        (rule(undone_by=["\0"]), "/rules/0/undone_by/0", "text_invalid"),
        (rule(undone_by=["message.created"]), "/rules/0/undone_by/0", "undoes_itself"),
        (rule(undone_by="message.deleted"), "/rules/0/undone_by", "schema_violation"),
        (rule(min_content_lifetime_seconds=-1), "/rules/0/min_content_lifetime_seconds", "out_of_range"),
        (rule(min_content_lifetime_seconds=400 * 86400 + 1), "/rules/0/min_content_lifetime_seconds", "out_of_range"),
        (rule(cooldown=60), "/rules/0/cooldown", "field_unknown"),
        (rule(caps=[cap(window="day")]), "/rules/0/caps/0/window", "field_unknown"),
        (rule(caps=[cap(limit=-1)]), "/rules/0/caps/0/limit", "out_of_range"),
        (rule(caps=[cap(per="rolling")]), "/rules/0/caps/0/seconds", "window_invalid"),
        (rule(caps=[cap(seconds=60)]), "/rules/0/caps/0/seconds", "window_invalid"),
        (rule(caps=[cap(per="rolling", seconds=0)]), "/rules/0/caps/0/seconds", "window_invalid"),
        (rule(caps=[cap(refill=True)]), "/rules/0/caps/0/refill", "refill_invalid"),
        (rule(caps=[cap(refill=True, of="grants", per="rolling", seconds=9)]), "/rules/0/caps/0/refill",
         "refill_invalid"),
        (rule(caps=[cap()] * 21), "/rules/0/caps", "too_many"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_a_pointer_and_a_code(bad: dict[str, Any], pointer: str, code: str) -> None:
    assert (pointer, code) in wrong_with(bad)


def test_rules_are_told_apart_by_their_ids_and_a_type_is_named_once() -> None:
    assert ("/rules/1/id", "rule_id_twice") in wrong_with(rule(), rule())
    twice = {**rule(), "on": ["message.created", "message.created"]}
    assert wrong_with(twice) == [("/rules/0/on", "type_twice")]
    assert wrong_with({**rule(), "on": []}) == [("/rules/0/on", "missing")]


def test_a_unit_cap_is_checked_like_a_cap() -> None:
    caps = [{"unit": "gold", "limit": 5}, {"unit": "xp", "limit": 5, "per": "rolling"}]
    expected = [("/unit_caps/0/unit", "unit_unknown"), ("/unit_caps/1/seconds", "window_invalid")]
    assert wrong_with(rule(), unit_caps=caps) == expected
    shouting = [{"unit": "xp", "limit": 5, "on_exceed": "shout"}]
    assert wrong_with(rule(), unit_caps=shouting) == [("/unit_caps/0/on_exceed", "schema_violation")]


def test_a_unit_cap_that_does_not_say_otherwise_cuts_off_as_it_always_did() -> None:
    before = rules.parse({"rules": [rule()], "unit_caps": [{"unit": "xp", "limit": 5}]})
    assert [cap.on_exceed for cap in before.unit_caps] == ["truncate"]


def test_an_expression_error_says_line_column_and_hint() -> None:
    parsed = rules.parse({"rules": [rule(when="event.history &&\n  evnt.subject == 'a'")]})
    (error,) = rules.wrong_expressions(parsed)
    assert error.pointer == "/rules/0/when"
    assert error.message.startswith("line 2, column 3: there is no evnt.subject; did you mean event.subject?")
    assert "event.subject" in error.message


def test_the_schema_lists_the_words_that_may_be_used() -> None:
    text = msgspec.json.encode(rules.schema()).decode()
    for word in ("actor_object", "subject_author", "truncate", "rolling", "lifetime"):
        assert f'"{word}"' in text


async def test_a_community_begins_with_the_starter_rules_once(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        row = await rules.existing(tx, guild.id)
    assert (row.version, row.actor, rules.parse(row.body)) == (1, "guildhall", STARTER)
    version = await guild.publish(rule())
    assert version == 2
    async with guild.db.begin() as tx:
        assert await rules.current_version(tx, guild.id) == 2
        assert (await rules.existing(tx, guild.id, 1)).version == 1
        assert list(await ledger.units_of(tx, guild.id)) == ["contribution", "fund", "points", "xp"]


async def test_a_version_from_before_money_was_refused_gives_it_and_is_not_rolled_back_to(guild: Guild) -> None:
    paying = rules.parse({"rules": [rule(give=[give(unit="fund", amount=7)])]})
    async with guild.db.begin() as tx:
        await rules.add_version(
            tx, 2, community_id=guild.id, rules=paying, actor="operator:o", note="", epoch=None, in_force=True
        )
    await guild.score(guild.act())
    assert await guild.has("ann", "fund") == 7
    await guild.publish(rule())
    async with guild.db.begin() as tx:
        with pytest.raises(Unprocessable) as refused:
            await rules.publish(tx, community_id=guild.id, rules=paying, actor="o", note="", expected=3)
    assert [(e.pointer, e.code) for e in refused.value.errors] == [("/rules/0/give/0/unit", "unit_bookkeeping")]


async def test_a_wrong_set_is_refused_whole_and_the_version_before_stays_in_force(guild: Guild) -> None:
    with pytest.raises(Unprocessable) as refused:
        await guild.publish(rule(), rule("other", when="nope"))
    assert [e.pointer for e in refused.value.errors] == ["/rules/1/when"]
    async with guild.db.begin() as tx:
        assert await rules.current_version(tx, guild.id) == 1


async def test_of_two_who_publish_after_the_same_version_one_is_told(guild: Guild) -> None:
    async def publish() -> int:
        async with guild.db.begin() as tx:
            wanted = rules.parse({"rules": [rule()]})
            made = await rules.publish(tx, community_id=guild.id, rules=wanted, actor="a", note="", expected=1)
        return int(made.version)

    outcomes = await asyncio.gather(publish(), publish(), return_exceptions=True)
    assert [o for o in outcomes if not isinstance(o, BaseException)] == [2]
    assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [Conflict]
