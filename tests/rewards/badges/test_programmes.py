"""Badges for programmes: who passed, perfectly or not, and what is put right after the end."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from kit.contracts.rewards import BadgeGranted
from services.rewards.domain.badges import Badge
from services.rewards.domain.checkins import Programme, Series
from services.rewards.handlers import checkins, mending, passing
from tests.rewards.badges.support import badge, bare, define, held
from tests.rewards.guild import MORNING, Guild
from tests.rewards.ledger.support import announced
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)

AUTUMN = Series(
    id="autumn",
    name="Autumn term",
    on=("note.written",),
    programme=Programme(first_day=date(2026, 11, 23), last_day=date(2026, 11, 25), absences=1),
)
OVER = timedelta(days=6)


async def make_term(make_database: MakeDatabase, *some: Badge) -> Guild:
    guild = await bare(await make_database("rewards"))
    async with guild.db.begin() as tx:
        await checkins.create(tx, guild.id, AUTUMN, "operator:o")
    await define(guild, *some)
    return guild


async def write(guild: Guild, by: str, *days: int) -> None:
    await guild.score(*[guild.act("note.written", by, MORNING + n * DAY) for n in days])


async def run(guild: Guild) -> int:
    """Until there is nothing to look at; how many looks there were."""
    looks = 0
    while True:
        async with guild.db.begin() as tx:
            if not await passing.look(tx):
                return looks
        looks += 1


def passed(id: str = "passed", **fields: Any) -> Badge:
    return badge(id, what="programme", series="autumn", **fields)


async def test_who_passed_a_programme_gets_its_badge_when_it_is_over_and_no_late_check_in_is_waited_for(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await make_term(make_database, passed(), passed("perfect", result="perfect"))
    for n in range(3):
        await write(guild, "ann", n)
        if n != 1:
            await write(guild, "bob", n)
        if n == 0:
            await write(guild, "cyd", n)
        clock.advance(DAY)
    assert await run(guild) == 2
    assert await held(guild, "ann", "passed") is None
    clock.advance(OVER)
    assert await run(guild) == 2
    ended = datetime(2026, 11, 26, tzinfo=UTC)
    assert [await held(guild, name, "passed") for name in ("ann", "bob", "cyd")] == [ended, ended, None]
    assert [await held(guild, name, "perfect") for name in ("ann", "bob", "cyd")] == [ended, None, None]
    assert await run(guild) == 0
    assert len(await announced(guild.db, BadgeGranted)) == 3


async def test_a_word_of_an_operator_after_the_end_grants_and_takes(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await make_term(make_database, passed(kind="auto_revoke"))
    await write(guild, "ann", 0)
    clock.advance(OVER)
    await run(guild)
    assert await held(guild, "ann", "passed") is None
    day = date(2026, 11, 24)

    async def say(kind: str) -> None:
        async with guild.db.begin() as tx:
            await mending.mark(tx, guild.id, "autumn", guild.member("ann"), day, kind, "was ill", "operator:o")

    await say("done")
    assert await held(guild, "ann", "passed") == datetime(2026, 11, 26, tzinfo=UTC)
    await say("undone")
    assert await held(guild, "ann", "passed") is None


async def test_a_badge_made_after_the_end_is_granted_for_what_was(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await make_term(make_database)
    await write(guild, "ann", 0)
    clock.advance(DAY)
    await write(guild, "ann", 1)
    clock.advance(OVER)
    await define(guild, passed())
    await run(guild)
    assert await held(guild, "ann", "passed") == datetime(2026, 11, 26, tzinfo=UTC)


async def test_everybody_of_a_large_programme_is_looked_at_once(
    make_database: MakeDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "PAGE", 7)
    guild = await make_term(make_database, passed())
    for n in range(2):
        await guild.score(*[guild.act("note.written", f"p{i}", MORNING + n * DAY) for i in range(20)])
        clock.advance(DAY)
    clock.advance(OVER)
    assert await run(guild) == 3
    assert len(await announced(guild.db, BadgeGranted)) == 20
