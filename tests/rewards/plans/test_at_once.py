"""Scoring goes on while plans are worked out and carried out, by the service's own loop."""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kit.consumer import NotYet
from kit.database import Database
from services.rewards import loops
from services.rewards.handlers.plans import running
from tests.rewards.guild import Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.histories import PEOPLE, Step, act
from tests.rewards.plans.support import Plans, plans_of
from tests.support.databases import MakeDatabase

BEFORE = [
    {"id": "post", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 3}]},
    {"id": "liked", "on": ["reaction.added"], "give": [{"to": "subject_author", "unit": "xp", "amount": 2}],
     "caps": [{"limit": 10}]},
]  # fmt: skip
AFTER = [
    {"id": "post", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "random": {"min": 1, "max": 9}}],
     "caps": [{"per": "week", "limit": 60}]},
    {"id": "liked", "on": ["reaction.added"], "give": [{"to": "subject_author", "unit": "xp", "amount": 1}],
     "caps": [{"scope": "pair", "per": "day", "limit": 4}], "cooldown_seconds": 1200},
    {"id": "likes", "on": ["reaction.added"], "give": [{"to": "actor", "unit": "points", "amount": 1}]},
]  # fmt: skip


@pytest.fixture
async def twin(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


def some_batches(guild: Guild, dice: Random, count: int) -> list[list[Any]]:
    whats = ("post", "react", "react", "react", "unreact", "delete")
    steps = [
        Step(dice.choice(whats), dice.choice(("m0", "m1", "m2")), dice.choice(PEOPLE), dice.choice(("heart", "star")),
             n * 3, dice.choice((0, 0, 120)))
        for n in range(count)
    ]  # fmt: skip
    acts = [act(guild, step) for step in steps if step.what != "delete" or step.minutes % 5 == 0]
    return [acts[n : n + 7] for n in range(0, len(acts), 7)]


async def until(plans: Plans, plan_id: Any, state: str) -> Any:
    while (plan := await plans.find(plan_id)).state != state:
        await asyncio.sleep(0.02)
    return plan


async def test_who_scores_and_who_recomputes_at_once_wait_for_each_other_in_no_circle(
    db: Database, twin: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STEP", 40)
    monkeypatch.setattr(loops, "PLAN_SHARE", 0.1)
    guild, other = await make_guild(db), await make_guild(twin)
    await guild.publish(*BEFORE)
    await other.publish(*AFTER)
    batches = some_batches(guild, Random(4), 500)
    for batch in batches[:30]:
        await guild.score(*batch)
    plans, stopping, ended = plans_of(guild, tmp_path), asyncio.Event(), asyncio.Event()
    plan = await plans.simulate(*AFTER)

    async def live() -> None:
        for batch in batches[30:]:
            while True:
                try:
                    await guild.score(*batch)
                    break
                except NotYet:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.005)
        ended.set()

    await plans.publish(plan)
    follow = asyncio.create_task(loops.follow_plans(plans.one, stopping))
    await asyncio.wait_for(asyncio.gather(live(), until(plans, plan.id, "done"), ended.wait()), 120)
    stopping.set()
    await follow
    for batch in batches:
        await other.score(*(replace(a, community_id=other.id) for a in batch))
    for name in PEOPLE:
        for unit in ("xp", "points"):
            wanted = await other.balance(guild.member(name), unit)
            assert await guild.has(name, unit) == wanted, (name, unit)
    await check_books(db)
    _, again = await plans.recompute(*AFTER)
    assert again.posted == {"entries": 0, "units": {}}


async def test_the_loop_works_plans_out_and_clears_away_the_files_of_those_that_are_over(
    db: Database, tmp_path: Path
) -> None:
    guild = await make_guild(db)
    await guild.publish(*BEFORE)
    for batch in some_batches(guild, Random(1), 30):
        await guild.score(*batch)
    plans, stopping = plans_of(guild, tmp_path), asyncio.Event()
    first = await plans.simulate(*AFTER)
    assert [place.name for place in (tmp_path / "plans").iterdir()] == [str(first.id)]
    await plans.publish(first)
    follow = asyncio.create_task(loops.follow_plans(plans.one, stopping))
    done = await asyncio.wait_for(until(plans, first.id, "done"), 60)
    assert done.posted == first.result["postings"]
    async with asyncio.timeout(30):
        while list((tmp_path / "plans").iterdir()):
            await asyncio.sleep(0.05)
    stopping.set()
    await follow
