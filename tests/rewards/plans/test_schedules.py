"""Rules run over the past, and versions that hold from a time to come."""

from datetime import timedelta

import pytest

from kit.errors import Conflict
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.plans import planning
from tests.rewards.guild import MORNING, Guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import Plans
from tests.support.clock import ManualClock

NOON = MORNING + timedelta(hours=4)
SECOND = timedelta(seconds=1)


async def test_rules_are_not_run_over_the_past_while_a_version_waits_for_its_time(guild: Guild, plans: Plans) -> None:
    """It goes by the counters of now, which a recompute begins anew: at its start the limits of the day were empty."""
    capped = [{"limit": 6}]
    await guild.publish(rule(amount=4, caps=capped))
    await guild.score(guild.act())
    version = await guild.publish(rule(amount=5, caps=capped), effective_from=NOON)
    plan = await plans.simulate(rule(amount=3, caps=capped))
    assert plan.state == "ready", "simulating is free"
    with pytest.raises(Conflict) as refused:
        await plans.publish(plan)
    assert refused.value.code == "version_scheduled"
    assert f"version {version} is scheduled for 2026-11-23 12:00 UTC" in str(refused.value)
    async with guild.db.begin() as tx:
        await rule_sets.cancel(tx, community_id=guild.id, version=version, actor="operator:o")
    await plans.publish(plan)
    await plans.work(plan.id)
    assert await guild.has("ann") == 3
    await guild.publish(rule(amount=5, caps=capped), effective_from=NOON)
    await guild.score(guild.act(at=NOON))
    assert await guild.has("ann") == 6, "the limit of the day knows what the recompute gave"


async def test_nothing_is_scheduled_while_a_recompute_posts(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(amount=4))
    await guild.score(guild.act())
    await plans.publish(await plans.simulate(rule(amount=3)))
    with pytest.raises(Conflict) as refused:
        await guild.publish(rule(), effective_from=NOON)
    assert refused.value.code == "simulation_open"


async def test_a_plan_from_before_the_start_of_a_scheduled_version_is_stale_after_it(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=4))
    version = await guild.publish(rule(amount=5), effective_from=NOON)
    plan = await plans.simulate(rule(amount=3))
    clock.now = NOON
    with pytest.raises(Conflict) as refused:
        await plans.publish(plan)
    assert refused.value.code == "plan_stale"
    assert f"version {version} came into force" in str(refused.value)


async def test_a_recompute_covers_what_either_version_gave_and_holds_for_what_is_late(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    await guild.score(guild.act(at=NOON - SECOND), guild.act(at=NOON), guild.act(at=NOON + SECOND))
    assert await guild.has("ann") == 11
    clock.now = NOON + timedelta(hours=1)
    plan, over = await plans.recompute(rule(amount=3))
    assert (plan.base, over.state, await guild.has("ann")) == (3, "done", 9)
    await guild.score(guild.act(at=NOON - SECOND), guild.act(at=NOON))
    assert await guild.has("ann") == 15
    await check_books(guild.db)


async def test_a_version_that_is_scheduled_can_be_simulated(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(amount=1))
    await guild.score(guild.act(), guild.act())
    version = await guild.publish(rule(amount=5), effective_from=NOON)
    async with guild.db.begin() as tx:
        drafted = rule_sets.parse((await rule_sets.existing(tx, guild.id, version)).body)
        plan = await planning.make(
            tx, community_id=guild.id, rules=drafted, mode="recompute", since=MORNING, actor="operator:o"
        )
    await plans.work(plan.id)
    (unit,) = (await plans.find(plan.id)).result["units"]
    assert (unit["was"], unit["now"]) == (2, 10)
