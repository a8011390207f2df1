"""How often, how fast, how long known: whatever the batches, the writers, the order of times."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from services.rewards.expressions import check
from services.rewards.handlers.purging import purge
from services.rewards.tables.signals import signals
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, check_books
from tests.rewards.rules.test_forgetting import rows
from tests.rewards.signals.support import EVERY, said, values, watching
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


async def test_counts_go_by_the_community_s_day_week_and_month(make_database: MakeDatabase) -> None:
    # 08:00 in London on a Monday is 16:00 in Shanghai; the day begins at 04:00.
    guild = await make_guild(await make_database("rewards"), zone="Asia/Shanghai", day_start=240)
    await guild.publish(*watching("counts.day", "counts.week", "counts.month", "counts.ever"))
    times = [MORNING, MORNING + 11 * HOUR, MORNING + 12 * HOUR, MORNING + 6 * DAY, MORNING + 7 * DAY, MORNING + 8 * DAY]
    some = [guild.act(at=at) for at in times]
    await guild.score(*some)
    told = await said(guild, *some)
    assert [one["counts.day"] for one in told] == [1, 2, 1, 1, 1, 1]
    assert [one["counts.week"] for one in told] == [1, 2, 3, 4, 1, 2]
    assert [one["counts.month"] for one in told] == [1, 2, 3, 4, 5, 1], "the last is on the first of December"
    assert [one["counts.ever"] for one in told] == [1, 2, 3, 4, 5, 6]


async def test_a_late_event_counts_in_its_own_day_and_other_types_and_people_do_not(guild: Guild) -> None:
    await guild.publish(*watching("counts.day"), rule("vote", "poll.voted"))
    await guild.score(guild.act(), guild.act("poll.voted"), guild.act(by="bob"))
    late, today = guild.act(at=MORNING - DAY, late=DAY), guild.act()
    await guild.score(late, today)
    assert await values(guild, "counts.day", late, today) == [1, 2]


async def test_a_week_that_lies_in_two_months_is_one(guild: Guild) -> None:
    await guild.publish(*watching("counts.week", "counts.month"))
    some = [guild.act(at=MORNING + (7 + n) * DAY) for n in range(4)]
    await guild.score(*some[:2])
    await guild.score(*some[2:])
    assert await values(guild, "counts.week", *some) == [1, 2, 3, 4]
    assert await values(guild, "counts.month", *some) == [1, 1, 2, 3]


async def test_what_comes_again_does_not_count_again(guild: Guild) -> None:
    await guild.publish(*watching("counts.ever", "signals.hour"), rule("never", when="counts.day > 100"))
    one, two = guild.act(), guild.act()
    await guild.score(one, one)
    await guild.score(one)
    await guild.score(two)
    assert await values(guild, "counts.ever", one, two) == [1, 2]
    assert await values(guild, "signals.hour", two) == [2]


async def test_the_fullest_minute_and_hour_around_it_count_whatever_arrived_first(guild: Guild) -> None:
    await guild.publish(*watching("signals.minute", "signals.hour"), rule("vote", "poll.voted"))
    await guild.score(*[guild.act(at=MORNING + n * 20 * SECOND) for n in range(3)], guild.act("poll.voted"))
    between, edge, far = (guild.act(at=MORNING + n * SECOND) for n in (30, 60, 3600))
    await guild.score(between)
    await guild.score(edge, far)
    assert await values(guild, "signals.minute", between, edge, far) == [5, 4, 1]
    assert await values(guild, "signals.hour", between, edge, far) == [5, 6, 5]
    midnight = [guild.act(at=MORNING + 16 * HOUR + n * SECOND) for n in (-20, 20)]
    await guild.score(*midnight)
    assert await values(guild, "signals.minute", *midnight) == [1, 2]


@pytest.mark.parametrize("cuts", [[3], [1, 2], [2, 1], [1, 1, 1]])
async def test_who_came_late_into_another_group_is_known_as_long_wherever_batches_end(
    guild: Guild, cuts: list[int]
) -> None:
    await guild.publish(*watching("actor.age_days"))
    some = [
        guild.act(at=MORNING + 2 * DAY, group="qq:1"),
        guild.act(at=MORNING, group="qq:2", late=timedelta(hours=40)),
        guild.act(at=MORNING + 3 * DAY, group="qq:1"),
    ]
    left = [*some]
    for many in cuts:
        await guild.score(*left[:many])
        del left[:many]
    assert await values(guild, "actor.age_days", *some) == [0, 0, 3]


async def test_a_member_is_as_old_as_the_first_that_was_known_of_it(guild: Guild) -> None:
    """Joining counts, whether or not a rule listens to it; so does what came before any rule asked."""
    await guild.score(guild.act("member.joined", "ann"), guild.act("chat.opened", "bob", MORNING + DAY))
    await guild.publish(*watching("actor.age_days"))
    some = [guild.act(by=name, at=MORNING + 3 * DAY) for name in ("ann", "bob", "cy")]
    await guild.score(*some, last := guild.act(by="cy", at=MORNING + 4 * DAY))
    assert await values(guild, "actor.age_days", *some, last) == [3, 2, 0, 1]


async def test_history_that_comes_later_makes_older_and_a_late_message_does_not(guild: Guild) -> None:
    await guild.publish(*watching("actor.age_days"))
    await guild.score(guild.act())
    late, now = guild.act(at=MORNING - DAY, late=DAY), guild.act(at=MORNING + DAY)
    await guild.score(late, now)
    assert await values(guild, "actor.age_days", late, now) == [0, 1]
    await guild.score(guild.act(at=MORNING - 300 * DAY, import_name="log"), then := guild.act(at=MORNING + DAY))
    await guild.score(after := guild.act(at=MORNING + DAY))
    assert await values(guild, "actor.age_days", then, after) == [301, 301]


async def test_people_who_become_known_at_once_wait_in_no_circle(guild: Guild) -> None:
    """Labels are taken in one order, whether history or news tells of them."""
    dice, names = random.Random(9), [f"m{n}" for n in range(10)]
    batches = []
    for n in range(16):
        some = dice.sample(names, 6)
        old = [guild.act(by=name, at=MORNING - (n + 1) * DAY, import_name="log") for name in some[:3]]
        batches.append([*(guild.act(by=name) for name in some[3:]), *old])
    await asyncio.wait_for(asyncio.gather(*(guild.score(*batch) for batch in batches)), 60)
    await guild.publish(*watching("actor.age_days"))
    days = {name: max(n + 1 for n, b in enumerate(batches) if any(a.actor == f"qq:{name}" and a.import_name for a in b))
            for name in names}  # fmt: skip
    last = [guild.act(by=name) for name in names]
    await guild.score(*last)
    assert await values(guild, "actor.age_days", *last) == [days[name] for name in names]


async def test_an_identity_that_is_linked_is_the_member_from_then_on_and_as_old_as_it_was(guild: Guild) -> None:
    await guild.publish(*watching("counts.ever", "actor.age_days"))
    await guild.score(guild.act(by="ann2", at=MORNING - 9 * DAY, import_name="log"), guild.act(by="ann"))
    await guild.link("ann2", to="ann")
    one, two = guild.act(by="ann2"), guild.act(by="ann")
    await guild.score(one, two)
    assert await values(guild, "counts.ever", one, two) == [2, 3]
    assert await values(guild, "actor.age_days", one) == [9]


async def test_communities_know_nothing_of_each_other(guild: Guild) -> None:
    there = await make_guild(guild.db)
    for one in (guild, there):
        await one.publish(*watching(*EVERY))
    like = {"similarity": "d0ab0d4253749da4"}
    for place in (guild, there):
        await place.score(*[place.act(by=name, of="zoe", data=like) for name in ("ann", "bob")])
        last = place.act(by="ann", of="zoe", data=like)
        await place.score(last)
        ((told),) = await said(place, last)
        assert told == {
            **dict.fromkeys(("actor.age_days", "signals.mutual", "signals.ring"), 0),
            **dict.fromkeys(("signals.received", "signals.received_days"), 0),
            "actor.active_days": 1,
            **dict.fromkeys(("counts.day", "counts.week", "counts.month", "counts.ever"), 2),
            **dict.fromkeys(("signals.minute", "signals.hour"), 2),
            "signals.share": 100,
            "signals.similar": 1,
            "signals.copied": 1,
        }


async def test_fifty_writers_count_each_other(guild: Guild) -> None:
    await guild.publish(*watching(*EVERY))
    some = [guild.act(of="bob", data={"similarity": "d0ab0d4253749da4"}) for _ in range(50)]
    await asyncio.gather(*(guild.score(one) for one in some))
    told = await said(guild, *some)
    for name in ("counts.day", "counts.ever", "signals.minute", "signals.hour"):
        assert sorted(one[name] for one in told) == list(range(1, 51)), name
    assert sorted(one["signals.similar"] for one in told) == list(range(50))
    await check_books(guild.db)


async def test_who_likes_each_other_at_once_waits_in_no_circle_and_one_of_them_sees_the_other(guild: Guild) -> None:
    await guild.publish(*watching("signals.mutual", "signals.ring", "signals.copied", on=["reaction.added"]))
    names = ("ann", "bob", "cy", "dan")
    some = [guild.act("reaction.added", a, of=b) for a in names for b in names if a != b for _ in range(4)]
    batches = [some[n::8] for n in range(8)]
    await asyncio.wait_for(asyncio.gather(*(guild.score(*batch) for batch in batches)), 60)
    told = await values(guild, "signals.mutual", *some)
    # Of every two who gave each other four, what each saw of the other depends on the order alone: it sums to 16.
    assert sum(told) == 6 * 16


async def test_nothing_is_asked_or_written_for_who_names_no_signal(guild: Guild) -> None:
    await guild.publish(rule(when="event.data.counts != 'signals'", review_when="text.length > 9000"))
    await guild.score(guild.act())
    with Statements(guild.db) as statements:
        await guild.score(guild.act())
    asked = [text for text in statements.texts if "signals" in text or "member_labels" in text]
    assert (asked, await rows(guild, signals)) == ([], 0)


async def test_what_signals_cost_does_not_grow_with_the_batch(guild: Guild) -> None:
    await guild.publish(*watching(*EVERY))
    like, counted = {"similarity": "d0ab0d4253749da4"}, []
    for size in (2, 40):
        names = [f"s{size}-{n}" for n in range(size)]
        await guild.score(*[guild.act(by=name) for name in names])
        with Statements(guild.db) as statements:
            await guild.score(*[guild.act(by=name, of="bob", data=like) for name in names])
        counted.append(len([text for text in statements.texts if "signals" in text or "member_labels" in text]))
    # Ages; rows that are held, made before that on PostgreSQL; what is written.
    assert counted == ([4, 4] if guild.db.dialect == "postgresql" else [3, 3])


async def test_what_no_window_needs_is_forgotten(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(*watching(*(name for name in EVERY if name != "counts.ever")))
    await guild.score(guild.act(of="bob", data={"similarity": "d0ab0d4253749da4"}))

    async def written() -> int:
        async with guild.db.read() as tx:
            return int(await tx.scalar(select(func.count()).select_from(signals).where(signals.c.body != b"")))

    assert await written() == 9

    async def after(days: int) -> int:
        clock.advance(days * DAY)
        keep = timedelta(days=30)
        await purge(guild.db, counters=keep, decisions=400 * DAY, activities=400 * DAY, stopping=asyncio.Event())
        return await written()

    # A day and an hour, 48 hours late, 30 days of grace; a week of texts, 28 days, the month, five weeks of ties.
    assert [await after(n) for n in (33, 1, 6, 23, 10, 2)] == [9, 8, 6, 4, 3, 0]
    assert await rows(guild, signals) == 0


def test_badges_and_check_ins_cannot_ask_for_what_is_known_later() -> None:
    wrong = check("signals.ring > 3", "bool", of_rule=False)
    assert wrong is not None
    assert "there is no signals.ring" in wrong.message
    assert check("signals.ring > 3 && actor.age_days < 3 && text.distinct > 4", "bool") is None
