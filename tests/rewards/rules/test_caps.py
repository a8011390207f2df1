"""Caps and cooldowns as they are kept between batches, at every scope and window."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.contracts.events import Activity
from services.rewards.handlers import earning
from services.rewards.handlers.adjusting import reverse
from services.rewards.store import decisions
from tests.rewards.guild import MORNING, Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


LIKE = {"on": "reaction.added", "give": [{"to": "subject_author", "unit": "xp", "amount": 1}]}


def likes(cap: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return rule("like", **{**LIKE, "caps": [cap], **fields})


def like(guild: Guild, text: str, at: datetime = MORNING) -> Activity:
    """`ann>bob:m1`: Ann likes Bob's m1."""
    who, _, subject = text.partition(":")
    by, _, of = who.partition(">")
    return guild.act("reaction.added", by=by, of=of, subject=subject or None, at=at)


async def paid(guild: Guild, *some: Activity) -> list[int]:
    """What each was worth, each in a batch of its own."""
    out = []
    for activity in some:
        await guild.score(activity)
        out.append(sum(amount for _, _, amount in await guild.verdicts(activity)))
    return out


SCOPES = [
    ("member", [1, 0, 0, 1, 1]),
    ("object", [1, 0, 1, 1, 1]),
    ("actor_object", [1, 1, 1, 1, 0]),
    ("pair", [1, 1, 0, 1, 1]),
    ("community", [1, 0, 0, 0, 0]),
]
ROUND = ("ann>bob:m1", "cat>bob:m1", "ann>bob:m2", "bob>ann:m3", "ann>cat:m1")


@pytest.mark.parametrize(("scope", "expected"), SCOPES)
@pytest.mark.parametrize("together", [True, False])
async def test_every_scope_counts_what_it_says_within_a_batch_and_between_batches(
    guild: Guild, scope: str, expected: list[int], together: bool
) -> None:
    await guild.publish(likes({"scope": scope, "per": "lifetime", "limit": 1, "of": "grants"}))
    some = [like(guild, text) for text in ROUND]
    if together:
        await guild.score(*some)
        assert [(await guild.verdicts(a))[0][2] for a in some] == expected
    else:
        assert await paid(guild, *some) == expected
    await check_books(guild.db)


@pytest.mark.parametrize(
    ("per", "inside", "outside"),
    [
        ("day", timedelta(hours=15, minutes=59), timedelta(hours=16)),
        ("week", timedelta(days=6, hours=15), timedelta(days=7)),
        ("month", timedelta(days=7), timedelta(days=8)),
    ],
)
async def test_a_calendar_window_ends_with_its_day_week_or_month(
    guild: Guild, per: str, inside: timedelta, outside: timedelta
) -> None:
    # Monday the 23rd of November, 8 in the morning.
    await guild.publish(rule(caps=[{"per": per, "limit": 1}]))
    some = [guild.act(at=MORNING), guild.act(at=MORNING + inside), guild.act(at=MORNING + outside)]
    assert await paid(guild, *some) == [1, 0, 1]


async def test_a_rolling_window_is_kept_between_batches_and_looks_both_ways(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"per": "rolling", "seconds": 60, "limit": 1}]))
    at = (0, 59, 60, -59, -60)
    some = [guild.act(at=MORNING + timedelta(seconds=s)) for s in at]
    assert await paid(guild, *some) == [1, 0, 1, 0, 1]


async def test_a_cooldown_is_kept_between_batches_per_rule_and_member(guild: Guild) -> None:
    await guild.publish(rule(cooldown_seconds=60), rule("other", cooldown_seconds=0))
    some = [guild.act(by=by, at=MORNING + timedelta(seconds=s)) for by, s in (("ann", 0), ("ann", 59), ("bob", 59))]
    some.append(guild.act(at=MORNING + timedelta(seconds=60)))
    assert await paid(guild, *some) == [2, 1, 2, 2]
    assert await guild.verdicts(some[1]) == [("other", "granted", 1), ("talk", "cooldown", 0)]


async def test_one_batch_that_crosses_a_cap_pays_the_remainder_and_tells_of_each(guild: Guild) -> None:
    await guild.publish(rule(amount=4, caps=[{"limit": 10}]))
    some = [guild.act() for _ in range(4)]
    await guild.score(*some)
    verdicts = [(await guild.verdicts(a))[0][1:] for a in some]
    assert verdicts == [("granted", 4), ("granted", 4), ("capped", 2), ("capped", 0)]
    assert await guild.has("ann") == 10
    async with guild.db.read() as tx:
        (row,) = await decisions.of_event(tx, community_id=guild.id, event_id=some[2].event_id)
    assert (row.wanted, row.amount, row.reason) == (4, 2, "limit 10, amount per day and member")


async def test_a_unit_cap_holds_over_all_rules_and_batches(guild: Guild) -> None:
    caps = [{"unit": "xp", "per": "day", "limit": 5}]
    await guild.publish(rule(amount=2), rule("ask", on="question.asked", amount=2), unit_caps=caps)
    some = [guild.act(), guild.act("question.asked"), guild.act(), guild.act("question.asked")]
    assert await paid(guild, *some) == [2, 2, 1, 0]
    assert await paid(guild, guild.act(at=MORNING + timedelta(days=1))) == [2]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("member", [("granted", 4), ("capped", 0), ("granted", 3), ("granted", 4)]),
        ("community", [("granted", 4), ("budget_exhausted", 0), ("granted", 3), ("budget_exhausted", 0)]),
    ],
)
async def test_a_unit_cap_that_skips_leaves_out_what_does_not_fit_and_takes_what_does(
    guild: Guild, scope: str, expected: list[tuple[str, int]], together: bool
) -> None:
    cap = {"unit": "xp", "scope": scope, "limit": 7, "on_exceed": "skip"}
    await guild.publish(rule(amount=4), rule("ask", on="question.asked", amount=3), unit_caps=[cap])
    some = [guild.act(), guild.act(), guild.act("question.asked"), guild.act(by="bob")]
    if together:
        await guild.score(*some)
    else:
        await paid(guild, *some)
    assert [(await guild.verdicts(a))[0][1:] for a in some] == expected
    await check_books(guild.db)


async def test_a_budget_is_used_up_for_everybody_and_says_so(guild: Guild) -> None:
    await guild.publish(rule(amount=3, caps=[{"scope": "community", "limit": 5}]))
    some = [guild.act(by=by) for by in ("ann", "bob", "cat")]
    await guild.score(*some)
    assert [(await guild.verdicts(a))[0][1:] for a in some] == [("granted", 3), ("capped", 2), ("budget_exhausted", 0)]


async def test_a_cap_used_up_goes_on_in_the_next_version_of_its_rule(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"limit": 2}]))
    await paid(guild, guild.act(), guild.act())
    await guild.publish(rule(caps=[{"limit": 3}]))
    assert await paid(guild, guild.act(), guild.act()) == [1, 0]


async def test_a_slot_freed_by_a_reversal_is_not_filled_again(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"limit": 1}]))
    message = guild.act()
    await guild.score(message)
    async with guild.db.begin() as tx:
        (row,) = await decisions.of_event(tx, community_id=guild.id, event_id=message.event_id)
        await reverse(tx, guild.id, row.transaction_id, amount=None, reason="spam", actor="operator:o")
    assert await paid(guild, guild.act()) == [0]
    assert await guild.has("ann") == 0


async def test_caps_of_two_communities_are_two(guild: Guild) -> None:
    other = await make_guild(guild.db)
    for one in (guild, other):
        await one.publish(rule(caps=[{"scope": "community", "per": "lifetime", "limit": 1}]))
    async with guild.db.begin() as tx:
        some = [guild.act(), other.act(), guild.act(), other.act()]
        await earning.score(tx, [envelope(a, a.event_id) for a in some])
    assert (await guild.has("ann"), await other.has("ann")) == (1, 1)


_plan = st.lists(
    st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 200), st.sampled_from(["m1", "m2"])),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25)
@given(plan=_plan, cut=st.integers(0, 25), shuffled=st.randoms(use_true_random=False))
async def test_however_events_are_cut_into_batches_and_ordered_no_limit_is_passed(
    guild: Guild, plan: list[tuple[str, int, str]], cut: int, shuffled: Any
) -> None:
    one = Guild(guild.db, (await make_guild(guild.db, id=uuid4())).id)
    caps = [{"limit": 7}, {"per": "rolling", "seconds": 60, "limit": 3}, {"scope": "community", "limit": 12}]
    await one.publish(rule(amount=2, caps=caps, cooldown_seconds=5))
    some = [one.act(by=by, at=MORNING + timedelta(seconds=s), subject=on) for by, s, on in plan]
    shuffled.shuffle(some)
    for part in (some[:cut], some[cut:]):
        if part:
            await one.score(*part)
    given_: dict[str, list[tuple[datetime, int]]] = {"ann": [], "bob": []}
    for activity in some:
        ((_, _, amount),) = await one.verdicts(activity)
        if amount:
            given_[activity.data["actor"].removeprefix("qq:")].append((activity.effective_at, amount))
    assert sum(n for paid_ in given_.values() for _, n in paid_) <= 12
    for name, paid_ in given_.items():
        paid_.sort()
        assert sum(n for _, n in paid_) == await one.has(name) <= 7
        assert all(b - a >= timedelta(seconds=5) for (a, _), (b, _) in pairwise(paid_))
        for start, _ in paid_:
            assert sum(n for at, n in paid_ if start <= at < start + timedelta(seconds=60)) <= 3
    await check_books(one.db)
