"""Check-ins that wait for somebody's word: an operator's, a referee's, other members', or nobody's in time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from kit.contracts.events import Activity
from services.rewards.domain.checkins import DEFAULT_SERIES
from services.rewards.domain.proofs import Approval
from services.rewards.handlers import approving
from services.rewards.handlers.earning import score_again
from services.rewards.handlers.overdue import decide_due
from services.rewards.tables.checkins import checkin_attempts
from tests.rewards.checkins.test_checking_in import DAYS, buy, change, check_in, held, live, make, seen, stored, told
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import plans_of
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

PEER = Approval(by="peers")


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    return await make_guild(await make_database("rewards"))


async def ask(guild: Guild, approval: Approval | None) -> None:
    await change(guild, replace(DEFAULT_SERIES, approval=approval), DAYS[0].date())


async def operator_says(guild: Guild, *events: Activity, approve: bool = True) -> list[str]:
    async with guild.db.begin() as tx:
        ids = [a.event_id for a in events]
        said, acts = await approving.decide(
            tx, guild.id, "daily", ids, approve=approve, by="operator:o", reason="looked at"
        )
        await score_again(tx, acts)
    return ["decided" if one.decided else "conflict" if one.there else "unknown" for one in said]


def confirm(guild: Guild, done: Activity, by: str, of: str = "ann", **fields: Any) -> Activity:
    values = {"at": DAYS[0] + timedelta(minutes=5), "subject": done.subject or done.id, **fields}
    return guild.act("checkin.confirmed", by, of=of, **values)


async def states(guild: Guild) -> dict[UUID, str]:
    t = checkin_attempts.c
    async with guild.db.read() as tx:
        return {row.event_id: row.state for row in await tx.all(select(t.event_id, t.state))}


async def test_a_check_in_waits_and_once_approved_counts_and_is_paid_on_its_own_day_once(
    guild: Guild, clock: ManualClock
) -> None:
    await live(guild, clock, 0, "ann")
    await buy(guild)
    await ask(guild, Approval(by="operator"))
    waiting = check_in(guild, 1)
    clock.now = DAYS[1]
    for _ in range(2):
        await guild.score(waiting)
    assert (await told(guild), await guild.has("ann"), await guild.verdicts(waiting)) == ("D?", 10, [])
    clock.now = DAYS[3]
    await ask(guild, None)
    await guild.score(check_in(guild, 3))
    assert (await told(guild), await held(guild)) == ("DF.D", 0)
    assert await operator_says(guild, waiting) == ["decided"]
    assert await operator_says(guild, waiting, approve=False) == ["conflict"]
    await guild.score(waiting)
    assert (await told(guild), await held(guild), await stored(guild)) == ("DDFD", 0, (3, 3, 0))
    assert await guild.verdicts(waiting) == [("check-in", "granted", 10)] * 2
    assert await guild.has("ann") == 30
    await check_books(guild.db)


async def test_one_that_is_declined_is_as_if_it_had_never_been_made(guild: Guild) -> None:
    await ask(guild, Approval(by="operator"))
    bad, good = check_in(guild, 0), check_in(guild, 0)
    await guild.score(bad, good)
    assert await operator_says(guild, bad, guild.act("checkin.submitted"), approve=False) == ["decided", "unknown"]
    await guild.score(bad)
    assert (await told(guild), await guild.has("ann")) == ("", 0)
    assert await operator_says(guild, good) == ["decided"]
    assert (await told(guild), await guild.has("ann")) == ("D", 10)
    [fact] = (await seen(guild)).standing.rows
    assert fact.event_id == good.event_id


async def test_a_voided_check_in_earns_nothing_whether_it_waits_or_was_approved(guild: Guild) -> None:
    await ask(guild, Approval(by="operator"))
    first, second = check_in(guild, 0, subject="page:1"), check_in(guild, 0, "bob", subject="page:1")
    gone = [guild.act("checkin.voided", by, DAYS[0] + timedelta(hours=1), subject="page:1") for by in ("ann", "bob")]
    await guild.score(first, second)
    await guild.score(gone[0])
    assert await operator_says(guild, first, second) == ["conflict", "decided"]
    assert (await told(guild), await told(guild, "bob"), await guild.has("bob")) == ("", "D", 10)
    await guild.score(gone[1])
    assert (await told(guild, "bob"), await guild.has("bob"), await guild.has("ann")) == ("", 0, 0)
    assert await states(guild) == {first.event_id: "undone", second.event_id: "approved"}
    late = check_in(guild, 0, "cat", subject="page:2")
    await guild.score(guild.act("checkin.voided", "cat", DAYS[0] + timedelta(hours=1), subject="page:2"), late)
    assert late.event_id not in await states(guild)
    await check_books(guild.db)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [1, 3])
async def test_peers_let_a_check_in_through_whatever_comes_first(
    guild: Guild, order: Sequence[int], together: int
) -> None:
    await ask(guild, Approval(by="peers", peers=2))
    done = check_in(guild, 0)
    acts = [done, confirm(guild, done, "bob"), confirm(guild, done, "cat")]
    arriving = [acts[n] for n in order]
    for start in range(0, 3, together):
        assert await guild.has("ann") == 0
        await guild.score(*arriving[start : start + together])
    assert (await told(guild), await guild.has("ann")) == ("D", 10)
    await guild.score(*arriving)
    assert await guild.has("ann") == 10


async def test_nobody_confirms_themselves_or_twice_and_bots_and_strangers_not_at_all(guild: Guild) -> None:
    await ask(guild, Approval(by="peers", peers=2))
    await guild.know("robot", kind="bot")
    await guild.know("gone", state="banned")
    await guild.link("bobs phone", to="bob")
    done = check_in(guild, 0)
    await guild.score(done)
    other = await make_guild(guild.db)
    await other.score(confirm(other, done, "cat"), confirm(other, done, "dan"))
    await guild.score(
        confirm(guild, done, "ann"),
        confirm(guild, done, "bob"),
        confirm(guild, done, "bobs phone"),
        confirm(guild, done, "bob"),
        confirm(guild, done, "robot"),
        confirm(guild, done, "gone"),
        confirm(guild, done, "eve", data={"bot": True}),
        confirm(guild, done, "fay", flags=("throttled",)),
        confirm(guild, done, "gus", of="hal"),
        confirm(guild, done, "ivy", group="qq:200"),
    )
    assert (await told(guild), await guild.has("ann")) == ("", 0)
    await guild.score(confirm(guild, done, "cat"))
    assert (await told(guild), await guild.has("ann")) == ("D", 10)


async def test_only_a_referee_lets_one_through_where_there_are_some(guild: Guild) -> None:
    await ask(guild, Approval(by="referee", referees=(guild.member("ref"), guild.member("ann"))))
    done = check_in(guild, 0)
    await guild.score(done, confirm(guild, done, "bob"), confirm(guild, done, "ann"))
    assert await guild.has("ann") == 0
    await guild.score(confirm(guild, done, "ref"))
    assert await guild.has("ann") == 10


@pytest.mark.parametrize(("then", "story", "points"), [("accept", "D", 10), ("refuse", "", 0)])
async def test_what_nobody_said_anything_about_is_decided_by_itself_when_its_time_is_over(
    guild: Guild, clock: ManualClock, then: Any, story: str, points: int
) -> None:
    await ask(guild, Approval(by="operator", within_hours=24, then=then))
    done = check_in(guild, 0)
    await guild.score(done)
    clock.now = DAYS[0] + timedelta(hours=24)
    assert (await decide_due(guild.db), await guild.has("ann")) == (0, 0)
    clock.now += timedelta(seconds=1)
    assert [await decide_due(guild.db) for _ in range(2)] == [1, 0]
    assert ((await told(guild)).rstrip("?"), await guild.has("ann")) == (story, points)


async def test_two_who_decide_at_once_decide_it_once(guild: Guild) -> None:
    await ask(guild, Approval(by="peers"))
    done = [check_in(guild, 0, f"m{n}") for n in range(6)]
    await guild.score(*done)
    await asyncio.gather(
        operator_says(guild, *done),
        operator_says(guild, *reversed(done)),
        guild.score(*[confirm(guild, one, "bob", of=f"m{n}") for n, one in enumerate(done)]),
        guild.score(*[confirm(guild, one, "cat", of=f"m{n}") for n, one in reversed(list(enumerate(done)))]),
    )
    assert [await guild.has(f"m{n}") for n in range(6)] == [10] * 6
    await check_books(guild.db)


async def test_a_check_in_and_its_confirmation_that_come_at_once_find_each_other(guild: Guild) -> None:
    await ask(guild, PEER)
    names = [f"m{n}" for n in range(8)]
    done = {name: check_in(guild, 0, name) for name in names}
    said = {name: confirm(guild, done[name], names[n - 1], of=name) for n, name in enumerate(names)}
    # Each batch has the check-ins of some and what is said of the others'.
    await asyncio.gather(
        guild.score(*[done[name] for name in names[:4]], *[said[name] for name in names[4:]]),
        guild.score(*[said[name] for name in names[:4]], *[done[name] for name in names[4:]]),
    )
    assert [await guild.has(name) for name in names] == [10] * 8
    await check_books(guild.db)


async def test_other_rules_over_what_was_pay_what_waited_when_it_was_let_through(guild: Guild, tmp_path: Path) -> None:
    await ask(guild, Approval(by="operator"))
    once_a_day = {"scope": "community", "per": "day", "limit": 1, "of": "grants"}
    await guild.publish(rule("check-in", on="checkin.submitted", amount=3))
    let, left, waiting = check_in(guild, 0), check_in(guild, 0, "bob"), check_in(guild, 0, "cat")
    await guild.score(let, left, waiting)
    await operator_says(guild, left, approve=False)
    await operator_says(guild, waiting)
    await operator_says(guild, let)
    plan, over = await plans_of(guild, tmp_path).recompute(
        rule("check-in", on="checkin.submitted", amount=5, caps=[once_a_day])
    )
    assert (over.state, plan.result["postings"]) == ("done", over.posted)
    assert [await guild.has(name) for name in ("ann", "bob", "cat")] == [0, 0, 5]
    await check_books(guild.db)


async def test_a_message_that_waits_as_a_check_in_earns_as_a_message_at_once_and_the_rest_later(guild: Guild) -> None:
    await make(guild, on=("message.created",), approval=PEER)
    await guild.publish(rule("talk"), rule("done", amount=7, when='checkin.status == "accepted"'))
    said = guild.act("message.created", "ann", DAYS[0], subject="m1")
    await guild.score(said)
    assert await guild.verdicts(said) == [("talk", "granted", 1)]
    await guild.score(confirm(guild, said, "bob"))
    assert await guild.verdicts(said) == [("done", "granted", 7), ("talk", "granted", 1)]
    assert (await told(guild, of="other"), await guild.has("ann")) == ("D", 8)
