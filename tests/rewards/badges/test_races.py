"""Badges and many writers at once: granted once, never both granted and undone, and nobody waits in a circle."""

import asyncio
import random
from datetime import timedelta

import pytest

from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from tests.rewards.badges.support import badge, bare, define, expire, grants, held, standing
from tests.rewards.guild import MORNING, rule
from tests.rewards.ledger.support import announced
from tests.rewards.rules.test_concurrency import consume
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


async def test_thirty_writers_of_the_last_event_grant_once(make_database: MakeDatabase) -> None:
    guild = await bare(await make_database("rewards"), badge(least=10))
    some = [guild.act() for _ in range(30)]
    await asyncio.gather(*(consume(guild, one) for one in (*some, *some)))
    assert len(await grants(guild)) == 1
    assert len(await announced(guild.db, BadgeGranted)) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_an_event_and_what_undoes_it_at_the_same_moment_come_to_nothing(
    make_database: MakeDatabase, seed: int
) -> None:
    guild = await bare(await make_database("rewards"), badge(kind="auto_revoke", least=5))
    await guild.publish(rule(on="page.read"))
    stays = [guild.act(subject=f"s{n}") for n in range(4)]
    goes = [guild.act(subject=f"g{n}") for n in range(12)]
    away = [guild.act("message.deleted", "mod", subject=f"g{n}") for n in range(12)]
    told = [*stays, *goes, *away]
    random.Random(seed).shuffle(told)
    await asyncio.gather(*(consume(guild, one) for one in told))
    assert (await standing(guild)).progress == 4
    assert await held(guild) is None
    got, lost = await announced(guild.db, BadgeGranted), await announced(guild.db, BadgeRevoked)
    assert [e.number for e in got] == [e.number for e in lost]


async def test_writers_with_many_members_and_badges_in_any_order_end(make_database: MakeDatabase) -> None:
    some = [badge(f"b{n}", kind="auto_revoke", least=4, count=c) for n, c in enumerate(("events", "days", "people"))]
    guild = await bare(await make_database("rewards"), *some, badge("rich", what="balance", unit="xp", least=30))
    await guild.publish(rule(amount=1))
    dice = random.Random(5)
    people = [f"p{n}" for n in range(8)]
    batches = []
    for number in range(24):
        acts = [
            guild.act(by=by, of=dice.choice(people), subject=f"m{number}/{n}", at=MORNING - timedelta(days=n))
            for n, by in enumerate(dice.sample(people, 6))
        ]
        gone = [guild.act("message.deleted", subject=f"m{dice.randrange(24)}/{dice.randrange(6)}") for _ in range(3)]
        batches.append([*acts, *gone])
    await asyncio.gather(*(consume(guild, *batch) for batch in batches))
    for one in some:
        numbers = [(m, n) for m, n in [(e.member_id, e.number) for e in await announced(guild.db, BadgeGranted)
                                       if e.badge_id == one.id]]  # fmt: skip
        assert len(numbers) == len(set(numbers))


async def test_two_loops_end_a_badge_once(make_database: MakeDatabase, clock: ManualClock) -> None:
    guild = await bare(await make_database("rewards"))
    await define(guild, badge(kind="expiring", expires_after_days=1, least=1))
    await guild.score(*[guild.act(by=f"p{n}") for n in range(40)])
    clock.advance(timedelta(days=2))
    ended = await asyncio.gather(*(expire(guild) for _ in range(5)))
    assert sum(ended) == 40
    assert len(await announced(guild.db, BadgeRevoked)) == 40
