"""Other rules over what was: the plan's numbers are the result, and the result is what they would have given."""

from datetime import timedelta
from pathlib import Path

import pytest

from kit.database import Database
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import Plans, plans_of
from tests.rewards.undoing.support import LIKED, POST, delete, minute, post, react
from tests.support.databases import MakeDatabase


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


@pytest.fixture
def plans(guild: Guild, tmp_path: Path) -> Plans:
    return plans_of(guild, tmp_path)


async def test_a_recompute_posts_the_difference_and_nothing_the_second_time(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(amount=5), rule("gone", amount=1))
    await guild.score(*(guild.act(by=name, at=minute(n)) for n, name in enumerate(("ann", "ann", "bob"))))
    plan, over = await plans.recompute(rule(amount=2), rule("new", amount=7))
    assert over.state == "done"
    assert plan.result["postings"] == over.posted == {"entries": 9, "units": {"xp": {"added": 21, "taken": 12}}}
    assert (await guild.has("ann"), await guild.has("bob")) == (18, 9)
    await check_books(guild.db)
    again, over = await plans.recompute(rule(amount=2), rule("new", amount=7))
    assert again.result["postings"] == over.posted == {"entries": 0, "units": {}}


async def test_what_comes_after_a_recompute_meets_the_limits_as_if_its_rules_had_always_been(
    guild: Guild, plans: Plans
) -> None:
    await guild.publish(rule(amount=5))
    await guild.score(*(guild.act(at=minute(n)) for n in range(3)))
    await plans.recompute(rule(amount=5, caps=[{"limit": 12}]))
    assert await guild.has("ann") == 12
    await guild.score(guild.act(at=minute(10)))
    assert await guild.has("ann") == 12
    await guild.score(guild.act(at=MORNING + timedelta(days=1)))
    assert await guild.has("ann") == 17


async def test_what_was_undone_stays_undone(guild: Guild, plans: Plans) -> None:
    await guild.publish(POST, LIKED)
    await guild.score(post(guild), react(guild))
    await guild.score(delete(guild, at=minute(5)))
    assert await guild.has("ann") == 0
    _, over = await plans.recompute({**POST, "give": [{"to": "actor", "unit": "xp", "amount": 9}]}, LIKED)
    assert over.posted == {"entries": 0, "units": {}}
    assert await guild.has("ann") == 0
