"""Budgets: what everybody together may be given of a unit, and who is told when it runs out (R83)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.rewards import BudgetReached
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import announced, check_books
from tests.support.databases import MakeDatabase

HOUSE = {"unit": "xp", "scope": "community", "per": "day", "limit": 10}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


async def told(guild: Guild) -> list[tuple[str | None, str, int, int]]:
    """(rule, window, percent, used) of every announcement."""
    events = [event for event in await announced(guild.db, BudgetReached) if event.community_id == guild.id]
    return [(e.rule_id, e.window, e.percent, e.used) for e in events]


async def test_a_units_budget_is_one_for_all_members_and_rules(guild: Guild) -> None:
    ask = rule("ask", on="question.asked", amount=3)
    fun = rule("fun", on="question.asked", give=[{"to": "actor", "unit": "points", "amount": 9}])
    await guild.publish(rule(amount=4), ask, fun, unit_caps=[HOUSE])
    for by in ("ann", "bob"):
        await guild.score(guild.act(by=by))
    question = guild.act("question.asked", by="cat")
    await guild.score(question)
    assert await guild.verdicts(question) == [("ask", "capped", 2), ("fun", "granted", 9)]
    none = guild.act("question.asked", by="dan")
    await guild.score(none)
    assert await guild.verdicts(none) == [("ask", "budget_exhausted", 0), ("fun", "granted", 9)]
    tomorrow = guild.act("question.asked", by="dan", at=MORNING + timedelta(days=1))
    await guild.score(tomorrow)
    assert await guild.verdicts(tomorrow) == [("ask", "granted", 3), ("fun", "granted", 9)]
    await check_books(guild.db)


async def test_a_members_limit_and_the_houses_hold_side_by_side(guild: Guild) -> None:
    await guild.publish(rule(amount=4), unit_caps=[HOUSE, {"unit": "xp", "limit": 6}])
    await guild.score(*[guild.act(by=by) for by in ("ann", "ann", "bob", "bob")])
    assert [await guild.has(name) for name in ("ann", "bob")] == [6, 4]


async def test_other_communities_have_budgets_of_their_own(guild: Guild) -> None:
    other = await make_guild(guild.db)
    for one in (guild, other):
        await one.publish(rule(amount=10), unit_caps=[HOUSE])
        await one.score(one.act())
    assert [await one.has("ann") for one in (guild, other)] == [10, 10]


async def test_it_is_told_once_when_four_fifths_and_when_all_of_it_is_used(guild: Guild) -> None:
    await guild.publish(rule(amount=1), unit_caps=[HOUSE])
    for _ in range(7):
        await guild.score(guild.act())
    assert await told(guild) == []
    for _ in range(5):
        await guild.score(guild.act())
    assert await told(guild) == [(None, "2026-11-23", 80, 8), (None, "2026-11-23", 100, 10)]


async def test_what_brings_a_budget_past_both_marks_is_told_of_once(guild: Guild) -> None:
    await guild.publish(rule(amount=3), unit_caps=[HOUSE])
    await guild.score(*[guild.act(by=by) for by in ("ann", "bob", "cat", "dan")])
    assert await told(guild) == [(None, "2026-11-23", 100, 10)]


@pytest.mark.parametrize("limit", [10, 14])
async def test_one_that_leaves_grants_out_is_told_of_once_when_it_gives_no_more(guild: Guild, limit: int) -> None:
    house = {**HOUSE, "limit": limit, "on_exceed": "skip"}
    await guild.publish(rule(amount=7), rule("ask", on="question.asked", amount=1), unit_caps=[house])
    for _ in range(3):
        await guild.score(guild.act())
    await guild.score(*[guild.act() for _ in range(3)])
    full = 7 * (limit // 7)
    assert await guild.has("ann") == full
    assert await told(guild) == [(None, "2026-11-23", 100, full)]
    # What still fits is given, and what was told is not told again.
    for _ in range(5):
        await guild.score(guild.act("question.asked"))
    assert await guild.has("ann") == limit
    assert await told(guild) == [(None, "2026-11-23", 100, full)]
    tomorrow = MORNING + timedelta(days=1)
    await guild.score(*[guild.act(at=tomorrow) for _ in range(3)])
    assert await guild.has("ann") == limit + full


async def test_a_rules_own_budget_is_told_of_by_its_name_and_in_grants_too(guild: Guild) -> None:
    cap = {"scope": "community", "per": "week", "limit": 5, "of": "grants"}
    await guild.publish(rule(amount=7, caps=[cap]))
    await guild.score(*[guild.act() for _ in range(4)])
    (event,) = [e for e in await announced(guild.db, BudgetReached) if e.community_id == guild.id]
    assert (event.rule_id, event.of, event.per, event.limit, event.used) == ("talk", "grants", "week", 5, 4)


@pytest.mark.parametrize(
    ("fields", "window"), [({"import_name": "old"}, {}), ({}, {"per": "rolling", "seconds": 3600})]
)
async def test_neither_history_nor_rolling_windows_are_told_of(
    guild: Guild, fields: dict[str, Any], window: dict[str, Any]
) -> None:
    await guild.publish(rule(amount=10), unit_caps=[{**HOUSE, **window}])
    await guild.score(guild.act(**fields))
    assert await guild.has("ann") == 10
    assert await told(guild) == []


async def test_fifty_who_are_paid_at_once_use_a_budget_up_exactly_and_it_is_told_twice_at_most(guild: Guild) -> None:
    await guild.publish(rule(amount=3), unit_caps=[{**HOUSE, "limit": 100}])
    await asyncio.gather(*[guild.score(guild.act(by=f"m{n}")) for n in range(50)])
    assert sum([await guild.has(f"m{n}") for n in range(50)]) == 100
    assert [(percent, used) for _, _, percent, used in await told(guild)] == [(80, 81), (100, 100)]
    await check_books(guild.db)


async def test_a_lifetime_budget_is_never_forgotten_and_never_another_members(guild: Guild) -> None:
    await guild.publish(rule(amount=6), unit_caps=[{**HOUSE, "per": "lifetime"}])
    await guild.score(guild.act(by="ann"), guild.act(by="bob"))
    assert [await guild.has(name) for name in ("ann", "bob")] == [6, 4]
    assert {row[1] for row in await told(guild)} == {"ever"}
