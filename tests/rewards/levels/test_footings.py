"""What earning goes by: the level somebody had when the day began, seen by rules and multiplying what they give."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from kit.contracts.events import Activity
from kit.database import Database
from kit.errors import Unprocessable
from services.rewards.domain.amounts import multiplied
from services.rewards.domain.levels import Perks
from services.rewards.tables.levels import openings
from services.rewards.tables.rules import decisions
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, check_books, member_changed
from tests.rewards.levels.support import by_hand, pays, with_perks
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await with_perks(await make_guild(db))


async def ann_has(guild: Guild, amount: int, unit: str = "xp") -> None:
    await guild.know("ann")
    await by_hand(guild, guild.member("ann"), amount, unit)


async def told(guild: Guild, *some: Activity) -> list[tuple[str, int, str]]:
    """(rule, wanted, reason) of each of these, in order."""
    async with guild.db.read() as tx:
        rows = await tx.all(select(decisions).where(decisions.c.event_id.in_([a.event_id for a in some])))
    order = [a.event_id for a in some]
    rows = sorted(rows, key=lambda r: (order.index(r.event_id), r.rule_id, r.unit))
    return [(r.rule_id, r.wanted, r.reason) for r in rows]


async def amounts(guild: Guild, *some: Activity) -> list[int]:
    return [wanted for _, wanted, _ in await told(guild, *some)]


# When a level counts


async def test_a_level_that_is_reached_today_counts_from_tomorrow(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(pays(), rule("look", "answer.posted", when="actor.level == 2"))
    await ann_has(guild, 60)
    today, asked = guild.act(), guild.act("answer.posted")
    await guild.score(today, asked)
    assert (await amounts(guild, today), await guild.verdicts(asked)) == ([5], [])
    clock.advance(DAY)
    tomorrow, asked = guild.act(), guild.act("answer.posted")
    await guild.score(tomorrow, asked)
    assert await told(guild, tomorrow) == [("talk", 7, "5 × 1.5 (level 2)")]
    assert await guild.verdicts(asked) == [("look", "granted", 1)]


async def test_the_day_is_the_communitys(db: Database, clock: ManualClock) -> None:
    """09:00 in London is 17:00 in Shanghai, where the day begins at four."""
    guild = await with_perks(await make_guild(db, zone="Asia/Shanghai", day_start=240))
    await guild.publish(pays())
    await ann_has(guild, 60)
    clock.advance(timedelta(hours=10, minutes=59))
    before = guild.act()
    await guild.score(before)
    clock.advance(timedelta(minutes=1))
    after = guild.act()
    await guild.score(after)
    assert await amounts(guild, before, after) == [5, 7]


async def test_a_level_is_that_of_handling_for_what_comes_late_and_for_history(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(pays())
    await ann_has(guild, 60)
    clock.advance(DAY)
    late, old = guild.act(late=DAY), guild.act(at=MORNING - 300 * DAY, import_name="log")
    await guild.score(late, old)
    assert await amounts(guild, late, old) == [7, 7]


async def test_what_is_taken_back_today_counts_from_tomorrow_too(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(pays(), rule("write", "file.uploaded", amount=60))
    await guild.score(guild.act("file.uploaded", subject="f1"))
    clock.advance(DAY)
    first, gone, second = guild.act(), guild.act("message.deleted", by="mod", subject="f1"), guild.act()
    await guild.score(first)
    await guild.score(gone)
    await guild.score(second)
    assert await guild.has("ann") == 0
    clock.advance(DAY)
    third = guild.act()
    await guild.score(third)
    assert await amounts(guild, first, second, third) == [7, 7, 5]


async def test_on_the_day_on_which_rules_first_ask_it_is_the_level_of_then(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(rule(amount=60))
    await guild.score(guild.act(), guild.act(by="bob"))
    await guild.publish(pays(), rule("more", "file.uploaded", amount=100))
    first = guild.act()
    await guild.score(first, guild.act("file.uploaded"))
    second = guild.act()
    await guild.score(second)
    assert await amounts(guild, first, second) == [7, 7]


async def test_levels_may_follow_another_unit_and_have_other_multipliers_from_now_on(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(pays())
    await ann_has(guild, 60)
    await ann_has(guild, 100, "contribution")
    clock.advance(DAY)
    some = [guild.act() for _ in range(3)]
    await guild.score(some[0])
    await with_perks(guild, {1: Perks(multiplier=20_000)})
    await guild.score(some[1])
    await with_perks(guild, {3: Perks(multiplier=30_000)}, "contribution")
    await guild.score(some[2])
    assert await amounts(guild, *some) == [7, 10, 15]


async def test_an_identity_that_is_linked_earns_by_the_members_level(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(pays())
    await ann_has(guild, 60)
    clock.advance(DAY)
    alone = guild.act(by="ann2")
    await guild.score(alone)
    await guild.link("ann2", to="ann")
    linked = guild.act(by="ann2")
    await guild.score(linked)
    assert await amounts(guild, alone, linked) == [5, 7]


# What is multiplied


async def test_it_is_the_receivers_level_that_multiplies(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(
        pays("liked", "reaction.added", "subject_author"),
        pays("brought", "member.joined", "inviter"),
        {**pays("plain", "file.uploaded"), "give": [{"to": "actor", "unit": "points", "amount": 5}]},
    )
    await ann_has(guild, 60)
    clock.advance(DAY)
    invited = {"invited_by": "qq:ann"}
    some = [
        guild.act("reaction.added", by="bob", of="ann"),
        guild.act("reaction.added", by="ann", of="bob"),
        guild.act("member.joined", by="cy", data=invited),
        guild.act("file.uploaded"),
    ]
    await guild.score(*some)
    assert await amounts(guild, *some) == [7, 5, 7, 5]


async def test_drawn_and_computed_amounts_are_multiplied_and_what_is_taken_is_not(
    guild: Guild, clock: ManualClock
) -> None:
    drawn = {"min": 3, "max": 3, "effort": {"amount": 3}}
    await guild.publish(
        pays("drawn", "file.uploaded", random=drawn),
        pays("minus", "order.refunded", cel="0 - 5"),
        pays("none", "question.asked", cel="0"),
        pays("enormous", "answer.posted", cel=str(2**62 - 1)),
    )
    await ann_has(guild, 60)
    clock.advance(DAY)
    some = [guild.act(on) for on in ("file.uploaded", "order.refunded", "question.asked", "answer.posted")]
    await guild.score(*some)
    assert await told(guild, *some) == [
        ("drawn", 4, "40 % effort (3), 60 % chance (3); 3 × 1.5 (level 2)"),
        ("minus", -5, "computed for actor"),
        ("none", 0, "the amount is 0; computed for actor"),
        ("enormous", 0, "the amount is too large"),
    ]
    assert (await guild.verdicts(some[3]))[0][1] == "error"


@given(amount=st.integers(1, 2**62), basis_points=st.integers(1, 1_000_000))
def test_an_amount_is_rounded_down_and_never_comes_to_nothing(amount: int, basis_points: int) -> None:
    found = multiplied(amount, basis_points)
    assert found == 1 or found * 10_000 <= amount * basis_points < (found + 1) * 10_000
    assert found >= 1
    assert multiplied(-amount, basis_points) == -amount
    assert multiplied(amount, 10_000) == amount


async def test_a_limit_cuts_what_was_multiplied(guild: Guild, clock: ManualClock) -> None:
    await guild.publish({**pays(), "caps": [{"per": "day", "limit": 10}]})
    await ann_has(guild, 60)
    clock.advance(DAY)
    some = [guild.act() for _ in range(3)]
    await guild.score(*some)
    assert [(await guild.verdicts(a))[0] for a in some] == [
        ("talk", "granted", 7),
        ("talk", "capped", 3),
        ("talk", "capped", 0),
    ]
    assert (await told(guild, some[1]))[0][2] == "limit 10, amount per day and member; 5 × 1.5 (level 2)"


async def test_a_group_and_a_fine_are_not_multiplied_and_rules_that_say_so_are_refused(guild: Guild) -> None:
    with pytest.raises(Unprocessable) as refused:
        await guild.publish(pays(to="group"), pays("fine", amount=-5))
    assert [(e.pointer, e.code) for e in refused.value.errors] == [
        ("/rules/0/give/0/multiplied", "multiplied_invalid"),
        ("/rules/1/give/0/multiplied", "multiplied_invalid"),
    ]


# Batches, replicas, communities


PEOPLE = ("ann", "bob", "cy")
PAYING = (
    {
        "id": "talk",
        "on": ["message.created"],
        "give": [
            {"to": "actor", "unit": "xp", "amount": 25, "multiplied": True},
            {"to": "actor", "unit": "points", "cel": "1 + actor.level"},
        ],
        "caps": [{"per": "day", "limit": 2, "of": "grants", "refill": True}],
    },
    {
        "id": "liked",
        "on": ["reaction.added"],
        "give": [{"to": "subject_author", "unit": "xp", "cel": "10 * actor.level", "multiplied": True}],
    },
)


def some_days(guild: Guild, seed: int) -> list[tuple[str, int, list[Activity]]]:
    """For each day what a person is given by hand before it (0: nothing), and what happens; some late, some undone."""
    dice, out = random.Random(seed), []
    for day in range(3):
        acts = []
        for number in range(dice.randrange(1, 9)):
            by, of = dice.sample(PEOPLE, 2)
            at = MORNING + timedelta(days=day, minutes=number) - dice.choice((0, 0, 1)) * DAY
            subject = f"{of}/{dice.randrange(3)}"
            kind = dice.choice(("message.created", "message.created", "reaction.added", "message.deleted"))
            acts.append(guild.act(kind, of if kind == "message.created" else by, at, of=of, subject=subject))
        out.append((dice.choice(PEOPLE), dice.choice((-40, 0, 30, 60)), acts))
    return out


@settings(max_examples=12, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(data=st.data(), seed=st.integers(0, 2**32))
async def test_levels_do_not_depend_on_how_a_days_activities_are_cut_into_batches(
    db: Database, clock: ManualClock, data: st.DataObject, seed: int
) -> None:
    one, other = await with_perks(await make_guild(db)), await with_perks(await make_guild(db))
    for place in (one, other):
        await place.publish(*PAYING)
        # The same people in both.
        await place.hear(*[member_changed(place.id, one.member(name), name) for name in PEOPLE])
    whole: list[Activity] = []
    theirs: list[Activity] = []
    for name, amount, acts in some_days(one, seed):
        for place in (one, other) if amount else ():
            await by_hand(place, one.member(name), amount)
        await one.score(*acts)
        same = [replace(a, community_id=other.id, event_id=UUID(int=a.event_id.int ^ 1)) for a in acts]
        cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(acts) - 1)), max_size=6)))
        for start, end in zip([0, *cuts], [*cuts, len(acts)], strict=True):
            if start < end:
                await other.score(*same[start:end])
        whole, theirs = whole + acts, theirs + same
        clock.advance(DAY)
    # What is undone in the batch in which it comes is told otherwise, and comes to the same.
    acts = [a for a in whole if a.type != "message.deleted"]
    others = [a for a in theirs if a.type != "message.deleted"]
    assert await amounts(one, *acts) == await amounts(other, *others)
    for name, unit in product(PEOPLE, ("xp", "points")):
        member = one.member(name)
        assert await one.balance(member, unit) == await other.balance(member, unit)


async def test_many_writers_at_once_go_by_one_level(guild: Guild, clock: ManualClock) -> None:
    """Whoever comes first, and whatever was posted when they looked."""
    xp = {"to": "actor", "unit": "xp", "amount": 60, "multiplied": True}
    await guild.publish({**pays(), "give": [pays()["give"][0], xp]})
    await guild.score(guild.act())
    clock.advance(DAY)
    some = [guild.act() for _ in range(20)]
    await asyncio.gather(*(guild.score(a) for a in some))
    assert set(await amounts(guild, *some)) == {7, 90}
    assert await guild.has("ann") == 60 + 20 * 90
    await check_books(guild.db)
    clock.advance(DAY)
    last = guild.act()
    await guild.score(last)
    assert await amounts(guild, last) == [12, 150]


async def test_communities_go_by_their_own_levels_and_nothing_is_kept_for_rules_that_do_not_ask(
    db: Database, guild: Guild, clock: ManualClock
) -> None:
    other, quiet = await make_guild(db), await with_perks(await make_guild(db))
    for place in (guild, other):
        await place.publish(pays(), rule("write", "file.uploaded", amount=60))
    await quiet.publish(rule(amount=60))
    one_of_each = [place.act("file.uploaded") for place in (guild, other)]
    await guild.score(*one_of_each, quiet.act())
    clock.advance(DAY)
    mine, others = guild.act(), other.act()
    await guild.score(mine, others)
    assert await told(guild, mine, others) == [("talk", 7, "5 × 1.5 (level 2)"), ("talk", 5, "")]
    async with db.read() as tx:
        assert {r.community_id for r in await tx.all(select(openings))} == {guild.id, other.id}
    with Statements(db) as statements:
        await guild.score(quiet.act())
    assert [text for text in statements.texts if "openings" in text] == []


async def test_a_batch_costs_the_same_statements_whatever_its_size(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(pays(unit="xp"))
    counts = []
    for size in (1, 40):
        # Twice of each: the first time it is noted besides in which group people are.
        for _ in range(2):
            clock.advance(DAY)
            acts = [guild.act(by=f"m{n}", at=clock()) for n in range(size)]
            with Statements(guild.db) as statements:
                await guild.score(*acts)
        counts.append(len(statements.texts))
    assert counts[0] == counts[1]
