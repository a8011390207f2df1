"""Badges for what is done while a streak lasts, counted for a time when nobody looked at streaks."""

from datetime import timedelta

import pytest

from tests.rewards.badges.backfilling import backfill, everything
from tests.rewards.badges.support import badge, bare, define, held
from tests.rewards.guild import Guild
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.advance(-30 * DAY)
    return await bare(await make_database("rewards"))


async def test_a_streak_that_nobody_looked_at_then_is_the_one_of_then(guild: Guild, clock: ManualClock) -> None:
    async def days(*names: str) -> None:
        for name in names:
            clock.advance(DAY)
            await guild.score(guild.act("checkin.submitted", name, clock(), subject=f"{name}{clock()}"))
            await guild.score(guild.act(by=name, at=clock()))

    began = clock()
    wanted = {"on": ("message.created",), "when": "streak.current >= 3", "least": 2}
    await days(*["ann"] * 4, "bob")
    clock.advance(3 * DAY)
    await days(*["bob"] * 3, "ann")
    await define(guild, badge("later", **wanted))
    row = await backfill(guild)
    stands = {member: one["stands"] for member, one in (await everything(guild, "later")).items()}
    assert row.granted == 1
    # Held, how often, and how many were counted while it is not: bob's second message came with a streak of one again.
    assert stands == {guild.member("ann"): (True, 1, 0), guild.member("bob"): (False, 0, 1)}
    assert await held(guild, "ann", "later") == began + 4 * DAY
