"""Streaks in rules over what was: as they were when it was handled, whether a rule asked for them then or not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.events import Activity
from services.rewards.domain.checkins import DEFAULT_SERIES
from services.rewards.handlers import mending
from services.rewards.store import checkins as store
from tests.rewards.checkins.test_checking_in import change
from tests.rewards.guild import MORNING, Guild, rule
from tests.rewards.plans.support import Plans
from tests.support.clock import ManualClock

ONE_DAY = timedelta(days=1)
SEEN = {**rule(), "give": [{"to": "actor", "unit": "xp", "cel": "1 + streak.current"}]}


async def evening(guild: Guild, clock: ManualClock, day: int, *types: str) -> list[Activity]:
    clock.now = MORNING + day * ONE_DAY
    acts = [guild.act(type, at=clock.now, subject=f"s{day}") for type in types]
    await guild.score(*acts)
    return acts


@pytest.mark.parametrize("asked", [True, False])
async def test_a_recompute_sees_what_was_known_then_and_not_what_came_of_it(
    guild: Guild, plans: Plans, clock: ManualClock, asked: bool
) -> None:
    await guild.publish(SEEN if asked else rule())
    await evening(guild, clock, 0, "message.created", "checkin.submitted", "message.created")
    await evening(guild, clock, 1, "message.created", "checkin.submitted")
    await evening(guild, clock, 3, "message.created", "checkin.submitted")
    clock.advance(timedelta(hours=1))
    # The day that was missed is made good, the last check-in taken back: what was said in between stays as it was.
    async with guild.db.begin() as tx:
        day = (MORNING + 2 * ONE_DAY).date()
        await mending.mark(tx, guild.id, "daily", guild.member("ann"), day, "done", "was here", "operator:o")
    await guild.score(guild.act("checkin.voided", at=clock.now, subject="s3"))
    clock.advance(timedelta(hours=1))
    talk = guild.act(at=clock.now)
    await guild.score(talk)
    _, over = await plans.recompute(SEEN)
    assert over.posted["entries"] == (0 if asked else 3)
    wanted = [1, 2, 2, 1, 4]
    assert await guild.has("ann") == sum(wanted)
    assert (await guild.verdicts(talk))[0][2] == (4 if asked else 1)


async def test_a_simulation_has_the_streaks_that_nobody_asked_for(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish()
    for day in range(3):
        await evening(guild, clock, day, "checkin.submitted", "message.created")
    plan = await plans.simulate(SEEN)
    (unit,) = [unit for unit in plan.result["units"] if unit["unit"] == "xp"]
    assert unit["now"] - unit["was"] == 2 + 3 + 4


async def test_what_was_asked_for_and_not_found_stays_what_was_seen(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish(SEEN)
    await evening(guild, clock, 0, "checkin.submitted")
    await change(guild, replace(DEFAULT_SERIES, enabled=False), clock.now.date())
    await evening(guild, clock, 0, "message.created")
    await change(guild, DEFAULT_SERIES, clock.now.date())
    _, over = await plans.recompute(SEEN)
    assert (over.posted["entries"], await guild.has("ann")) == (0, 1)


async def test_who_is_linked_later_keeps_the_streak_of_the_identity(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish()
    for day in range(2):
        await evening(guild, clock, day, "checkin.submitted", "message.created")
    await guild.link("ann", to="bob")
    await evening(guild, clock, 2, "message.created")
    await plans.recompute(SEEN)
    assert (await guild.has("ann"), await guild.has("bob")) == (2 + 3, 1)


async def test_an_outage_that_nothing_was_written_of_excuses_its_days(
    guild: Guild, plans: Plans, clock: ManualClock
) -> None:
    await guild.publish()
    bot = guild.member("bot")
    more: dict[str, Any] = {"connection_id": bot}
    await guild.score(guild.act("checkin.submitted", **more))
    clock.now = MORNING + 2 * ONE_DAY
    since, until = MORNING + timedelta(hours=1), clock.now
    row = {"community_id": guild.id, "gap_id": bot, "connection_id": bot, "since": since, "until": until}
    async with guild.db.begin() as tx:
        await store.put_gaps(tx, [row])
    await guild.score(guild.act(at=clock.now))
    await plans.recompute(SEEN)
    assert await guild.has("ann") == 2
