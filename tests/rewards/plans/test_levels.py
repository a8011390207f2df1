"""Other rules over what was kept go by the levels of then."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kit.database import Database
from services.rewards.domain.levels import Perks
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import check_books, member_changed
from tests.rewards.levels.support import by_hand, pays, with_perks
from tests.rewards.plans.support import Plans, plans_of
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)
PEOPLE = ("ann", "bob", "cy")
BEFORE: tuple[dict[str, Any], ...] = (pays(), pays("liked", "reaction.added", "subject_author", amount=3))
AFTER: tuple[dict[str, Any], ...] = (
    pays(amount=9, when="actor.level <= 2", caps=[{"per": "day", "limit": 30}]),
    pays("liked", "reaction.added", "subject_author", cel="1 + actor.level"),
    pays("likes", "reaction.added", random={"min": 2, "max": 6}),
)


@pytest.fixture
async def twin(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@settings(max_examples=6, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 2**32))
async def test_recomputed_is_scored_from_the_beginning(
    db: Database, twin: Database, clock: ManualClock, tmp_path: Path, seed: int
) -> None:
    """Where the unit of the levels is given by hand; and though the multipliers are others by now."""
    dice = random.Random(seed)
    guild, other = await with_perks(await make_guild(db)), await with_perks(await make_guild(twin))
    await guild.publish(*BEFORE)
    await other.publish(*AFTER)
    for place in (guild, other):
        await place.hear(*[member_changed(place.id, guild.member(name), name) for name in PEOPLE])
    for day in range(4):
        for _ in range(dice.randrange(3)):
            acts = []
            for number in range(dice.randrange(1, 5)):
                by, of = dice.sample(PEOPLE, 2)
                at = MORNING + day * DAY + timedelta(minutes=number)
                acts.append(guild.act(dice.choice(("message.created", "reaction.added")), by, at, of=of))
            await guild.score(*acts)
            await other.score(*(replace(a, community_id=other.id) for a in acts))
        name, amount = dice.choice(PEOPLE), dice.choice((30, 60, 120))
        for place in (guild, other):
            await by_hand(place, guild.member(name), amount)
        clock.advance(DAY)
    await with_perks(guild, {1: Perks(multiplier=90_000)})
    plan, over = await plans_of(guild, tmp_path / str(guild.id)).recompute(*AFTER)
    assert over.posted == plan.result["postings"]
    for name in PEOPLE:
        member = guild.member(name)
        assert await guild.balance(member) == await other.balance(member), name
    await check_books(db)


async def risen(guild: Guild, clock: ManualClock) -> None:
    """Ann has level 2 from the next day on."""
    await with_perks(guild)
    await guild.know("ann")
    await by_hand(guild, guild.member("ann"), 60)
    clock.advance(DAY)


async def test_of_what_was_handled_before_rules_asked_levels_are_not_known(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    """Nothing is multiplied then, rather than by the level of today."""
    await guild.publish(rule())
    await risen(guild, clock)
    await guild.score(guild.act())
    await plans.recompute(pays(), rule("look", when="actor.level == 0", amount=2))
    assert (await guild.has("ann", "points"), await guild.has("ann")) == (5, 60 + 2)
    await guild.score(guild.act())
    assert (await guild.has("ann", "points"), await guild.has("ann")) == (5 + 7, 60 + 2)


async def test_a_backfill_and_a_simulation_pay_by_the_levels_of_then(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish(pays())
    await guild.score(guild.act("answer.posted"))
    await risen(guild, clock)
    await guild.score(guild.act("answer.posted"))
    plan, over = await plans.recompute(pays(), pays("answer", "answer.posted"), mode="backfill")
    assert over.posted == plan.result["postings"]
    assert await guild.has("ann", "points") == 5 + 7
