"""A badge that ended and is reached again, by what happens after that only; who is told of ends."""

from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.rewards import BadgeRevoked
from services.rewards.handlers import granting
from tests.rewards.badges.support import badge, bare, expire, grants, held, minutes, standing
from tests.rewards.badges.test_measured import check_in, give, grant, revoke, streak
from tests.rewards.badges.test_programmes import DAY, OVER, make_term, passed, run, write
from tests.rewards.guild import MORNING, Guild
from tests.rewards.ledger.support import announced
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


def short(**fields: Any) -> Any:
    return streak(**{"kind": "expiring", "expires_after_days": 2, **fields})


async def days(guild: Guild, clock: ManualClock, *steps: int, by: str = "ann") -> None:
    """A check-in an hour before the clock's time, after each of these steps of days."""
    for step in steps:
        clock.advance(step * DAY)
        at = clock() - timedelta(hours=1)
        await guild.score(guild.act("checkin.submitted", by, at, subject=f"{by} {at}"))


async def test_what_was_counted_before_an_operators_word_counts_no_more_when_that_is_over(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="expiring", expires_after_days=10))
    await guild.score(*[guild.act() for _ in range(2)])
    await grant(guild)
    assert (await standing(guild)).progress == 0
    clock.advance(20 * DAY)
    later = MORNING + 15 * DAY
    await guild.score(guild.act(at=later))
    assert (await standing(guild)).progress == 1
    await guild.score(*[guild.act(at=later + minutes(n)) for n in (1, 2)])
    assert await held(guild) == later + minutes(2)


# Streaks, balances and programmes


@pytest.mark.parametrize("measure", ["current", "longest", "days"])
async def test_a_streak_that_runs_on_reaches_an_expired_badge_by_the_next_check_in(
    make_database: MakeDatabase, clock: ManualClock, measure: str
) -> None:
    guild = await bare(await make_database("rewards"), short(measure=measure))
    await days(guild, clock, 0, 1, 1, 1)
    first = MORNING + 2 * DAY
    assert await grants(guild) == [(1, first, None)]
    await days(guild, clock, 1)
    assert await grants(guild) == [(1, first, "expired"), (2, first + 2 * DAY, None)]


@pytest.mark.parametrize("measure", ["current", "longest"])
async def test_a_streak_of_before_does_not_reach_an_expired_badge_again_but_one_of_afterwards_does(
    make_database: MakeDatabase, clock: ManualClock, measure: str
) -> None:
    guild = await bare(await make_database("rewards"), short(measure=measure))
    await days(guild, clock, 0, 1, 1)
    await days(guild, clock, 40, 1)
    assert [number for number, _, _ in await grants(guild)] == [1]
    await days(guild, clock, 1)
    assert [at for _, at, _ in await grants(guild)] == [MORNING + 2 * DAY, MORNING + 44 * DAY]
    assert await held(guild) == MORNING + 44 * DAY


async def test_an_expired_badge_is_not_granted_as_of_a_time_that_is_over_as_well(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await bare(await make_database("rewards"), short(measure="days"))
    await days(guild, clock, 0, 1, 1)
    await days(guild, clock, 40)
    assert await grants(guild) == [(1, MORNING + 2 * DAY, "expired"), (2, MORNING + 42 * DAY, None)]
    assert await expire(guild) == 0


async def test_history_of_a_streak_grants_as_often_as_it_would_have(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), short(expires_after_days=30))
    await check_in(guild, *range(99, -1, -1), import_name="qq")
    begin = MORNING - 97 * DAY
    assert await grants(guild) == [
        (1, begin, "expired"), (2, begin + 30 * DAY, "expired"), (3, begin + 60 * DAY, "expired"),
        (4, begin + 90 * DAY, None),
    ]  # fmt: skip


async def test_an_expired_badge_for_a_balance_is_reached_again_by_what_is_earned_afterwards(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    rich = badge(what="balance", unit="points", least=100, kind="expiring", expires_after_days=10)
    guild = await bare(await make_database("rewards"), rich)
    await give(guild, 500)
    begin = clock()
    clock.advance(30 * DAY)
    await give(guild, -10, kind="spend")
    await give(guild, 10, effective_at=begin + DAY)
    assert [number for number, _, _ in await grants(guild)] == [1], "neither spending nor what was before"
    await give(guild, 1)
    assert await grants(guild) == [(1, begin, "expired"), (2, clock(), None)]


async def test_a_programme_is_passed_once_however_often_its_badge_ends(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await make_term(make_database, passed(kind="expiring", expires_after_days=5))
    for _ in range(2):
        await write(guild, "ann", int((clock() - MORNING) / DAY))
        clock.advance(DAY)
    clock.advance(OVER)
    await run(guild)
    clock.advance(30 * DAY)
    await write(guild, "ann", 32)
    await run(guild)
    assert len(await grants(guild, "passed")) == 1


async def test_what_expired_first_is_ended_first(
    make_database: MakeDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granting, "EXPIRE_AT_ONCE", 2)
    guild = await bare(await make_database("rewards"), badge(kind="expiring", expires_after_days=1, least=1))
    names = [f"p{n}" for n in range(6)]
    await guild.score(*[guild.act(by=by, at=MORNING - minutes(n)) for n, by in enumerate(names)])
    clock.advance(2 * DAY)
    while await expire(guild):
        pass
    ends = [event.ended_at for event in await announced(guild.db, BadgeRevoked)]
    assert [sorted(ends[n : n + 2]) for n in (0, 2, 4)] == [
        [MORNING + DAY - minutes(n), MORNING + DAY - minutes(n - 1)] for n in (5, 3, 1)
    ]


# Who is told


async def test_the_end_of_a_grant_that_nobody_was_told_of_wakes_nobody(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke"))
    acts = [guild.act(subject=f"m{n}", import_name="qq") for n in range(3)]
    await guild.score(*acts)
    await guild.score(guild.act("message.deleted", subject="m0"))
    (end,) = await announced(guild.db, BadgeRevoked)
    assert (end.why, end.notify) == ("undone", False)
    await guild.score(guild.act(subject="m3", at=MORNING + minutes(5)))
    await guild.score(guild.act("message.deleted", subject="m3"))
    assert [e.notify for e in await announced(guild.db, BadgeRevoked)] == [False, True]


async def test_years_of_history_that_expired_wake_nobody(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="expiring", expires_after_days=5))
    await guild.score(*[guild.act(at=MORNING - (90 - n) * DAY, import_name="qq") for n in range(80)])
    ends = await announced(guild.db, BadgeRevoked)
    assert len(ends) > 3
    assert not any(end.notify for end in ends)


async def test_a_badge_by_hand_is_told_of_and_so_is_its_end(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(what="hand"))
    await grant(guild)
    await revoke(guild)
    assert [e.notify for e in await announced(guild.db, BadgeRevoked)] == [True]
