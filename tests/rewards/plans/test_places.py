"""Places under limits, whichever rules gave what holds them: given back once, and among the counters in force."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.rewards.domain.ledger import REFUSE
from services.rewards.handlers import reviewing
from services.rewards.handlers.plans import folding, planning, running
from services.rewards.tables.kept import kept_activities
from services.rewards.tables.reviews import reviews
from tests.rewards.guild import Guild, rule
from tests.rewards.ledger.support import change_unit, check_books
from tests.rewards.plans.support import Plans
from tests.rewards.undoing.support import delete, minute, react, unreact
from tests.support.clock import ManualClock


def liked(amount: int, limit: int = 1, unit: str = "xp", **more: Any) -> dict[str, Any]:
    """So many reactions to what somebody wrote count, in all, and what is taken away makes room."""
    give = [{"to": "subject_author", "unit": unit, "amount": amount}]
    caps = [{"per": "lifetime", "limit": limit, "of": "grants", "refill": True}]
    return {"id": "liked", "on": ["reaction.added"], "give": give, "caps": caps, **more}


async def test_what_a_recompute_made_larger_gives_its_place_back_once(guild: Guild, plans: Plans) -> None:
    await guild.publish(liked(2, limit=2))
    await guild.score(react(guild, "m1"), react(guild, "m2"))
    await plans.recompute(liked(5, limit=2))
    assert await guild.has("ann") == 10
    await guild.score(unreact(guild, "m1", at=minute(5)))
    await guild.score(react(guild, "m3", at=minute(6)))
    await guild.score(react(guild, "m4", at=minute(7)))
    assert await guild.has("ann") == 10, "m2 and m3; for m4 there is no place"
    await check_books(guild.db)


async def test_what_a_recompute_leaves_as_it_is_gives_its_place_back_among_the_new_counters(
    guild: Guild, plans: Plans
) -> None:
    await guild.publish(liked(2))
    await guild.score(react(guild, "m1"))
    await plans.recompute(liked(5), since=minute(4))
    await guild.score(react(guild, "m2", at=minute(5)))
    assert await guild.has("ann") == 2
    await guild.score(unreact(guild, "m1", at=minute(6)))
    assert await guild.has("ann") == 5, "the second one waited for the place"
    await guild.score(react(guild, "m3", at=minute(7)))
    assert await guild.has("ann") == 5
    await check_books(guild.db)


async def test_what_stays_and_is_undone_while_the_recompute_runs_gives_its_place_back(
    guild: Guild, plans: Plans
) -> None:
    """Its place had been taken among the new counters by then, and was taken for ever."""
    await guild.publish(liked(2))
    await guild.score(react(guild, "m1"))
    await guild.score(react(guild, "m2", at=minute(5)))
    plan = await plans.simulate(liked(5), since=minute(4))
    await plans.publish(plan)
    await guild.score(unreact(guild, "m1", at=minute(6)))
    await plans.work(plan.id)
    assert await guild.has("ann") == 5, "the second one waited for the place"
    await guild.score(react(guild, "m3", at=minute(8)))
    await guild.score(unreact(guild, "m2", at=minute(9)))
    assert await guild.has("ann") == 5
    await check_books(guild.db)


@pytest.mark.parametrize("times", [1, 2])
async def test_what_waits_for_the_place_of_what_stays_waits_for_it_by_the_new_rules(
    guild: Guild, plans: Plans, times: int
) -> None:
    await guild.publish(liked(2))
    await guild.score(react(guild, "m1"))
    await guild.score(react(guild, "m2", at=minute(1)))
    for n in range(times):
        await plans.recompute(liked(5 + n), since=minute(4))
    await guild.score(react(guild, "m3", at=minute(5)))
    await guild.score(unreact(guild, "m1", at=minute(6)))
    assert await guild.has("ann") == 2, "the second one, of before"
    await guild.score(unreact(guild, "m2", at=minute(7)))
    assert await guild.has("ann") == 4 + times
    await guild.score(react(guild, "m4", at=minute(8)))
    assert await guild.has("ann") == 4 + times
    await check_books(guild.db)


async def test_what_a_backfill_leaves_as_it_is_gives_its_place_back_among_the_new_counters(
    guild: Guild, plans: Plans
) -> None:
    await guild.publish(liked(2))
    await guild.score(react(guild, "m1"), react(guild, "m2", at=minute(1)))
    await plans.recompute(liked(5), mode="backfill")
    assert await guild.has("ann") == 2
    await guild.score(unreact(guild, "m1", at=minute(6)))
    assert await guild.has("ann") == 5
    await guild.score(react(guild, "m3", at=minute(7)))
    assert await guild.has("ann") == 5
    await check_books(guild.db)


@pytest.mark.parametrize("approved", [False, True])
async def test_what_somebody_looks_at_gives_its_place_back_among_the_new_counters(
    guild: Guild, plans: Plans, approved: bool
) -> None:
    doubted = {"review_when": "event.subject == 'm1'"}
    await guild.publish(liked(2, **doubted))
    await guild.score(react(guild, "m1"))
    await plans.recompute(liked(5))
    async with guild.db.begin() as tx:
        ids = [row.id for row in await tx.all(select(reviews.c.id))] if approved else []
        await reviewing.decide(tx, guild.id, ids, "approve", reason="fine", actor="operator:o")
    assert await guild.has("ann") == (2 if approved else 0)
    await guild.score(react(guild, "m2", at=minute(5)))
    await guild.score(delete(guild, "m1", at=minute(6)))
    assert await guild.has("ann") == 5, "the second one waited for the place"
    await check_books(guild.db)


async def test_after_a_cancel_a_place_is_given_back_among_the_counters_that_stayed(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_yet(*_: object) -> bool:
        return False

    await guild.publish(liked(2))
    await guild.score(react(guild, "m1"))
    plan = await plans.simulate(liked(5))
    await plans.publish(plan)
    monkeypatch.setattr(running, "_carry_some", not_yet)
    await plans.work(plan.id, steps=3)
    async with guild.db.begin() as tx:
        await planning.cancel(tx, guild.id, plan.id)
    assert await guild.has("ann") == 5
    await guild.score(unreact(guild, "m1", at=minute(5)))
    await guild.score(react(guild, "m2", at=minute(6)))
    await guild.score(react(guild, "m3", at=minute(7)))
    assert await guild.has("ann") == 2
    await check_books(guild.db)


async def test_a_unit_that_may_refuse_gives_no_place_back_in_a_recompute_either(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "CHAPTER", 1)
    await change_unit(guild, "points", clawback=REFUSE)
    await guild.publish(liked(2, unit="points"))
    await guild.score(react(guild, "m1"))
    await guild.score(unreact(guild, "m1", at=minute(1)))
    await guild.score(react(guild, "m2", at=minute(2)))
    assert await guild.has("ann", "points") == 0
    plan, over = await plans.recompute(liked(2, unit="points"))
    assert plan.result["postings"] == over.posted == {"entries": 0, "units": {}}


async def test_what_was_paid_before_anything_was_kept_stays_though_it_is_sent_once_more(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    once = [{"per": "lifetime", "limit": 2, "of": "grants"}]
    await guild.publish(rule(amount=5, caps=once))
    old = guild.act()
    await guild.score(old)
    async with guild.db.begin() as tx:
        await tx.execute(kept_activities.delete())
    clock.advance(timedelta(minutes=1))
    await guild.score(guild.act(at=minute(1)))
    await guild.score(guild.act(id=old.id, replay_id="r1"), guild.act(by="bob", at=minute(3)))
    assert await guild.has("ann") == 10
    plan, over = await plans.recompute(rule(amount=4, caps=once), rule("new", amount=1))
    assert plan.result["postings"] == over.posted == {"entries": 4, "units": {"xp": {"added": 2, "taken": 2}}}
    assert (await guild.has("ann"), await guild.has("bob")) == (5 + 4 + 1, 4 + 1)
    await guild.score(guild.act(at=minute(5)))
    assert await guild.has("ann") == 5 + 4 + 1 + 1, "of the two places for ever both are taken"


async def test_what_stays_takes_its_places_once_though_it_is_sent_once_more(guild: Guild, plans: Plans) -> None:
    twice = [{"limit": 2, "of": "grants"}]
    await guild.publish(rule(amount=5, caps=twice))
    old = guild.act()
    await guild.score(old)
    await guild.score(guild.act(id=old.id, replay_id="r1"))
    await plans.recompute(rule(amount=4, caps=twice), since=minute(4))
    await guild.score(guild.act(at=minute(5)))
    assert await guild.has("ann") == 9
