"""Batches, purchases and repairs of one member at the same moment, as of two replicas."""

import asyncio
from datetime import timedelta

import pytest

from kit.errors import Conflict, Unprocessable
from services.rewards.handlers import mending
from services.rewards.store import checkins as store
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.give(guild.grant(guild.member("ann"), 1000))
    return guild


async def test_fifty_at_once_buy_no_more_freezes_than_can_be_held(guild: Guild) -> None:
    async def buy() -> bool:
        try:
            async with guild.db.begin() as tx:
                await mending.buy(tx, guild.id, "daily", guild.member("ann"), "member:ann")
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*[buy() for _ in range(50)])) == 2
    assert (await guild.has("ann", "freezes"), await guild.has("ann", "points")) == (2, 960)
    await check_books(guild.db)


async def test_a_day_that_two_batches_and_a_late_event_meet_on_is_counted_and_paid_back_once(guild: Guild) -> None:
    member = guild.member("ann")
    await guild.score(guild.act("checkin.submitted", at=MORNING - timedelta(days=2), late=timedelta(days=2)))
    async with guild.db.begin() as tx:
        await mending.mark(tx, guild.id, "daily", member, (MORNING - timedelta(days=5)).date(), "done", "r", "op:o")
        await mending.buy(tx, guild.id, "daily", member, "member:ann")
    acts = [guild.act("checkin.submitted", at=MORNING - timedelta(minutes=n)) for n in range(20)]
    late = [guild.act("checkin.submitted", at=MORNING - timedelta(days=1), late=timedelta(days=1)) for _ in range(20)]

    async def repair() -> None:
        try:
            async with guild.db.begin() as tx:
                await mending.repair(tx, guild.id, "daily", member, (MORNING - timedelta(days=3)).date(), "member:ann")
        except (Conflict, Unprocessable):
            return

    await asyncio.gather(*[guild.score(one) for one in (*acts, *late)], *[repair() for _ in range(5)])
    key = guild.id, "daily", member
    async with guild.db.read() as tx:
        row = (await store.streaks_of(tx, [key]))[key]
        seat = await mending.look(tx, *key)
    state = seat.walked()[-1].state
    assert (row.current, row.longest, row.held) == (state.current, state.longest, state.held) == (4, 4, 1)
    assert await guild.has("ann", "freezes") == 1
    assert len(seat.standing.of("repaired")) == 1
    await check_books(guild.db)
