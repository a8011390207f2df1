"""Rules changed on a recorded chat (issue 6, item 6): the plan's numbers are the result, killed or not; the second run
posts nothing."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from kit.contracts.events import Activity
from kit.database import Database
from services.rewards.store import entries as entries_store
from services.rewards.tables.ledger import accounts, transactions
from services.rewards.tables.plans import plans as plans_table
from tests.journeys.data import activities_of
from tests.rewards.guild import Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import Plans, plans_of

FEW, SOME, YEAR = 600, 3000, 111_477

BEFORE = [
    {"id": "talk", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 2}],
     "caps": [{"limit": 20}], "cooldown_seconds": 60},
    {"id": "long", "on": ["message.created"], "when": "has(event.data.length) && event.data.length >= 200",
     "give": [{"to": "actor", "unit": "points", "amount": 1}]},
    {"id": "solved", "on": ["topic.resolved"], "give": [{"to": "actor", "unit": "xp", "amount": 10}]},
]  # fmt: skip
AFTER = [
    {"id": "talk", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "random": {"min": 1, "max": 6}}],
     "caps": [{"limit": 15}, {"scope": "community", "per": "day", "limit": 400}], "cooldown_seconds": 300},
    {"id": "code", "on": ["message.created"], "when": "has(event.data.has_code) && event.data.has_code",
     "give": [{"to": "actor", "unit": "points", "cel": "1 + event.data.length / 100"}],
     "caps": [{"per": "rolling", "seconds": 7200, "limit": 12}]},
    {"id": "first", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 5}],
     "caps": [{"per": "lifetime", "limit": 1, "of": "grants"}]},
    {"id": "solved", "on": ["topic.resolved"], "give": [{"to": "actor", "unit": "xp", "amount": 10}]},
]  # fmt: skip
LIMITS = [{"unit": "xp", "limit": 40}]


def chat(guild: Guild, count: int) -> list[Activity]:
    """The beginning of the chat; every fortieth message is deleted an hour later."""
    out = []
    for event in activities_of("large-chat")[:count]:
        data, at = event["data"], datetime.fromisoformat(event["time"])
        name = data.get("actor", "trace:nobody").removeprefix("trace:")
        made = guild.act(event["type"], name, at, id=event["id"], subject=event.get("subject"), group=data.get("group"))
        made.data.update(data)
        out.append(made)
        if len(out) % 40 == 0:
            gone = at + timedelta(hours=1)
            out.append(guild.act("message.deleted", "mod", gone, subject=made.subject, group=made.group))
    return sorted(out, key=lambda a: a.received_at)


async def scored(guild: Guild, activities: Sequence[Activity]) -> None:
    await guild.publish(*BEFORE)
    for start in range(0, len(activities), 500):
        await guild.score(*activities[start : start + 500])


async def balances(guild: Guild) -> dict[Any, int]:
    async with guild.db.read() as tx:
        rows = await tx.all(select(accounts).where(accounts.c.community_id == guild.id, accounts.c.balance != 0))
    return {(row.owner_id, row.unit): row.balance for row in rows if not row.system}


async def check_over(plans: Plans, plan: Any) -> None:
    """The result is the plan's, in the ledger too; another run of it posts nothing."""
    over = await plans.find(plan.id)
    assert over.state == "done"
    assert over.posted == plan.result["postings"]
    assert over.posted["entries"] > 100
    async with plans.guild.db.read() as tx:
        mine = transactions.c.actor == f"recompute:{plan.id}"
        posted = await tx.scalar(select(func.count()).select_from(transactions).where(mine))
        assert await entries_store.unbalanced_transactions(tx) == []
    assert posted == over.posted["entries"]
    await check_books(plans.guild.db)
    _, again = await plans.recompute(*AFTER, unit_caps=LIMITS)
    assert again.posted == {"entries": 0, "units": {}}


async def plan_and_check(db: Database, tmp_path: Path, count: int) -> None:
    guild = await make_guild(db)
    await scored(guild, chat(guild, count))
    before = await balances(guild)
    plans = plans_of(guild, tmp_path)
    plan = await plans.simulate(*AFTER, unit_caps=LIMITS)
    assert await balances(guild) == before
    await plans.publish(plan)
    await plans.work(plan.id)
    after, gained = await balances(guild), Counter[str]()
    for key in before.keys() | after.keys():
        gained[key[1]] += after.get(key, 0) - before.get(key, 0)
    assert dict(gained) == {unit["unit"]: unit["now"] - unit["was"] for unit in plan.result["units"]}
    await check_over(plans, plan)


async def test_the_plan_s_numbers_are_the_result(db: Database, tmp_path: Path) -> None:
    await plan_and_check(db, tmp_path, SOME)


@pytest.mark.soak
async def test_the_plan_s_numbers_are_the_result_of_a_year(db: Database, tmp_path: Path) -> None:
    await plan_and_check(db, tmp_path, YEAR)


async def killed_again_and_again(db: Database, plan: Any, places: Sequence[Path], dice: random.Random) -> int:
    """Processes take the plan on and are killed, each somewhere else in it, until one comes to its end; how many."""
    target = str(db.path.parent) if db.path is not None else db.engine.url.render_as_string(hide_password=False)
    for kills in range(100):
        place = places[kills // 4 % len(places)]
        arguments = ("-m", "tests.rewards.plans.worker", target, str(place), str(plan.id), "100")
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        try:
            # Longer and longer: on a busy machine a step takes as long as it takes, and one must end at some time.
            await asyncio.wait_for(process.wait(), dice.uniform(0.05, 0.5) * (1 + kills / 3))
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        else:
            assert process.returncode == 0
            return kills
        async with db.begin() as tx:
            # As the next would find it a minute later.
            await tx.execute(update(plans_table).values(claimed_until=None, claimed_by=None))
    raise AssertionError("it never came to an end")


async def test_killed_and_taken_on_by_others_it_comes_to_the_same(db: Database, tmp_path: Path) -> None:
    dice = random.Random(6)
    guild = await make_guild(db)
    await scored(guild, chat(guild, FEW))
    places = [tmp_path / name for name in ("one", "another")]
    for place in places:
        place.mkdir()
    plans = plans_of(guild, tmp_path)
    plan = await plans.simulate(*AFTER, unit_caps=LIMITS)
    await plans.publish(plan)
    kills = await killed_again_and_again(db, plan, places, dice)
    assert kills >= 1
    await check_over(plans, plan)
