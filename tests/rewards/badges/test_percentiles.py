"""Badges for whoever was among the best of a period of a board."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from services.rewards.domain.badges import Badge, places
from services.rewards.handlers import absences, boards, finalising, passing, percentiles
from services.rewards.store.shown import BY_MEMBER, EVERY_BOARD
from tests.rewards.badges.support import badge, bare, change, define, defined, grants
from tests.rewards.badges.test_measured import revoke
from tests.rewards.badges.test_programmes import run
from tests.rewards.boards.support import make_board
from tests.rewards.guild import MORNING, Guild
from tests.rewards.ledger.support import Statements, announced, community_changed
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

WEEK = timedelta(days=7)
SUNDAY_NIGHT = datetime.fromisoformat("2026-11-30T00:00:00Z")
AT_LAST = SUNDAY_NIGHT + timedelta(hours=48)


def best(id: str = "ten", **fields: Any) -> Badge:
    return badge(id, what="percentile", **{"board": "b", "period": "week", "percent": 25, **fields})


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    one = await bare(await make_database("rewards"))
    await make_board(one, periods=("all", "week"))
    return one


async def score(guild: Guild, at: datetime = MORNING, **points: int) -> None:
    await guild.give(*[guild.grant(guild.member(name), amount, at) for name, amount in points.items()])


async def finish(guild: Guild, clock: ManualClock, at: datetime = AT_LAST) -> int:
    """Finalise what is over then; how many looks there were afterwards."""
    clock.advance(at - clock())
    await finalising.finalize_some(guild.db, clock(), asyncio.Event())
    return await run(guild)


async def winners(guild: Guild, id: str = "ten") -> set[str]:
    names = {guild.member(name): name for name in (*"abcdefghij", *[f"p{n}" for n in range(50)])}
    return {names[event.member_id] for event in await announced(guild.db, BadgeGranted) if event.badge_id == id}


def test_so_many_of_a_hundred_are_rounded_down_and_never_nobody() -> None:
    assert [places(n, 25) for n in (1, 4, 7, 8, 100)] == [1, 1, 1, 2, 25]
    assert (places(3, 100), places(1_000_000, 1)) == (3, 10_000)


async def test_the_best_of_a_week_have_the_badge_as_of_its_end_when_it_is_final(
    guild: Guild, clock: ManualClock
) -> None:
    await define(guild, best(), best("half", percent=50), best("monthly", period="all"))
    await score(guild, a=9, b=8, c=7, d=6, e=5, f=4, g=3, h=2)
    assert await finish(guild, clock, AT_LAST - timedelta(seconds=1)) == 0
    assert await finish(guild, clock) == 2
    assert await winners(guild) == {"a", "b"}
    assert await winners(guild, "half") == {"a", "b", "c", "d"}
    assert {at for _, at, _ in await grants(guild)} == {SUNDAY_NIGHT}
    assert all(event.notify for event in await announced(guild.db, BadgeGranted))
    assert await finish(guild, clock, AT_LAST + WEEK) == 0


async def test_who_is_level_with_the_last_of_them_is_among_them_and_who_has_nothing_never(
    guild: Guild, clock: ManualClock
) -> None:
    await define(guild, best(), best("everybody", percent=100))
    await score(guild, a=9, b=7, c=7, d=7, e=1, f=1, g=1, h=1)
    await score(guild, e=-1, f=-3)
    await finish(guild, clock)
    assert await winners(guild) == {"a", "b", "c", "d"}
    assert await winners(guild, "everybody") == {"a", "b", "c", "d", "g", "h"}


async def test_who_is_not_shown_or_was_put_out_is_not_among_them(guild: Guild, clock: ManualClock) -> None:
    await define(guild, best())
    await score(guild, a=9, b=8, c=7, d=6, e=5, f=4, g=3, h=2, i=1)
    async with guild.db.begin() as tx:
        off = absences.Change(guild.member("a"), EVERY_BOARD, BY_MEMBER, True, "", "member:a")
        await absences.change(tx, guild.id, [off])
    await guild.know("b", state="banned")
    await finish(guild, clock)
    assert await winners(guild) == {"c"}


async def test_another_board_or_kind_of_period_is_none_of_its_business(guild: Guild, clock: ManualClock) -> None:
    await make_board(guild, "other", unit="xp", periods=("week", "day"))
    await define(guild, best(board="other", period="day"))
    await score(guild, a=9)
    await finish(guild, clock)
    assert await winners(guild) == set()


async def test_everybody_of_a_large_board_is_looked_at_once_and_by_one(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(percentiles, "PAGE", 7)
    await define(guild, best(percent=80))
    await score(guild, **{f"p{n}": 1 + n for n in range(50)})
    clock.advance(AT_LAST - clock())
    await asyncio.gather(*(finalising.finalize_some(guild.db, clock(), asyncio.Event()) for _ in range(3)))

    async def look() -> None:
        async with guild.db.begin() as tx:
            await passing.look(tx)

    await asyncio.gather(*(look() for _ in range(4)))
    await run(guild)
    told = [event.member_id for event in await announced(guild.db, BadgeGranted)]
    assert len(told) == len(set(told)) == 40
    assert await winners(guild) == {f"p{n}" for n in range(10, 50)}


async def test_a_page_costs_the_same_number_of_statements_whatever_its_size(guild: Guild, clock: ManualClock) -> None:
    await define(guild, best(percent=100))
    counts = []
    for week, size in enumerate((2, 40)):
        await score(guild, MORNING + week * WEEK, **{f"p{n}": 1 for n in range(week * 2, week * 2 + size)})
        clock.advance(AT_LAST + week * WEEK - clock())
        await finalising.finalize_some(guild.db, clock(), asyncio.Event())
        with Statements(guild.db) as statements:
            await run(guild)
        counts.append(len(statements.texts))
    assert counts[0] == counts[1]


async def test_a_permanent_one_is_had_once_and_an_expiring_one_for_later_periods_again(
    guild: Guild, clock: ManualClock
) -> None:
    await define(guild, best(), best("fresh", kind="expiring", expires_after_days=6))
    for week in range(3):
        await score(guild, MORNING + week * WEEK, **({"a": 5} if week != 1 else {"b": 5}))
        await finish(guild, clock, AT_LAST + week * WEEK)
    assert sorted(await grants(guild)) == [(1, SUNDAY_NIGHT, None), (1, SUNDAY_NIGHT + WEEK, None)]
    again = [(e.member_id, e.number) for e in await announced(guild.db, BadgeGranted) if e.badge_id == "fresh"]
    assert again == [(guild.member("a"), 1), (guild.member("b"), 1), (guild.member("a"), 2)]
    assert {event.why for event in await announced(guild.db, BadgeRevoked)} == {"expired"}


async def test_an_operators_word_stands(guild: Guild, clock: ManualClock) -> None:
    await define(guild, best())
    await guild.know("ann")
    await score(guild, ann=5)
    await finish(guild, clock)
    await revoke(guild)
    await score(guild, MORNING + WEEK, ann=5)
    await finish(guild, clock, AT_LAST + WEEK)
    assert [why for _, _, why in await grants(guild)] == ["by_hand"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_badge_that_is_disabled_is_granted_to_nobody(guild: Guild, clock: ManualClock, before: bool) -> None:
    await define(guild, best())
    await score(guild, a=5)

    async def disable() -> None:
        one = await defined(guild, "ten")
        async with guild.db.begin() as tx:
            await change(tx, one, enabled=False)

    clock.advance(AT_LAST - clock())
    if before:
        await disable()
    await finalising.finalize_some(guild.db, clock(), asyncio.Event())
    if not before:
        await disable()
    assert await run(guild) == (not before)
    assert await run(guild) == 0
    assert await winners(guild) == set()


async def test_a_board_that_is_deleted_meanwhile_has_no_best(guild: Guild, clock: ManualClock) -> None:
    await define(guild, best())
    await score(guild, a=5)
    clock.advance(AT_LAST - clock())
    await finalising.finalize_some(guild.db, clock(), asyncio.Event())
    async with guild.db.begin() as tx:
        await boards.delete(tx, guild.id, "b")
    assert await run(guild) == 1
    assert await winners(guild) == set()


async def test_the_end_of_a_period_is_the_communitys(guild: Guild, clock: ManualClock) -> None:
    await guild.hear(replace(community_changed(guild.id, version=2), zone="Asia/Shanghai"))
    await define(guild, best())
    await score(guild, a=5)
    await finish(guild, clock)
    assert await grants(guild) == [(1, SUNDAY_NIGHT - timedelta(hours=8), None)]


async def test_boards_of_another_community_are_none_of_its_business(guild: Guild, clock: ManualClock) -> None:
    other = await bare(guild.db)
    await make_board(other, periods=("week",))
    await define(guild, best())
    await score(other, a=5)
    await finish(guild, clock)
    assert await announced(guild.db, BadgeGranted) == []
