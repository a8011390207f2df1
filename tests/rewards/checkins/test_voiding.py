"""Check-ins that inverse events take away, whatever the order of arrival, and those that stand in for them."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.contracts.events import Activity
from services.rewards.domain.streaks import DONE
from services.rewards.handlers import mending
from tests.rewards.checkins.test_checking_in import DAYS, check_in, live, make, seen, stored, told
from tests.rewards.guild import Guild, make_guild
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    return await make_guild(await make_database("rewards"))


def void(guild: Guild, subject: str, hour: int = 1, by: str = "ann", **fields: Any) -> Activity:
    return guild.act("checkin.voided", by, DAYS[0] + timedelta(hours=hour), subject=subject, **fields)


@pytest.mark.parametrize("together", [True, False])
async def test_a_voided_check_in_counts_no_more_and_neither_does_it_when_told_again(
    guild: Guild, together: bool
) -> None:
    done = check_in(guild, 0, subject="page:1")
    acts = [done, void(guild, "page:1")]
    for batch in [acts] if together else [[one] for one in acts]:
        await guild.score(*batch)
    assert await stored(guild) == (0, 0, 0) if not together else await told(guild) == ""
    await guild.score(done)
    assert await told(guild) == ""


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [1, 2, 3])
async def test_done_voided_and_done_again_is_done_in_any_order(
    guild: Guild, order: Sequence[int], together: int
) -> None:
    acts = [
        check_in(guild, 0, subject="page:1"),
        void(guild, "page:1"),
        guild.act("checkin.submitted", "ann", DAYS[0] + timedelta(hours=2), subject="page:1"),
    ]
    arriving = [acts[n] for n in order]
    for start in range(0, 3, together):
        await guild.score(*arriving[start : start + together])
    assert await told(guild) == "D"
    [fact] = (await seen(guild)).standing.of(DONE)
    assert fact.event_id == acts[2].event_id


async def test_another_check_in_of_the_day_stands_in_for_the_one_that_is_undone(guild: Guild) -> None:
    first, second = check_in(guild, 0, subject="page:1"), check_in(guild, 0, subject="page:2")
    await guild.score(first, second)
    await guild.score(void(guild, "page:1"))
    [fact] = (await seen(guild)).standing.of(DONE)
    assert fact.event_id == second.event_id
    await guild.score(void(guild, "page:2"))
    assert await told(guild) == ""
    await guild.score(first, second)
    assert await told(guild) == ""


async def test_a_deleted_message_takes_its_check_in_with_it_whoever_deleted_it(guild: Guild) -> None:
    await make(guild, on=("message.created",))
    await guild.score(guild.act("message.created", "ann", DAYS[0], subject="m1"))
    assert await told(guild, of="other") == "D"
    await guild.score(guild.act("message.deleted", "mod", DAYS[0] + timedelta(hours=1), subject="m1", of="ann"))
    assert await told(guild, of="other") == ""


async def test_who_removes_what_people_react_to_does_not_undo_that_they_were_there(guild: Guild) -> None:
    await make(guild, on=("reaction.added",))
    react = guild.act("reaction.added", "ann", DAYS[0], subject="m1", data={"kind": "hand"})
    await guild.score(react)
    await guild.score(guild.act("message.deleted", "mod", DAYS[0] + timedelta(hours=1), subject="m1"))
    assert await told(guild, of="other") == "D"
    await guild.score(
        guild.act("reaction.removed", "ann", DAYS[0] + timedelta(hours=2), subject="m1", data={"kind": "hand"})
    )
    assert await told(guild, of="other") == ""


async def test_only_the_members_own_check_in_of_the_same_group_is_voided(guild: Guild) -> None:
    await guild.score(check_in(guild, 0, subject="page:1"))
    await guild.score(void(guild, "page:1", by="bob"))
    await guild.score(void(guild, "page:1", group="qq:200"))
    await guild.score(void(guild, "page:2"))
    assert await told(guild) == "D"


async def test_the_days_after_a_voided_one_are_judged_anew(guild: Guild, clock: ManualClock) -> None:
    for day in range(9):
        clock.now = DAYS[day]
        await guild.score(check_in(guild, day, subject=f"page:{day}"))
    assert await stored(guild) == (9, 9, 0)
    await guild.score(void(guild, "page:1", hour=30))
    assert await stored(guild) == (7, 7, 0)
    assert await told(guild) == "D.DDDDDDD"


async def test_what_an_operator_took_back_stays_so_whatever_stood_in(guild: Guild) -> None:
    await guild.score(check_in(guild, 0, subject="page:1"), check_in(guild, 0, subject="page:2"))
    async with guild.db.begin() as tx:
        day = date(2026, 11, 2)
        await mending.mark(tx, guild.id, "daily", guild.member("ann"), day, "undone", "a joke", "operator:o")
    await guild.score(void(guild, "page:1"))
    assert await told(guild) == ""


async def test_two_replicas_agree_whichever_is_first(guild: Guild, clock: ManualClock) -> None:
    for n in range(12):
        name = f"m{n}"
        acts = [check_in(guild, 0, name, subject="page:1"), void(guild, "page:1", by="mod", of=name)]
        await asyncio.gather(*[guild.score(one) for one in (acts if n % 2 else reversed(acts))])
        assert await told(guild, name) == ""
    await live(guild, clock, 1, "ann")
    assert await told(guild) == "D"


STEPS = st.lists(
    st.tuples(st.sampled_from(["submit", "void"]), st.integers(0, 2), st.integers(0, 3), st.integers(0, 20)),
    min_size=1, max_size=9,
)  # fmt: skip


@settings(max_examples=30)
@given(steps=STEPS, chunks=st.integers(1, 4), data=st.data())
async def test_whatever_the_order_a_day_is_done_when_a_check_in_of_it_stands(
    make_database: MakeDatabase, steps: list[tuple[str, int, int, int]], chunks: int, data: st.DataObject
) -> None:
    """Pages by day; a void takes back what was before it. At most three more of a day are kept to stand in."""
    guild = await make_guild(await make_database("rewards"))
    acts: list[Activity] = []
    alive: dict[int, set[tuple[int, int]]] = {}
    for number, (what, day, page, minute) in enumerate(steps):
        at = DAYS[day] + timedelta(minutes=minute, seconds=number)
        type = "checkin.submitted" if what == "submit" else "checkin.voided"
        late = DAYS[2] + timedelta(hours=3) - at
        acts.append(guild.act(type, "ann", at, subject=f"page:{day}:{page}", late=late))
    for act in acts:
        if act.type == "checkin.submitted":
            day, page = map(int, (act.subject or "").split(":")[1:])
            voids = [one.effective_at for one in acts if one.type != act.type and one.subject == act.subject]
            if not any(at >= act.effective_at for at in voids):
                alive.setdefault(day, set()).add((page, 0))
    order = data.draw(st.permutations(acts))
    for start in range(0, len(order), chunks):
        await guild.score(*order[start : start + chunks])
    facts = (await seen(guild)).standing.of(DONE)
    most = max((sum(1 for one in acts if one.effective_at.day == DAYS[d].day) for d in range(3)), default=0)
    if most <= 4:
        assert {fact.day for fact in facts} == {date(2026, 11, 2) + timedelta(days=day) for day in alive}
