"""Badges for what is kept elsewhere (streaks, balances, levels), those that expire, and an operator's word."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from kit.errors import Conflict, Unprocessable
from services.rewards.domain.badges import Badge
from services.rewards.domain.checkins import Schedule, Series
from services.rewards.handlers import adjusting, badges, checkins, granting, holds, mending
from services.rewards.tables.badges import badge_versions
from tests.rewards.badges.support import (
    badge,
    bare,
    change,
    define,
    defined,
    expire,
    grants,
    held,
    marks,
    minutes,
    standing,
)
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, check_books, member_changed, wish
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)


def streak(id: str = "ten", **fields: Any) -> Badge:
    return badge(id, what="streak", **{"series": "daily", "least": 3, **fields})


async def check_in(guild: Guild, *days: int, by: str = "ann", **fields: Any) -> None:
    """Check-ins so many days before the morning, in one batch."""
    acts = [guild.act("checkin.submitted", by, MORNING - n * DAY, subject=f"{by}{n}", **fields) for n in days]
    await guild.score(*acts)


async def give(guild: Guild, amount: int, *, by: str = "ann", unit: str = "points", **more: Any) -> Any:
    async with guild.db.begin() as tx:
        one = wish(guild.member(by), amount, unit=unit, computed=True, **more)
        return await adjusting.post_one(tx, guild.id, one, "operator:o")


async def grant(guild: Guild, id: str = "ten", at: Any = None) -> None:
    one = await defined(guild, id)
    async with guild.db.begin() as tx:
        await granting.grant(tx, one, guild.member("ann"), at, reason="well done", actor="operator:o")


async def revoke(guild: Guild, id: str = "ten") -> None:
    one = await defined(guild, id)
    async with guild.db.begin() as tx:
        await granting.revoke(tx, one, guild.member("ann"), reason="a mistake", actor="operator:o")


# Streaks


async def test_a_streak_grants_as_of_the_check_in_that_reached_it(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), streak())
    await check_in(guild, *range(8, -1, -1), import_name="qq")
    assert await held(guild) == MORNING - 6 * DAY
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.history, told.notify, told.cause_id is not None) == (True, False, True)


async def test_a_streak_grows_over_batches_and_by_an_operators_word(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), streak())
    await check_in(guild, 2, import_name="qq")
    await check_in(guild, 0)
    assert await held(guild) is None
    async with guild.db.begin() as tx:
        day = (MORNING - DAY).date()
        await mending.mark(tx, guild.id, "daily", guild.member("ann"), day, "done", "the bot was away", "operator:o")
    assert await held(guild) == MORNING
    (told,) = await announced(guild.db, BadgeGranted)
    assert told.notify is True


async def test_days_of_a_series_that_are_undone_take_the_badge_with_them(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), streak(measure="days", kind="auto_revoke"))
    await check_in(guild, 5, 3, 0, import_name="qq")
    assert await held(guild) == MORNING
    await guild.score(guild.act("checkin.voided", subject="ann3"))
    assert await held(guild) is None
    assert [e.why for e in await announced(guild.db, BadgeRevoked)] == ["undone"]


async def test_another_series_is_none_of_its_business(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"))
    async with guild.db.begin() as tx:
        reading = Series(id="reading", name="Reading", on=("page.read",), schedule=Schedule())
        await checkins.create(tx, guild.id, reading, "operator:o")
    await define(guild, streak(series="reading", least=1))
    await check_in(guild, 0)
    assert await held(guild) is None
    await guild.score(guild.act("page.read"))
    assert await held(guild) == MORNING


# Balances and levels


async def test_a_balance_grants_as_of_the_posting_that_reached_it_and_takes_it_back(
    make_database: MakeDatabase,
) -> None:
    rich = badge("rich", what="balance", unit="points", least=100, kind="auto_revoke")
    proud = badge("proud", what="balance", unit="points", least=100)
    guild = await bare(await make_database("rewards"), rich, proud)
    await give(guild, 60)
    await give(guild, 60, effective_at=MORNING - DAY)
    assert await held(guild, id="rich") == await held(guild, id="proud") == MORNING - DAY
    await give(guild, -30, kind="spend")
    assert await held(guild, id="rich") is None
    assert await held(guild, id="proud") is not None
    await give(guild, 10)
    assert await grants(guild, "rich") == [(1, MORNING - DAY, "undone"), (2, MORNING + minutes(60), None)]


async def test_points_of_rules_count_and_name_their_event(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(what="balance", unit="xp", least=10))
    await guild.publish(rule(amount=4))
    acts = [guild.act(at=MORNING + minutes(n)) for n in range(5)]
    await guild.score(*acts)
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.cause_id, told.granted_at) == (acts[2].event_id, MORNING + minutes(2))


async def test_a_level_is_the_communitys(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(what="level", least=3, kind="auto_revoke"))
    await give(guild, 299, unit="xp")
    assert await held(guild) is None
    posted = await give(guild, 1, unit="xp")
    assert await held(guild) == MORNING + minutes(60)
    async with guild.db.begin() as tx:
        await adjusting.reverse(tx, guild.id, posted.id, amount=None, reason="mistake", actor="operator:o")
    assert await held(guild) is None


async def test_an_entry_in_a_unit_that_no_badge_follows_costs_nothing_more(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(what="balance", unit="xp", least=10))
    await guild.hear(member_changed(guild.id, guild.member("ann"), "Ann"))
    await give(guild, 1)
    with Statements(guild.db) as statements:
        await give(guild, 1)
    assert [text for text in statements.texts if "badge_" in text] == []


async def test_a_disabled_badge_lets_its_unit_go(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(what="balance", unit="points", least=10))
    async with guild.db.begin() as tx:
        await change(tx, await defined(guild, "ten"), enabled=False)
    with Statements(guild.db) as statements:
        await give(guild, 50)
    assert [text for text in statements.texts if "badge_" in text] == []
    async with guild.db.begin() as tx:
        await change(tx, await defined(guild, "ten"), enabled=True)
    await give(guild, 1)
    assert await held(guild) is not None


# Expiring


@pytest.fixture
async def fading(make_database: MakeDatabase) -> Guild:
    return await bare(await make_database("rewards"), badge(kind="expiring", expires_after_days=30))


async def test_an_expiring_badge_is_over_when_it_is_read_and_told_of_once(fading: Guild, clock: ManualClock) -> None:
    await fading.score(*[fading.act() for _ in range(3)])
    clock.advance(30 * DAY - timedelta(hours=1, seconds=1))
    assert await held(fading) == MORNING
    assert await expire(fading) == 0
    clock.advance(timedelta(seconds=1))
    assert await held(fading) is None
    assert await expire(fading) == 1
    assert await expire(fading) == 0
    (over,) = await announced(fading.db, BadgeRevoked)
    assert (over.why, over.ended_at) == ("expired", MORNING + 30 * DAY)


async def test_an_expired_badge_is_reached_again_by_what_happens_afterwards_only(
    fading: Guild, clock: ManualClock
) -> None:
    early = [fading.act() for _ in range(3)]
    await fading.score(*early, fading.act(at=MORNING + minutes(9)))
    assert await marks(fading) == 0
    clock.advance(40 * DAY)
    later = MORNING + 35 * DAY
    await fading.score(*early)
    await fading.score(*[fading.act(at=later + minutes(n)) for n in range(2)])
    assert await held(fading) is None
    await fading.score(fading.act(at=later + minutes(2)))
    assert await grants(fading) == [(1, MORNING, "expired"), (2, later + minutes(2), None)]
    assert [e.why for e in await announced(fading.db, BadgeRevoked)] == ["expired"]


async def test_years_of_history_grant_and_end_as_often_as_they_would_have(fading: Guild) -> None:
    begin = MORNING - 100 * DAY
    await fading.score(*[fading.act(at=begin + n * DAY, import_name="qq") for n in range(100)])
    assert await grants(fading) == [
        (1, begin + 2 * DAY, "expired"),
        (2, begin + 34 * DAY, "expired"),
        (3, begin + 66 * DAY, "expired"),
        (4, begin + 98 * DAY, None),
    ]
    assert (await standing(fading)).held


# By hand


async def test_an_operators_word_stands_whatever_happens(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke", least=1))
    await grant(guild, at=MORNING - DAY)
    assert await held(guild) == MORNING - DAY
    with pytest.raises(Conflict):
        await grant(guild)
    await guild.score(guild.act(subject="m1"), guild.act("message.deleted", subject="m1"))
    assert await held(guild) == MORNING - DAY
    await revoke(guild)
    with pytest.raises(Conflict):
        await revoke(guild)
    await guild.score(guild.act())
    assert await held(guild) is None
    await grant(guild)
    assert await grants(guild) == [(1, MORNING - DAY, "by_hand"), (2, MORNING + minutes(60), None)]
    first, _ = await announced(guild.db, BadgeGranted)
    assert (first.actor, first.reason, first.cause_id) == ("operator:o", "well done", None)
    (end,) = await announced(guild.db, BadgeRevoked)
    assert (end.why, end.actor, end.reason) == ("by_hand", "operator:o", "a mistake")


async def test_a_badge_by_hand_is_granted_by_nothing_else(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await bare(await make_database("rewards"), badge(what="hand", kind="expiring", expires_after_days=7))
    await guild.score(guild.act())
    await give(guild, 1000, unit="xp")
    assert await held(guild) is None
    await grant(guild)
    clock.advance(8 * DAY)
    await grant(guild)
    assert [why for _, _, why in await grants(guild)] == ["expired", None]
    with pytest.raises(Unprocessable):
        await grant(guild, at=clock() + DAY)


# What communities begin with


async def test_a_community_begins_with_badges_and_an_old_one_gets_them_silently(make_database: MakeDatabase) -> None:
    guild = await make_guild(await make_database("rewards"))
    await guild.score(guild.act("onboarding.finished"))
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.badge_id, told.notify) == ("welcome", True)
    async with guild.db.begin() as tx:
        await tx.execute(delete(badge_versions))
        await badges.add_defaults(tx, [guild.id])
        badges._read.clear()
    await guild.score(guild.act("onboarding.finished", "bob"))
    assert [e.notify for e in await announced(guild.db, BadgeGranted)] == [True, False]


@pytest.mark.parametrize("part", [None, 3])
async def test_what_is_held_is_gone_for_a_badge_and_capturing_it_changes_nothing_more(
    make_database: MakeDatabase, part: int | None
) -> None:
    rich = badge("rich", what="balance", unit="points", least=15, kind="auto_revoke")
    guild = await bare(await make_database("rewards"), rich)
    await guild.know("ann")
    await guild.give(guild.grant(guild.member("ann"), 20))
    assert await held(guild, id="rich") is not None
    wanted = holds.Wanted(
        member_id=guild.member("ann"), unit="points", amount=8, reason="Deposit", timeout_seconds=3600
    )
    async with guild.db.begin() as tx:
        row, _ = await holds.hold(tx, guild.id, wanted, "operator:o")
    assert await held(guild, id="rich") is None
    async with guild.db.begin() as tx:
        await holds.capture(tx, guild.id, row.id, amount=part, actor="operator:o")
    assert (await held(guild, id="rich") is not None) == (part is not None), "17 are left of a part"
    await check_books(guild.db)
