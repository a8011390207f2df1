"""What events count towards a badge: once each, in any order, and not what was undone."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts import activity_event_id
from kit.contracts.events import Activity
from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from services.rewards.domain.badges import SPARE
from services.rewards.handlers import earning
from tests.rewards.badges.support import badge, bare, grants, held, marks, minutes, standing
from tests.rewards.guild import MORNING, Guild, envelope
from tests.rewards.ledger.support import Statements, announced
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await bare(await make_database("rewards"), badge())


async def test_a_badge_is_granted_at_the_time_of_the_event_that_reached_it_and_told_of_once(guild: Guild) -> None:
    acts = [guild.act(at=MORNING + minutes(n)) for n in range(5)]
    await guild.score(*acts[:2])
    assert (await standing(guild)).progress == 2
    await guild.score(*acts[2:])
    assert await held(guild) == MORNING + minutes(2)
    await guild.score(*acts, guild.act())
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.badge_id, told.badge_name, told.number, told.granted_at) == ("ten", "Ten", 1, MORNING + minutes(2))
    assert (told.cause_id, told.notify, told.history, told.expires_at) == (acts[2].event_id, True, False, None)
    assert told.member_id == guild.member("ann")


async def test_a_badge_that_is_held_for_good_keeps_nothing_that_was_counted(guild: Guild) -> None:
    await guild.score(*[guild.act() for _ in range(2)], guild.act(by="bob"))
    assert await marks(guild) == 3
    await guild.score(guild.act())
    assert await marks(guild) == 1
    await guild.score(*[guild.act() for _ in range(9)])
    assert await marks(guild) == 1


async def test_an_event_that_comes_twice_counts_once(guild: Guild) -> None:
    one, other = guild.act(), guild.act()
    await guild.score(one)
    await guild.score(one, other)
    await guild.score(other)
    assert (await standing(guild)).progress == 2


async def test_only_what_the_condition_and_the_types_say_counts(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(when="event.data.length > 10", least=2))
    await guild.score(
        guild.act(data={"length": 50}), guild.act(data={"length": 5}), guild.act(data={}), guild.act("page.read")
    )
    assert (await standing(guild)).progress == 1


async def test_what_bots_do_is_too_much_or_comes_from_who_was_put_out_counts_nothing(guild: Guild) -> None:
    await guild.know("eve", state="banned")
    await guild.score(
        guild.act(data={"bot": True}), guild.act(flags=("throttled",)), guild.act(by="eve"), guild.act(by=None)
    )
    assert (await standing(guild)).progress == (await standing(guild, "eve")).progress == 0


async def test_days_are_the_communitys_and_each_counts_once(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(count="days", least=2))
    await guild.score(guild.act(at=MORNING), guild.act(at=MORNING + minutes(30)))
    assert (await standing(guild)).progress == 1
    await guild.score(guild.act(at=MORNING - timedelta(days=3), import_name="qq"))
    assert await held(guild) == MORNING
    assert (await announced(guild.db, BadgeGranted))[0].notify is True


async def test_people_are_counted_once_each_and_never_oneself(make_database: MakeDatabase) -> None:
    liked = badge("liked", on=("reaction.added",), whose="subject_author", count="people", least=2)
    generous = badge("generous", on=("reaction.added",), count="people", least=2)
    guild = await bare(await make_database("rewards"), liked, generous)
    for by, of in (("bob", "ann"), ("bob", "ann"), ("ann", "ann"), ("bob", "cyd")):
        await guild.score(guild.act("reaction.added", by, of=of))
    assert (await standing(guild, "ann", "liked")).progress == 1
    assert await held(guild, "bob", "generous") == MORNING
    assert (await standing(guild, "ann", "generous")).progress == 0
    await guild.score(guild.act("reaction.added", "dan", of="ann"))
    assert await held(guild, "ann", "liked") == MORNING


async def test_what_bots_wrote_makes_them_nobodys_people(make_database: MakeDatabase) -> None:
    generous = badge("generous", on=("reaction.added",), count="people", least=2)
    guild = await bare(await make_database("rewards"), generous)
    await guild.know("helper", kind="bot")
    await guild.score(*[guild.act("reaction.added", "bob", of=of) for of in ("helper", "ann")])
    assert (await standing(guild, "bob", "generous")).progress == 1


async def test_history_grants_as_of_then_and_wakes_nobody(guild: Guild) -> None:
    then = MORNING - timedelta(days=400)
    await guild.score(*[guild.act(at=then + minutes(n), import_name="qq") for n in range(4)])
    assert await held(guild) == then + minutes(2)
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.history, told.notify) == (True, False)


async def test_what_is_undone_is_taken_out_of_the_counting_whichever_comes_first(guild: Guild) -> None:
    one, two, three = (guild.act(subject=f"m{n}") for n in range(3))
    await guild.score(one, two)
    await guild.score(guild.act("message.deleted", subject="m0"), guild.act("message.deleted", subject="m2"))
    await guild.score(three, one)
    assert (await standing(guild)).progress == 1
    await guild.score(guild.act(subject="m4"), guild.act("message.deleted", subject="m4"))
    assert (await standing(guild)).progress == 1
    assert await held(guild) is None


async def test_what_was_granted_for_good_stays_when_its_events_are_undone(guild: Guild) -> None:
    await guild.score(*[guild.act(subject=f"m{n}") for n in range(3)])
    await guild.score(*[guild.act("message.deleted", subject=f"m{n}") for n in range(3)])
    assert await held(guild) == MORNING
    assert await announced(guild.db, BadgeRevoked) == []


async def test_a_badge_that_may_be_lost_is_lost_and_reached_again(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke"))
    await guild.score(*[guild.act(subject=f"m{n}") for n in range(4)])
    await guild.score(guild.act("message.deleted", subject="m0"))
    assert await held(guild) is not None
    gone = guild.act("message.deleted", subject="m1")
    await guild.score(gone)
    assert await held(guild) is None
    await guild.score(gone, guild.act("message.deleted", subject="m1"))
    (lost,) = await announced(guild.db, BadgeRevoked)
    assert (lost.why, lost.number, lost.ended_at, lost.notify) == ("undone", 1, lost.ended_at, True)
    again = guild.act(at=MORNING + minutes(5))
    await guild.score(again)
    assert await grants(guild) == [(1, MORNING, "undone"), (2, MORNING + minutes(5), None)]
    assert [e.number for e in await announced(guild.db, BadgeGranted)] == [1, 2]


async def test_a_day_stands_as_long_as_one_of_its_events_does(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke", count="days", least=1))
    await guild.score(*[guild.act(subject=f"m{n}") for n in range(2)])
    await guild.score(guild.act("message.deleted", subject="m0"))
    assert await held(guild) == MORNING
    await guild.score(guild.act("message.deleted", subject="m1"))
    assert await held(guild) is None


async def test_what_is_noted_beyond_what_a_badge_asks_for_is_bounded(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke", least=1))
    acts = [guild.act(id=f"x{n}") for n in range(SPARE + 100)]
    for start in range(0, len(acts), 400):
        await guild.score(*acts[start : start + 400])
    assert await marks(guild) == (await standing(guild)).progress == SPARE + 1


async def test_what_a_savepoint_took_back_is_not_counted(guild: Guild) -> None:
    bad, good = guild.act(), guild.act()
    async with guild.db.begin() as tx:
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                await earning.score(tx, [envelope(bad, bad.event_id)])
                raise RuntimeError("as a handler fails whose batch is tried again in parts")
        await earning.score(tx, [envelope(good, good.event_id)])
    assert (await standing(guild)).progress == 1
    assert await marks(guild) == 1


async def test_a_disabled_badge_is_neither_granted_nor_counted(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(enabled=False))
    await guild.score(*[guild.act() for _ in range(5)])
    assert (await standing(guild)).progress == await marks(guild) == 0


async def test_badges_of_another_community_see_nothing_of_it(guild: Guild) -> None:
    other = await bare(guild.db, badge())
    await guild.score(*[guild.act() for _ in range(3)], *[other.act() for _ in range(2)])
    assert await held(guild) == MORNING
    assert (await standing(other)).progress == 2
    assert await announced(guild.db, BadgeGranted) != []


async def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(make_database: MakeDatabase) -> None:
    some = [badge(f"b{n}", kind="auto_revoke", least=2, count=c) for n, c in enumerate(("events", "days", "people"))]
    guild = await bare(await make_database("rewards"), *some)
    # Who comes first in a week is looked at besides: here somebody is first for good.
    await guild.give(guild.grant(guild.member("max"), 10_000, MORNING, unit="xp"))
    counts = []
    for size in (5, 200):
        names = [f"s{size}p{n}" for n in range(size)]
        batch = [guild.act(by=by, of="zoe", subject=f"{by}{n}") for by in names for n in range(2)]
        batch += [guild.act("message.deleted", by=by, subject=f"{by}1") for by in names[: size // 2]]
        await guild.score(*batch[:2])
        with Statements(guild.db) as statements:
            await guild.score(*batch)
        counts.append(len(statements.texts))
    assert counts[0] == counts[1]


async def test_a_community_without_badges_that_listen_pays_one_look(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(on=("page.read",)))
    await guild.score(guild.act())
    with Statements(guild.db) as statements:
        await guild.score(*[guild.act(by=f"p{n}") for n in range(50)])
    asked = [text for text in statements.texts if "badge_" in text]
    assert len(asked) == 1, asked


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_of_events_and_of_what_undoes_them_does_not_matter(
    make_database: MakeDatabase, seed: int
) -> None:
    dice = random.Random(seed)
    some = [badge(f"b{n}", kind="auto_revoke", least=3, count=c) for n, c in enumerate(("events", "days", "people"))]
    guild = await bare(await make_database("rewards"), *some)
    people = ["ann", "bob", "cyd"]
    acts = [
        guild.act(by=dice.choice(people), of=dice.choice(people), subject=f"m{n}", at=MORNING - timedelta(hours=9 * n))
        for n in range(30)
    ]
    acts += [guild.act("message.deleted", subject=f"m{n}", at=MORNING) for n in dice.sample(range(30), 12)]
    outcomes = []
    for _ in range(3):
        twin = await bare(guild.db, *some)
        told = [replace(a, community_id=twin.id, **_own(twin, a)) for a in (*acts, *dice.sample(acts, 10))]
        dice.shuffle(told)
        while told:
            size = dice.randint(1, 15)
            await twin.score(*{a.event_id: a for a in told[:size]}.values())
            told = told[size:]
        outcomes.append(
            [(one.progress, one.held) for b in some for name in people if (one := await standing(twin, name, b.id))]
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert {True, False} == {held for _, held in outcomes[0]}


def _own(guild: Guild, a: Activity) -> dict[str, Any]:
    """Who and what it is in another community."""
    return {
        "event_id": activity_event_id(guild.id, a.source, a.id),
        "actor_id": guild.member(a.actor.removeprefix("qq:")) if a.actor else None,
        "author_id": guild.member(a.author.removeprefix("qq:")) if a.author else None,
    }
