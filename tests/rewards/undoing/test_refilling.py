"""A cap that refills: what is undone gives its place to what stood in line, whenever the inverse event comes (R8)."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from kit.contracts.events import Activity
from kit.contracts.rewards import ActivityScored
from kit.database import Database
from services.rewards.domain.ledger import REFUSE, Unit
from services.rewards.handlers import earning, units
from services.rewards.tables.undoing import waiting_grants
from tests.rewards.guild import Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, check_books
from tests.rewards.undoing.support import LIKED, POST, consume, delete, minute, post, react, unreact
from tests.rewards.undoing.test_sequences import AUTHORS, Step, act, check, parallel, steps_apart
from tests.support.databases import MakeDatabase

ONCE = {"scope": "actor_object", "per": "lifetime", "limit": 1, "of": "grants", "refill": True}
ONCE_LIKED = {**LIKED, "caps": [ONCE]}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(POST, ONCE_LIKED)
    return guild


@pytest.fixture
async def db(guild: Guild) -> Database:
    return guild.db


async def waiting(guild: Guild) -> int:
    async with guild.db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(waiting_grants)))


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [1, 2, 3])
async def test_react_unreact_react_leaves_one_by_the_starter_rules_in_any_order(
    make_database: MakeDatabase, order: Sequence[int], together: int
) -> None:
    guild = await make_guild(await make_database("rewards"))
    acts = [react(guild), unreact(guild, at=minute(1)), react(guild, at=minute(2))]
    arriving = [acts[n] for n in order]
    for start in range(0, 3, together):
        await guild.score(*arriving[start : start + together])
    assert (await guild.has("ann"), await guild.has("ann", "points")) == (2, 2)
    assert await waiting(guild) in (0, 2), "the first one waits no longer, or for ever"
    await check_books(guild.db)


async def test_another_kind_that_was_left_out_takes_the_place_and_its_decision_says_so(guild: Guild) -> None:
    heart, star = react(guild), react(guild, kind="star", at=minute(1))
    await guild.score(heart, star)
    assert await guild.verdicts(star) == [("liked", "capped", 0)]
    assert await waiting(guild) == 1
    await guild.score(unreact(guild, at=minute(2)))
    assert await guild.verdicts(star) == [("liked", "granted", 2)]
    assert (await guild.has("ann"), await waiting(guild)) == (2, 0)
    told = [e for e in await announced(guild.db, ActivityScored) if e.event_id == star.event_id]
    assert [(e.decisions[0].verdict, e.decisions[0].amount) for e in told] == [("capped", 0), ("granted", 2)]
    assert (told[1].event_type, told[1].actor_id) == ("reaction.added", guild.member("bob"))
    await guild.score(unreact(guild, kind="star", at=minute(3)))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_a_place_that_nobody_waits_for_is_there_for_what_comes(guild: Guild) -> None:
    await guild.score(react(guild))
    await guild.score(unreact(guild, at=minute(1)))
    await guild.score(react(guild, kind="star", at=minute(2)))
    await guild.score(react(guild, kind="moon", at=minute(3)))
    assert await guild.has("ann") == 2


async def test_who_waited_and_was_undone_does_not_take_the_place(guild: Guild) -> None:
    await guild.score(react(guild), react(guild, kind="star"), react(guild, kind="moon", at=minute(1)))
    await guild.score(unreact(guild, kind="star", at=minute(2)))
    await guild.score(unreact(guild, at=minute(3)))
    assert (await guild.has("ann"), await waiting(guild)) == (2, 0)
    await guild.score(delete(guild, at=minute(4)))
    assert await guild.has("ann") == 0


async def test_a_cap_that_does_not_refill_still_holds_for_who_waited(guild: Guild) -> None:
    await guild.publish({**LIKED, "caps": [{"limit": 2}, ONCE]})
    await guild.score(react(guild), react(guild, kind="star"))
    await guild.score(unreact(guild, at=minute(1)))
    assert (await guild.has("ann"), await waiting(guild)) == (0, 0), "the day's two were used up"


async def test_of_two_places_that_are_missing_both_have_to_become_free(guild: Guild) -> None:
    everybody = {"scope": "object", "per": "lifetime", "limit": 1, "of": "grants", "refill": True}
    await guild.publish({**LIKED, "caps": [ONCE, everybody]})
    await guild.score(react(guild), react(guild, by="cy"), react(guild, kind="star"))
    assert (await guild.has("ann"), await waiting(guild)) == (2, 2)
    # Bob's heart goes: of those who wait the first in time may have the one place of the post.
    await guild.score(unreact(guild, at=minute(1)))
    assert await guild.has("ann") == 2
    await guild.score(unreact(guild, by="cy", at=minute(2)), unreact(guild, kind="star", at=minute(2)))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_a_unit_that_refuses_to_take_back_gives_no_place_back(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        await units.put(tx, guild.id, Unit("xp", "Experience", spendable=True, clawback=REFUSE, version=2))
    await guild.score(react(guild), react(guild, kind="star"))
    await guild.score(unreact(guild, at=minute(1)))
    assert (await guild.has("ann"), await waiting(guild)) == (0, 1)


async def test_after_a_voided_check_in_another_of_that_day_counts(make_database: MakeDatabase) -> None:
    guild = await make_guild(await make_database("rewards"))
    first = guild.act("checkin.submitted", "ann")
    await guild.score(first)
    await guild.score(guild.act("checkin.voided", "boss", minute(5), subject=first.id, of="ann"))
    assert await guild.has("ann") == 0
    again = [guild.act("checkin.submitted", "ann", minute(n)) for n in (10, 11)]
    await guild.score(*again)
    assert await guild.has("ann") == 10


def standing(steps: list[Step]) -> Counter[str]:
    """What everybody has when each may give one reaction a post; the steps' times differ."""
    gone = {s.subject for s in steps if s.what in ("recall", "delete")}
    has: Counter[str] = Counter()
    for s in steps:
        if s.what == "post" and s.subject not in gone:
            has[AUTHORS[s.subject]] += 3
    pairs = set()
    for s in steps:
        later = [
            r.minute for r in steps if r.what == "unreact" and (r.subject, r.by, r.kind) == (s.subject, s.by, s.kind)
        ]
        if (
            s.what == "react"
            and s.subject not in gone
            and s.by != AUTHORS[s.subject]
            and s.minute > max(later, default=-1)
        ):
            pairs.add((s.by, s.subject))
    for _, subject in pairs:
        has[AUTHORS[subject]] += 2
    return has


@settings(max_examples=40)
@given(data=st.data(), steps=steps_apart)
async def test_each_has_one_reaction_a_post_that_stands_in_any_order_and_batches(
    db: Database, data: st.DataObject, steps: list[Step]
) -> None:
    guild = await make_guild(db)
    await guild.publish(POST, ONCE_LIKED)
    acts = data.draw(st.permutations([act(guild, step) for step in steps]))
    acts += data.draw(st.lists(st.sampled_from(acts), max_size=4))
    size = data.draw(st.integers(1, 5))
    for start in range(0, len(acts), size):
        await consume(guild, *acts[start : start + size])
    await check(guild, standing(steps))


@settings(max_examples=25)
@given(data=st.data(), steps=steps_apart)
async def test_and_so_do_handlers_that_work_at_once(db: Database, data: st.DataObject, steps: list[Step]) -> None:
    guild = await make_guild(db)
    await guild.publish(POST, ONCE_LIKED)
    acts: list[Activity] = data.draw(st.permutations([act(guild, step) for step in steps]))
    size = data.draw(st.integers(1, 6))
    await parallel(guild, *(acts[start : start + size] for start in range(0, len(acts), size)))
    await check(guild, standing(steps))


async def test_giving_places_back_costs_a_fixed_number_of_statements(guild: Guild) -> None:
    await guild.publish(ONCE_LIKED, rule("talk", "message.created", 1))
    counts = []
    for many in (2, 40):
        made: list[Any] = [react(guild, f"{many}/{n}", kind=kind) for n in range(many) for kind in ("heart", "star")]
        await guild.score(post(guild, f"{many}"), *made)
        undo = [unreact(guild, f"{many}/{n}", at=minute(1)) for n in range(many)]
        with Statements(guild.db) as statements:
            async with guild.db.begin() as tx:
                await earning.score(tx, [envelope(a, a.event_id) for a in undo])
        counts.append(len(statements.texts))
    assert counts[0] == counts[1] <= 48
    assert await guild.has("ann") == 2 + 2 * 42
