"""The same activities, cut into batches in any way: the same signals."""

import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kit.contracts.events import Activity
from kit.database import Database
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.signals.support import EVERY, said, watching
from tests.support.databases import MakeDatabase

ON = ("message.created", "reaction.added")
HASHES = ("d0ab0d4253749da4", "d0ab0d4253749da5", "2f54f2bdac8b625b")


def some_acts(guild: Guild, seed: int, length: int) -> list[Activity]:
    """Of four people, late now and then, some told twice, some history."""
    dice, out = random.Random(seed), list[Activity]()
    for _ in range(length):
        by, of = dice.sample(("ann", "bob", "cy", "dan"), 2)
        at = MORNING + timedelta(seconds=dice.choice((dice.randrange(300), dice.randrange(20 * 86400))))
        data = {"similarity": dice.choice(HASHES)} if dice.random() < 0.7 else {}
        imported = {"import_name": "log"} if dice.random() < 0.1 else {}
        out.append(guild.act(dice.choice(ON), by, at, of=of, data=data, **imported))
        if dice.random() < 0.1:
            out.append(dice.choice(out))
    return out


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@settings(max_examples=12, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(data=st.data(), seed=st.integers(0, 2**32))
async def test_signals_do_not_depend_on_how_activities_are_cut_into_batches(
    db: Database, data: st.DataObject, seed: int
) -> None:
    one, other = await make_guild(db), await make_guild(db)
    acts = some_acts(one, seed, 24)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(acts) - 1), max_size=8)))
    for place in (one, other):
        await place.publish(*watching(*EVERY, on=ON))
    await one.score(*acts)
    # Decisions are by the event's id alone, which no two communities share.
    theirs = [replace(a, community_id=other.id, event_id=UUID(int=a.event_id.int ^ 1)) for a in acts]
    for start, end in zip([0, *cuts], [*cuts, len(acts)], strict=True):
        await other.score(*theirs[start:end])
    assert await said(one, *acts) == await said(other, *theirs)
