"""Plans fold signals over what is kept: what was before counts, and live goes on where they stopped."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select

from services.rewards.handlers.purging import purge
from services.rewards.tables.signals import signals
from tests.rewards.guild import MORNING, Guild, rule
from tests.rewards.plans.support import Plans
from tests.rewards.signals.support import EVERY, values, watching
from tests.support.clock import ManualClock

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FOREVER = 4000 * DAY


async def test_what_was_before_since_is_known_and_live_goes_on_where_the_plan_stopped(
    guild: Guild, plans: Plans
) -> None:
    await guild.publish(rule())
    await guild.score(*[guild.act(at=MORNING + n * HOUR) for n in range(4)])
    plan, over = await plans.recompute(*watching("counts.ever"), since=MORNING - DAY)
    assert over.posted == plan.result["postings"]
    assert await guild.has("ann") == sum(1 + n for n in range(1, 5)), "and what the old rule gave is taken back"
    await guild.score(last := guild.act(at=MORNING + 5 * HOUR))
    assert await values(guild, "counts.ever", last) == [5]


async def test_what_stays_because_it_was_before_since_has_been_counted(guild: Guild, plans: Plans) -> None:
    talk = {**rule(), "give": [{"to": "actor", "unit": "xp", "cel": "counts.day * 10"}]}
    await guild.publish(rule())
    await guild.score(*[guild.act(at=MORNING + n * HOUR) for n in range(-2, 1)])
    plan, over = await plans.recompute(talk, since=MORNING)
    assert over.posted == plan.result["postings"]
    assert await guild.has("ann") == 1 + 1 + 30


async def test_a_backfill_counts_everything_once(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(when="event.actor == 'qq:ann'"))
    await guild.score(*[guild.act(by=name, at=MORNING + n * HOUR) for n, name in enumerate(("ann", "bob", "bob"))])
    asked = {**rule(), "give": [{"to": "actor", "unit": "xp", "cel": "10 * counts.day"}]}
    plan, over = await plans.recompute(asked, mode="backfill")
    assert over.posted == plan.result["postings"]
    assert (await guild.has("ann"), await guild.has("bob")) == (1, 10 + 20)
    await guild.score(last := guild.act(by="bob", at=MORNING + 5 * HOUR))
    assert await guild.verdicts(last) == [("talk", "granted", 30)]


async def test_members_are_as_old_in_a_plan_as_they_were(guild: Guild, plans: Plans, clock: ManualClock) -> None:
    """Also when the activity that they are known by is no longer kept."""
    await guild.publish(rule())
    await guild.score(guild.act(by="ann", at=MORNING))
    clock.advance(401 * DAY)
    await purge(guild.db, counters=FOREVER, decisions=400 * DAY, activities=400 * DAY, stopping=asyncio.Event())
    later = MORNING + 401 * DAY
    await guild.score(guild.act(by="ann", at=later), guild.act(by="bob", at=later), guild.act(by="bob", at=later + DAY))
    asked = {**rule("age"), "give": [{"to": "actor", "unit": "points", "cel": "1000 + actor.age_days"}]}
    await plans.recompute(asked)
    assert await guild.has("ann", "points") == 1401
    assert await guild.has("bob", "points") == 1000 + 1001


async def test_a_simulation_leaves_nothing_behind(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule())
    await guild.score(*[guild.act(of="bob", data={"similarity": "d0ab0d4253749da4"}) for _ in range(3)])
    plan = await plans.simulate(*watching(*EVERY))
    assert plan.state == "ready"
    async with guild.db.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(signals)) == 0
