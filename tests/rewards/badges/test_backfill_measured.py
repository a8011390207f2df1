"""Backfills of badges for streaks, balances, levels and periods: as if the badge had been there all along."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from kit.errors import Conflict
from services.rewards.handlers import adjusting, mending
from services.rewards.handlers.backfills import measuring
from tests.rewards.badges.backfilling import ask, backfill, cancel, everything, found, work
from tests.rewards.badges.support import badge, bare, change, define, defined, expire, grants, held, minutes
from tests.rewards.badges.test_measured import check_in, give, grant, streak
from tests.rewards.badges.test_percentiles import AT_LAST, SUNDAY_NIGHT, WEEK, best, finish, score, winners
from tests.rewards.badges.test_programmes import run
from tests.rewards.boards.support import make_board
from tests.rewards.erasing.support import erase
from tests.rewards.guild import MORNING, Guild, rule
from tests.rewards.ledger.support import announced
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
PEOPLE = ("ann", "bob", "cyd")
ENGINES = [*[("sqlite", n) for n in range(12)], *[("postgresql", n) for n in range(12, 14)]]


async def posted(guild: Guild, clock: ManualClock, dice: random.Random) -> None:
    """Points come, are spent and are taken back."""
    given: list[UUID] = []
    for _ in range(40):
        clock.advance(HOUR * dice.randint(1, 12))
        by, amount = dice.choice(PEOPLE), dice.randint(1, 60)
        acts = [guild.act(by=dice.choice(PEOPLE), at=clock() - minutes(n)) for n in range(dice.randint(1, 5))]
        await guild.score(*acts)
        clock.advance(HOUR)
        if given and dice.random() < 0.3:
            async with guild.db.begin() as tx:
                one = given.pop(dice.randrange(len(given)))
                await adjusting.reverse(tx, guild.id, one, amount=None, reason="mistake", actor="operator:o")
        elif dice.random() < 0.3:
            await give(guild, -min(amount, await guild.has(by)), by=by, unit="xp", allow_negative=True)
        else:
            at = clock() - HOUR * dice.choice([0, 0, 30])
            given.append((await give(guild, amount, by=by, unit="xp", effective_at=at)).id)


@pytest.mark.parametrize(("engine", "seed"), ENGINES)
async def test_a_badge_for_points_is_what_one_from_the_beginning_is(
    make_database: MakeDatabase, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(measuring, "PAGE", dice.choice([1, 50]))
    kind = ("permanent", "auto_revoke", "expiring")[seed % 3]
    more = {"expires_after_days": 3} if kind == "expiring" else {}
    terms = dice.choice([{"what": "balance", "unit": "xp", "least": 80}, {"what": "level", "least": 2}])
    guild = await bare(await make_database("rewards"), badge("live", kind=kind, **terms, **more))
    await guild.publish(rule(amount=7))
    await posted(guild, clock, dice)
    await define(guild, badge("later", kind=kind, **terms, **more))
    row = await backfill(guild)
    assert (row.state, row.total, row.done) == ("done", 3, 3)
    await posted(guild, clock, dice)
    await expire(guild)
    assert await everything(guild, "later") == await everything(guild, "live")
    assert len(await grants(guild, "live")) > 2


async def came(guild: Guild, clock: ManualClock, dice: random.Random, days: int) -> None:
    """People check in, some of them late; what they did is taken back, or an operator says that they did."""
    for _ in range(days):
        for by in PEOPLE:
            clock.advance(timedelta(minutes=20))
            if dice.random() < 0.75:
                back = dice.choice([0, 0, 0, 1])
                await check_in(guild, (MORNING - clock()).days + 1 + back, by=by)
            clock.advance(timedelta(seconds=1))
            if dice.random() < 0.15:
                gone = f"{by}{(MORNING - clock()).days + dice.randint(1, 4)}"
                await guild.score(guild.act("checkin.voided", by, clock(), subject=gone))
            clock.advance(timedelta(seconds=1))
            if dice.random() < 0.1:
                day = (clock() - DAY * dice.randint(0, 5)).date()
                async with guild.db.begin() as tx:
                    what = dice.choice(["done", "undone", "excused"])
                    await mending.mark(tx, guild.id, "daily", guild.member(by), day, what, "said so", "operator:o")
        clock.advance(DAY - len(PEOPLE) * timedelta(minutes=20, seconds=2))


@pytest.mark.parametrize(("engine", "seed"), ENGINES)
async def test_a_badge_for_a_streak_is_what_one_from_the_beginning_is(
    make_database: MakeDatabase, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(measuring, "PAGE", dice.choice([1, 50]))
    kind = ("permanent", "auto_revoke", "expiring")[seed % 3]
    more = {"expires_after_days": 3} if kind == "expiring" else {}
    measure = dice.choice(["longest", "days"] if kind == "auto_revoke" else ["longest", "days", "current"])
    terms = {"kind": kind, "measure": measure, "least": dice.randint(2, 4), **more}
    guild = await bare(await make_database("rewards"), streak("live", **terms))
    clock.advance(-30 * DAY)
    await came(guild, clock, dice, 20)
    await define(guild, streak("later", **terms))
    assert (await backfill(guild)).state == "done"
    await came(guild, clock, dice, 5)
    await expire(guild)
    assert await everything(guild, "later") == await everything(guild, "live")
    assert await grants(guild, "live") != []


# Who has it already, and who is no more


async def test_whoever_has_it_keeps_it_as_it_is(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await bare(await make_database("rewards"))
    for by in PEOPLE:
        await give(guild, 90, by=by, effective_at=MORNING - DAY)
    clock.advance(HOUR)
    await define(guild, badge("later", what="balance", unit="points", least=50))
    await grant(guild, "later", MORNING)
    await give(guild, 5, by="bob")
    row = await backfill(guild)
    assert (row.granted, row.done) == (1, 3)
    assert await held(guild, "ann", "later") == MORNING
    assert await held(guild, "bob", "later") == clock()
    assert await held(guild, "cyd", "later") == MORNING - DAY
    assert (await backfill(guild)).granted == 0
    assert len(await grants(guild, "later")) == 3


async def test_what_was_spent_since_was_reached_and_is_gone(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await bare(await make_database("rewards"))
    await give(guild, 90)
    clock.advance(HOUR)
    await give(guild, -80, kind="spend")
    await define(guild, badge("later", what="balance", unit="points", least=50))
    await define(guild, badge("lost", what="balance", unit="points", least=50, kind="auto_revoke"))
    await backfill(guild)
    await backfill(guild, "lost", silent=False)
    assert await grants(guild, "later") == [(1, MORNING + HOUR, None)]
    assert await grants(guild, "lost") == [(1, MORNING + HOUR, "undone")]
    assert [(e.badge_id, e.notify) for e in await announced(guild.db, BadgeGranted)] == [
        ("later", False),
        ("lost", True),
    ]
    (end,) = await announced(guild.db, BadgeRevoked)
    assert (end.ended_at, end.notify) == (clock(), True)


async def test_who_was_erased_is_granted_nothing(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await bare(await make_database("rewards"))
    for by in PEOPLE:
        await guild.know(by)
        await give(guild, 90, by=by)
        await check_in(guild, 0, by=by)
    await erase(guild, "ann")
    await define(guild, badge("later", what="balance", unit="points", least=50), streak("days", least=1))
    assert (await backfill(guild)).granted == 2
    assert (await backfill(guild, "days")).granted == 2


async def test_a_backfill_of_points_is_given_up_at_once(
    make_database: MakeDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "PAGE", 1)
    guild = await bare(await make_database("rewards"))
    for by in PEOPLE:
        await give(guild, 90, by=by)
    await define(guild, badge("later", what="balance", unit="points", least=50))
    await ask(guild)
    with pytest.raises(Conflict):
        await ask(guild)
    await work(guild, steps=1)
    assert (await cancel(guild)).state == "cancelled"
    await work(guild)
    assert len(await grants(guild, "later")) == 1
    assert (await backfill(guild)).granted == 2


# Periods


@pytest.fixture
async def weekly(make_database: MakeDatabase) -> Guild:
    one = await bare(await make_database("rewards"))
    await make_board(one, periods=("all", "week"))
    return one


async def three_weeks(guild: Guild, clock: ManualClock) -> list[datetime]:
    """Weeks that are final: the first and the third are ann's, the second bob's; when they ended."""
    ends = [SUNDAY_NIGHT + n * WEEK for n in range(3)]
    for n, (one, other) in enumerate(((9, 1), (1, 9), (9, 1))):
        await score(guild, MORNING + n * WEEK, a=one, b=other)
        await finish(guild, clock, AT_LAST + n * WEEK)
    return ends


async def test_the_best_of_periods_that_are_final_have_it_as_of_their_ends(weekly: Guild, clock: ManualClock) -> None:
    ends = await three_weeks(weekly, clock)
    await define(weekly, best("later"))
    row = await backfill(weekly)
    assert (row.state, row.total, row.done, row.granted) == ("done", 3, 3, 2)
    assert await winners(weekly, "later") == {"a", "b"}
    assert {at for _, at, _ in await grants(weekly, "later")} == set(ends[:2])
    assert [event.notify for event in await announced(weekly.db, BadgeGranted)] == [False, False]
    assert (await backfill(weekly)).granted == 0


async def test_periods_count_one_after_the_other_and_a_new_one_waits_for_them(
    weekly: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = await three_weeks(weekly, clock)
    terms: dict[str, Any] = {"kind": "expiring", "expires_after_days": 6}
    await define(weekly, best("later", **terms))
    await ask(weekly, since=ends[0] + DAY, silent=False)
    await work(weekly, steps=1)
    await score(weekly, MORNING + 3 * WEEK, a=9, b=1)
    await finish(weekly, clock, AT_LAST + 3 * WEEK)
    assert await grants(weekly, "later") == []
    await work(weekly)
    clock.advance(timedelta(minutes=2))
    await run(weekly)
    await expire(weekly)
    got = sorted((e.granted_at, e.notify) for e in await announced(weekly.db, BadgeGranted))
    assert got == [(end, True) for end in (*ends[1:], SUNDAY_NIGHT + 3 * WEEK)]


async def test_a_badge_that_is_granted_to_nobody_any_more_is_not_by_a_backfill(
    weekly: Guild, clock: ManualClock
) -> None:
    await three_weeks(weekly, clock)
    await define(weekly, best("later"), badge("rich", what="balance", unit="xp", least=1))
    for id in ("later", "rich"):
        await ask(weekly, id)
        one = await defined(weekly, id)
        async with weekly.db.begin() as tx:
            await change(tx, one, enabled=False)
        await work(weekly, id)
        assert (await found(weekly, id)).state == "cancelled"
        with pytest.raises(Conflict):
            await ask(weekly, id)
    assert await announced(weekly.db, BadgeGranted) == []
