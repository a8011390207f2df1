"""Grants under review: decided, counted, paid when somebody approved them (R19)."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from kit.contracts.rewards import ActivityScored
from services.rewards.domain.ledger import MOST
from services.rewards.handlers import reviewing
from services.rewards.store import balances
from services.rewards.tables.boards import board_scores
from services.rewards.tables.ledger import entries
from services.rewards.tables.reviews import reviews
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, check_books
from tests.support.databases import MakeDatabase

SHORT = {"review_when": "has(event.data.length) && event.data.length < 3"}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(rule(amount=2, caps=[{"per": "day", "limit": 5}], **SHORT))
    return guild


def short(guild: Guild, by: str = "ann", **fields: Any) -> Any:
    return guild.act(by=by, data={"length": 1}, **fields)


async def waiting(guild: Guild, state: str = "pending") -> list[Any]:
    async with guild.db.read() as tx:
        where = reviews.c.community_id == guild.id, reviews.c.state == state
        return await tx.all(select(reviews).where(*where).order_by(reviews.c.at, reviews.c.id))


async def pending(guild: Guild) -> dict[str, int]:
    day = guild.db.clock().date()
    return (await balances.having(guild.db, guild.id, guild.member("ann"), day, day)).pending


async def decide(guild: Guild, ids: Sequence[UUID], verdict: Any = "approve") -> list[tuple[bool, str]]:
    async with guild.db.begin() as tx:
        done = await reviewing.decide(tx, guild.id, ids, verdict, reason="looked at", actor="operator:o")
    return [(one.decided, str(one.row["state"]) if one.row else "") for one in done]


async def test_what_a_rule_wants_looked_at_waits_and_the_rest_is_paid(guild: Guild) -> None:
    doubtful, fine = short(guild), guild.act(data={"length": 9})
    await guild.score(doubtful, fine)
    assert await guild.verdicts(doubtful) == [("talk", "pending", 0)]
    assert await guild.verdicts(fine) == [("talk", "granted", 2)]
    assert await guild.has("ann") == 2
    (one,) = await waiting(guild)
    assert (one.amount, one.unit, one.member_id) == (2, "xp", guild.member("ann"))
    assert await pending(guild) == {"xp": 2}
    await check_books(guild.db)


async def test_what_is_approved_is_paid_for_the_day_of_its_event(guild: Guild) -> None:
    late = short(guild, at=MORNING - timedelta(days=1))
    await guild.score(late)
    (one,) = await waiting(guild)
    assert await decide(guild, [one.id]) == [(True, "approved")]
    assert await guild.has("ann") == 2
    assert await guild.verdicts(late) == [("talk", "granted", 2)]
    async with guild.db.read() as tx:
        (line,) = await tx.all(select(entries).where(entries.c.owner_id == guild.member("ann")))
        assert line.day == date(2026, 11, 22)
        assert await tx.all(select(board_scores)) != []
    events = [event for event in await announced(guild.db, ActivityScored) if event.event_id == late.event_id]
    assert [d.verdict for event in events for d in event.decisions] == ["pending", "granted"]
    await check_books(guild.db)


async def test_what_is_refused_is_nothing_for_good(guild: Guild) -> None:
    doubtful = short(guild)
    await guild.score(doubtful)
    (one,) = await waiting(guild)
    assert await decide(guild, [one.id], "refuse") == [(True, "refused")]
    assert await decide(guild, [one.id]) == [(False, "refused")]
    await guild.score(doubtful)
    assert await guild.verdicts(doubtful) == [("talk", "declined", 0)]
    assert (await guild.has("ann"), await waiting(guild)) == (0, [])
    (one,) = await waiting(guild, "refused")
    assert (one.reason, one.decided_by) == ("looked at", "operator:o")


async def test_one_is_decided_once_however_many_try_at_once(guild: Guild) -> None:
    await guild.score(*[short(guild, by=f"m{n}") for n in range(6)])
    ids = [one.id for one in await waiting(guild)]
    tries = [decide(guild, ids if n % 2 else ids[::-1], "approve" if n % 3 else "refuse") for n in range(8)]
    done = await asyncio.wait_for(asyncio.gather(*tries), 60)
    assert sum(decided for some in done for decided, _ in some) == 6
    paid = len(await waiting(guild, "approved"))
    assert sum([await guild.has(f"m{n}") for n in range(6)]) == 2 * paid
    await check_books(guild.db)


async def test_many_are_answered_for_one_by_one_and_another_communitys_are_unknown(guild: Guild) -> None:
    there = await make_guild(guild.db)
    await there.publish(rule(amount=2, **SHORT))
    await guild.score(short(guild))
    await there.score(short(there))
    mine, theirs = (await waiting(guild))[0].id, (await waiting(there))[0].id
    assert await decide(guild, [theirs, mine, mine, uuid4()]) == [(False, ""), (True, "approved"), (False, "")]
    assert len(await waiting(there)) == 1


async def test_caps_count_what_waits_and_what_is_cut_waits_cut(guild: Guild) -> None:
    some = [short(guild) for _ in range(4)]
    await guild.score(*some)
    assert sorted(one.amount for one in await waiting(guild)) == [1, 2, 2]
    assert await guild.verdicts(some[3]) == [("talk", "capped", 0)]
    await decide(guild, [one.id for one in await waiting(guild)], "refuse")
    more = guild.act(data={"length": 9})
    await guild.score(more)
    assert await guild.verdicts(more) == [("talk", "capped", 0)]


@pytest.mark.parametrize("together", [True, False])
async def test_an_inverse_event_undoes_what_waits(guild: Guild, together: bool) -> None:
    doubtful = short(guild, subject="m1")
    recalled = guild.act("message.recalled", subject="m1", at=MORNING + timedelta(minutes=1))
    await (guild.score(doubtful, recalled) if together else guild.score(doubtful))
    if not together:
        (one,) = await waiting(guild)
        await guild.score(recalled)
        assert await decide(guild, [one.id]) == [(False, "undone")]
    assert await guild.verdicts(doubtful) == [("talk", "undone", 0)]
    told = [
        e.decisions[0].verdict for e in await announced(guild.db, ActivityScored) if e.event_id == doubtful.event_id
    ]
    assert told[-1] == "undone", "whoever was told that it waits is told what became of it"
    assert (await guild.has("ann"), await waiting(guild)) == (0, [])
    await check_books(guild.db)


async def test_what_was_approved_is_taken_back_like_any_grant(guild: Guild) -> None:
    await guild.score(short(guild, subject="m1"))
    await decide(guild, [one.id for one in await waiting(guild)])
    assert await guild.has("ann") == 2
    await guild.score(guild.act("message.recalled", subject="m1", at=MORNING + timedelta(minutes=1)))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_approving_and_recalling_at_once_leave_nothing_behind(guild: Guild) -> None:
    names = [f"m{n}" for n in range(8)]
    await guild.score(*[short(guild, by=name, subject=name) for name in names])
    ids = [one.id for one in await waiting(guild)]
    recalls = [
        guild.act("message.recalled", by=name, subject=name, at=MORNING + timedelta(minutes=1)) for name in names
    ]
    work: list[Any] = [decide(guild, [id]) for id in ids] + [decide(guild, ids)] + [guild.score(r) for r in recalls]
    await asyncio.wait_for(asyncio.gather(*work), 60)
    assert [await guild.has(name) for name in names] == [0] * 8
    await check_books(guild.db)


async def test_a_place_that_refills_is_given_back_by_what_waited(guild: Guild) -> None:
    cap = {"per": "day", "limit": 1, "of": "grants", "refill": True}
    await guild.publish(rule("talk2", amount=3, caps=[cap], **SHORT))
    first, second = short(guild, subject="m1"), short(guild, subject="m2", at=MORNING + timedelta(minutes=1))
    await guild.score(first, second)
    assert await guild.verdicts(second) == [("talk2", "capped", 0)]
    await guild.score(guild.act("message.recalled", subject="m1", at=MORNING + timedelta(minutes=2)))
    assert await guild.verdicts(second) == [("talk2", "pending", 0)]
    assert [one.event_id for one in await waiting(guild)] == [second.event_id]
    assert await guild.has("ann") == 0


async def test_fines_do_not_wait_and_a_condition_that_fails_gives_nothing(guild: Guild) -> None:
    await guild.publish(rule("fine", amount=-1, review_when="true"), rule("odd", review_when="event.data.length < 3"))
    one = guild.act()
    await guild.score(one)
    assert await guild.verdicts(one) == [("fine", "granted", -1), ("odd", "error", 0)]
    assert await waiting(guild) == []


async def test_a_crash_while_deciding_leaves_them_waiting(guild: Guild, monkeypatch: pytest.MonkeyPatch) -> None:
    await guild.score(short(guild))
    (one,) = await waiting(guild)

    async def dies(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(reviewing.store, "put", dies)
        with pytest.raises(RuntimeError, match="killed"):
            await decide(guild, [one.id])
    assert (await guild.has("ann"), len(await waiting(guild))) == (0, 1)
    assert await decide(guild, [one.id]) == [(True, "approved")]
    assert await guild.has("ann") == 2


async def test_the_statements_of_a_batch_and_of_a_verdict_do_not_grow_with_it(guild: Guild) -> None:
    await guild.score(guild.act(data={"length": 9}))
    # Who comes first in a week is looked at, and announced: that costs, and here somebody is first for good.
    await guild.give(guild.grant(guild.member("zoe"), 10_000, MORNING, unit="xp"))
    counted = []
    # Twice of each: the first time it is noted besides in which group people are, of a few in another statement.
    for size in (2, 40):
        await guild.score(*[guild.act(by=f"s{size}-{n}", data={"length": 9}) for n in range(size)])
        batch = [short(guild, by=f"s{size}-{n}", subject=f"s{size}-{n}") for n in range(size)]
        with Statements(guild.db) as scoring:
            await guild.score(*batch)
        ids = [one.id for one in await waiting(guild)]
        with Statements(guild.db) as deciding:
            await decide(guild, ids)
        counted.append((len(scoring.texts), len(deciding.texts)))
    assert counted[0] == counted[1]


async def test_of_many_that_are_approved_only_what_an_account_cannot_hold_waits_on(guild: Guild) -> None:
    """One refused all 200 of a request, which then could not be approved at all."""
    await guild.publish(rule(amount=MOST - 1, review_when="true"), rule("small", on="small.done", review_when="true"))
    first, second = guild.act(), guild.act(by="bob")
    small = [guild.act("small.done") for _ in range(2)]
    await guild.score(first, second, *small)
    assert await pending(guild) == {"xp": MOST + 1}
    by_event = {row.event_id: row.id for row in await waiting(guild)}
    asked = [by_event[a.event_id] for a in (first, *small, second)]
    # Ann's first fills her account but for one, and `mint` with it.
    assert await decide(guild, asked) == [
        (True, "approved"),
        (True, "approved"),
        (False, "pending"),
        (False, "pending"),
    ]
    assert (await guild.has("ann"), await guild.has("bob")) == (MOST, 0)
    assert {row.id for row in await waiting(guild)} == set(asked[2:])
    await check_books(guild.db)
