"""A badge that was defined afterwards and backfilled is what it would be had it been there from the beginning."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.events import Activity
from services.rewards.handlers.backfills import counting
from tests.rewards.badges.backfilling import ask, everything, found, work
from tests.rewards.badges.support import badge, bare, define, expire, minutes
from tests.rewards.guild import MORNING, Guild
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

PEOPLE = [f"p{n}" for n in range(5)]
DAY = timedelta(days=1)


def criteria(dice: random.Random) -> dict[str, Any]:
    """What the badge is for, and what becomes of it."""
    kind = dice.choice(["permanent", "auto_revoke", "expiring"])
    more: dict[str, Any] = {"expires_after_days": dice.randint(1, 3)} if kind == "expiring" else {}
    if dice.random() < 0.3:
        more["when"] = "event.data.length > 5 && actor.state != 'banned'"
    return {
        "kind": kind,
        "on": dice.choice([("message.created",), ("reaction.added",), ("message.created", "reaction.added")]),
        "whose": dice.choice(["actor", "subject_author"]),
        "count": dice.choice(["events", "days", "people"]),
        "least": dice.randint(1, 4),
        **more,
    }


def happening(guild: Guild, dice: random.Random, number: int) -> Activity:
    """Something that counts or undoes, some of it late, some of it told of as history."""
    by, of, subject = dice.choice(PEOPLE), dice.choice(PEOPLE), f"m{dice.randrange(25)}"
    type = dice.choice(["message.created"] * 4 + ["reaction.added"] * 4 + ["message.deleted", "reaction.removed"] * 2)
    at = MORNING - 8 * DAY + minutes(60 * number - dice.choice([0, 0, 0, 0, 90, 2000]))
    more = {"import_name": "qq"} if dice.random() < 0.1 else {}
    flags = ("throttled",) if dice.random() < 0.05 else ()
    data = {"length": dice.randint(1, 20), "kind": dice.choice("ab")}
    return guild.act(type, by, at, subject=subject, of=of, data=data, flags=flags, **more)


async def handle(guild: Guild, clock: ManualClock, dice: random.Random, some: list[Activity]) -> None:
    """In batches cut anywhere, with time going by, and some of it told twice."""
    told: list[Activity] = []
    while some:
        size = dice.choice([1, 1, 2, 3, 7])
        batch, some = some[:size], some[size:]
        if told and dice.random() < 0.3:
            batch = [*batch, replace(dice.choice(told), replay_id="again" if dice.random() < 0.5 else None)]
        told += batch
        await guild.score(*{a.event_id: a for a in batch}.values())
        clock.advance(timedelta(hours=dice.choice([1, 1, 5])))
        if dice.random() < 0.2:
            await expire(guild)


async def compare(make_database: MakeDatabase, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(counting, "STEP", dice.choice([1, 4, 200]))
    monkeypatch.setattr(counting, "INDEX", dice.choice([1, 9, 2000]))
    monkeypatch.setattr(counting, "ROWS", dice.choice([1, 3, 100]))
    terms = criteria(dice)
    guild = await bare(await make_database("rewards"), badge("live", **terms))
    clock.advance(-8 * DAY)
    await guild.know("p4", state=dice.choice(["active", "banned", "active"]))
    acts = [happening(guild, dice, number) for number in range(90)]
    await handle(guild, clock, dice, acts[:40])
    await guild.know("p3", state="banned", version=9)
    await handle(guild, clock, dice, acts[40:60])
    await define(guild, badge("later", **terms))
    await ask(guild)
    await meanwhile(guild, clock, dice, acts[60:75])
    await work(guild)
    row = await found(guild)
    assert (row.state, row.error, row.indexed) == ("done", None, None)
    await expire(guild)
    assert await everything(guild, "later") == await everything(guild, "live"), terms
    # From then on it counts by itself.
    await handle(guild, clock, dice, acts[75:])
    await expire(guild)
    assert await everything(guild, "later") == await everything(guild, "live"), terms


async def meanwhile(guild: Guild, clock: ManualClock, dice: random.Random, some: list[Activity]) -> None:
    """Comes while the backfill runs."""
    for one in some:
        await work(guild, steps=dice.randint(0, 4))
        await handle(guild, clock, dice, [one])


@pytest.mark.parametrize(
    ("engine", "seed"), [*[("sqlite", n) for n in range(24)], *[("postgresql", n) for n in range(24, 28)]]
)
async def test_a_badge_defined_afterwards_is_what_one_from_the_beginning_is(
    make_database: MakeDatabase, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await compare(make_database, clock, seed, monkeypatch)
