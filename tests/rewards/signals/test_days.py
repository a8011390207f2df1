"""On how many of the last 28 days somebody did something, and others did something for them (R17)."""

import random
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kit.contracts.events import Activity
from kit.database import Database
from kit.days import local_day
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.plans.support import Plans, plans_of
from tests.rewards.signals.support import said, values, watching
from tests.support.databases import MakeDatabase

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ACTIVE, RECEIVED = "actor.active_days", "signals.received_days"
BOTH = (ACTIVE, RECEIVED)
PEOPLE = ("ann", "bob", "cy")


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


@pytest.fixture
def plans(guild: Guild, tmp_path_factory: pytest.TempPathFactory) -> Plans:
    return plans_of(guild, tmp_path_factory.mktemp("plans"))


def like(guild: Guild, by: str, of: str, day: int) -> Activity:
    return guild.act("reaction.added", by, at=MORNING + day * DAY, of=of)


async def test_a_day_counts_once_for_28_days_whatever_was_done_that_rules_listen_to(guild: Guild) -> None:
    await guild.publish(*watching(ACTIVE), rule("vote", "poll.voted"))
    await guild.score(
        *[guild.act("poll.voted", at=MORNING + n * HOUR) for n in range(3)],
        guild.act("nobody.listens", at=MORNING + DAY),
        guild.act("poll.voted", by="bob", at=MORNING + DAY),
    )
    some = [guild.act(at=MORNING + n * DAY) for n in (0, 5, 27, 28, 60)]
    await guild.score(*some)
    assert await values(guild, ACTIVE, *some) == [1, 2, 3, 3, 1]


async def test_the_day_is_the_communitys(db: Database) -> None:
    """08:00 in London is 16:00 in Shanghai, where the day begins at four."""
    guild = await make_guild(db, zone="Asia/Shanghai", day_start=240)
    await guild.publish(*watching(ACTIVE))
    some = [guild.act(at=MORNING + 11 * HOUR), guild.act(at=MORNING + 12 * HOUR)]
    await guild.score(guild.act(), *some)
    assert await values(guild, ACTIVE, *some) == [1, 2]


async def test_what_comes_late_counts_on_its_own_day_and_for_what_comes_after_it(guild: Guild) -> None:
    await guild.publish(*watching(ACTIVE))
    some = [guild.act(at=MORNING + 3 * DAY), guild.act(late=3 * DAY), guild.act(at=MORNING + 3 * DAY)]
    await guild.publish(*[{**one, "lateness_hours": 100} for one in watching(ACTIVE)])
    await guild.score(*some)
    assert await values(guild, ACTIVE, *some) == [1, 1, 2]


async def test_days_on_which_one_receives_are_those_of_others_doing(guild: Guild) -> None:
    await guild.publish(*watching(*BOTH), rule("liked", "reaction.added"))
    await guild.score(
        *[like(guild, by, "ann", day) for by, day in (("bob", 0), ("cy", 0), ("bob", 3), ("ann", 4), ("bob", 40))]
    )
    some = [guild.act(at=MORNING + n * DAY) for n in (3, 27, 28, 40)]
    other = guild.act(by="bob", at=MORNING + 40 * DAY)
    await guild.score(*some, other)
    assert await values(guild, RECEIVED, *some, other) == [2, 2, 1, 1, 0]


async def test_a_linked_identity_is_the_member_from_then_on(guild: Guild) -> None:
    await guild.publish(*watching(ACTIVE))
    await guild.score(guild.act(by="ann2"), guild.act(by="ann", at=MORNING + DAY))
    await guild.link("ann2", to="ann")
    last = guild.act(by="ann2", at=MORNING + 2 * DAY)
    await guild.score(last)
    assert await values(guild, ACTIVE, last) == [2]


async def test_who_is_trusted_was_there_often_and_liked_by_several_on_several_days(guild: Guild) -> None:
    """As a forum's third level of trust: of 12 likes a quarter of as many people, a third of as many days."""
    asked = f"{ACTIVE} >= 4 && signals.received >= 12 / 4 && {RECEIVED} >= 12 / 3 && actor.state != 'banned'"
    await guild.publish(rule("trusted", when=asked), rule("liked", "reaction.added"))
    for day in range(4):
        for name, fans in (("ann", ("bob", "cy", "dan")), ("eve", ("bob",)), ("fay", ("bob", "cy", "dan"))):
            likes = [like(guild, fan, name, day) for fan in fans] if name != "fay" or day == 0 else []
            await guild.score(*likes, guild.act(by=name, at=MORNING + day * DAY))
    assert [await guild.has(name) for name in ("ann", "eve", "fay")] == [1, 0, 0]


def some_acts(guild: Guild, seed: int) -> list[Activity]:
    dice, out = random.Random(seed), list[Activity]()
    for _ in range(40):
        by, of = dice.choice(PEOPLE), dice.choice((*PEOPLE, None))
        at = MORNING + timedelta(days=dice.randrange(70), minutes=dice.randrange(1440))
        out.append(guild.act(dice.choice(("message.created", "reaction.added")), by, at, of=of))
        if dice.random() < 0.1:
            out.append(dice.choice(out))
    return out


def plainly(acts: list[Activity]) -> dict[UUID, dict[str, int]]:
    """What is known of each when it comes: days as a list, looked through from its beginning."""
    out: dict[UUID, dict[str, int]] = {}
    known: list[tuple[str, UUID | None, date]] = []
    for a in acts:
        day = local_day(a.effective_at, "UTC", 0)
        known.append((ACTIVE, a.actor_id, day))
        if a.author_id != a.actor_id:
            known.append((RECEIVED, a.author_id, day))
        mine = {name: {d for n, who, d in known if (n, who) == (name, a.actor_id)} for name in BOTH}
        out.setdefault(a.event_id, {name: sum(timedelta() <= day - d < 28 * DAY for d in mine[name]) for name in BOTH})
    return out


@settings(max_examples=12, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(data=st.data(), seed=st.integers(0, 2**32))
async def test_days_are_those_of_a_plain_list_however_activities_are_cut_into_batches(
    db: Database, data: st.DataObject, seed: int
) -> None:
    guild = await make_guild(db)
    await guild.publish(*watching(*BOTH, on=("message.created", "reaction.added")))
    acts = some_acts(guild, seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(acts) - 1), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(acts)], strict=True):
        await guild.score(*acts[start:end])
    plain = plainly(acts)
    assert await said(guild, *acts) == [plain[a.event_id] for a in acts]


async def test_a_recompute_knows_days_from_before_rules_asked(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(), rule("liked", "reaction.added"))
    await guild.score(*[guild.act(at=MORNING + n * DAY) for n in range(3)], like(guild, "bob", "ann", 1))
    await plans.recompute(*watching(*BOTH), rule("liked", "reaction.added"))
    await guild.score(last := guild.act(at=MORNING + 3 * DAY))
    assert await said(guild, last) == [{ACTIVE: 4, RECEIVED: 1}]


async def test_communities_know_nothing_of_each_others_days(guild: Guild) -> None:
    other = await make_guild(guild.db)
    for place in (guild, other):
        await place.publish(*watching(ACTIVE))
    await guild.score(*[guild.act(at=MORNING + n * DAY) for n in range(3)])
    last = replace(guild.act(at=MORNING + 3 * DAY), community_id=other.id)
    await other.score(last)
    assert await values(other, ACTIVE, last) == [1]
