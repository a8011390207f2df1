"""What rules no longer need is forgotten, and nothing that could still change what anybody gets (E4)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, true

from kit import purging
from services.rewards.handlers.purging import purge
from services.rewards.tables.ledger import transactions
from services.rewards.tables.rules import counters, decisions, moments
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COUNTER_DAYS, DECISION_DAYS = 30 * DAY, 400 * DAY
OLD = MORNING - 1000 * DAY


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


async def forget(guild: Guild) -> int:
    return await purge(
        guild.db, counters=COUNTER_DAYS, decisions=DECISION_DAYS, activities=DECISION_DAYS, stopping=asyncio.Event()
    )


async def rows(guild: Guild, table: Any) -> int:
    async with guild.db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(table)))


@pytest.mark.parametrize(("per", "longest"), [("day", 2 * DAY), ("week", 8 * DAY), ("month", 32 * DAY)])
async def test_a_counter_stays_while_a_late_event_can_ask_for_it_and_goes_after_that(
    guild: Guild, clock: ManualClock, per: str, longest: timedelta
) -> None:
    await guild.publish(rule(caps=[{"per": per, "limit": 2}], lateness_hours=40 * 24, undone_by=[]))
    await guild.score(guild.act(), guild.act())
    clock.advance(40 * DAY)
    assert await forget(guild) == 0
    late = guild.act(late=40 * DAY)
    await guild.score(late)
    assert await guild.verdicts(late) == [("talk", "capped", 0)]
    # It was asked for again just now, and is kept as if others were still to come.
    clock.advance(longest + 40 * DAY + COUNTER_DAYS)
    assert await forget(guild) == 0
    clock.advance(HOUR)
    assert await forget(guild) == 1
    assert await rows(guild, counters) == 0


async def test_the_cap_of_a_unit_is_kept_for_the_most_patient_rule(guild: Guild, clock: ManualClock) -> None:
    hasty, patient = (
        rule("hasty", lateness_hours=1, undone_by=[]),
        rule("patient", "poll.voted", lateness_hours=90 * 24),
    )
    await guild.publish(hasty, patient, unit_caps=[{"unit": "xp", "limit": 1}])
    await guild.score(guild.act())
    clock.advance(89 * DAY)
    assert await forget(guild) == 0
    vote = guild.act("poll.voted", late=89 * DAY)
    await guild.score(vote)
    assert await guild.verdicts(vote) == [("patient", "capped", 0)]


async def test_what_is_once_in_a_lifetime_is_never_forgotten(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(rule(caps=[{"per": "lifetime", "limit": 1, "of": "grants"}], undone_by=[]))
    await guild.score(guild.act())
    clock.advance(5000 * DAY)
    assert await forget(guild) == 2, "the decision, and the activity"
    again = guild.act(at=clock.now)
    await guild.score(again)
    assert await guild.verdicts(again) == [("talk", "capped", 0)]


async def test_moments_stay_while_something_can_still_fall_near_them(guild: Guild, clock: ManualClock) -> None:
    caps = [{"per": "rolling", "seconds": 10 * 86400, "limit": 1}]
    await guild.publish(rule(caps=caps, cooldown_seconds=3600, lateness_hours=48))
    await guild.score(guild.act())
    clock.advance(12 * DAY + COUNTER_DAYS)
    await forget(guild)
    assert await rows(guild, moments) == 1, "the cooldown's is over"
    near = guild.act(at=MORNING + 9 * DAY)
    await guild.score(near)
    assert await guild.verdicts(near) == [("talk", "capped", 0)]
    clock.advance(15 * DAY + COUNTER_DAYS)
    await forget(guild)
    assert (await rows(guild, moments), await rows(guild, counters)) == (0, 0)


async def test_counters_of_history_are_kept_from_when_it_came(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(rule(caps=[{"limit": 2}], cooldown_seconds=1))
    await guild.score(*(guild.act(at=OLD + n * HOUR, import_name="log") for n in range(2)))
    clock.advance(COUNTER_DAYS)
    assert await forget(guild) == 0
    next_piece = guild.act(at=OLD + 3 * HOUR, import_name="log")
    await guild.score(next_piece)
    assert await guild.verdicts(next_piece) == [("talk", "capped", 0)]


async def test_after_its_decision_is_forgotten_an_event_that_comes_again_is_not_paid_again(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(caps=[{"limit": 1}], lateness_hours=9600, undone_by=[]))
    paid, capped = guild.act(), guild.act()
    await guild.score(paid, capped)
    clock.advance(DECISION_DAYS)
    assert await forget(guild) == 0
    assert len(await guild.verdicts(paid)) == 1
    clock.advance(90 * DAY)
    assert await forget(guild) == 4
    assert await guild.verdicts(paid) == []
    await guild.score(paid)
    assert (await guild.has("ann"), await guild.verdicts(paid)) == (1, [])
    assert await rows(guild, transactions) == 1
    await check_books(guild.db)


async def test_what_undoes_is_remembered_for_ever_and_what_only_locks_is_not(guild: Guild, clock: ManualClock) -> None:
    await guild.publish(rule())
    await guild.score(guild.act(subject="m1"), guild.act("message.deleted", subject="m2"))
    clock.advance(COUNTER_DAYS + HOUR)
    await forget(guild)
    assert await rows(guild, counters) == 0
    clock.advance(5000 * DAY)
    await forget(guild)
    await guild.score(guild.act("message.deleted", at=clock.now, subject="m1"))
    await guild.score(guild.act(at=OLD, subject="m2", import_name="log"))
    assert await guild.has("ann") == 0


@pytest.mark.parametrize("how", [{"import_name": "again"}, {"replay_id": "again"}], ids=["imported", "replayed"])
async def test_a_day_of_which_decisions_are_gone_is_closed_to_history(
    guild: Guild, clock: ManualClock, how: dict[str, str]
) -> None:
    """What got nothing because a cap was full must not get it when the same comes once more years later."""
    await guild.publish(rule(caps=[{"limit": 1}]))
    file = [guild.act(at=OLD + n * HOUR, import_name="log") for n in range(3)]
    live = [guild.act(), guild.act()]
    await guild.score(*file, *live)
    assert await guild.has("ann") == 2
    clock.advance(DECISION_DAYS + DAY)
    await forget(guild)
    assert await rows(guild, decisions) == 0
    again = [guild.act(id=a.id, at=a.effective_at, **how) for a in [*reversed(file), *reversed(live)]]
    assert [a.event_id for a in again] == [a.event_id for a in [*reversed(file), *reversed(live)]]
    await guild.score(*again)
    assert await guild.has("ann") == 2
    assert {v for a in again for _, v, _ in await guild.verdicts(a)} == {"late"}
    other_day = guild.act(at=OLD - 5 * DAY, import_name="older")
    await guild.score(other_day)
    assert await guild.verdicts(other_day) == [("talk", "granted", 1)]
    await check_books(guild.db)


async def test_a_counter_that_is_purged_while_somebody_takes_it_is_made_again_and_held(guild: Guild) -> None:
    """The row of a rolling window is only a lock; it may go at any moment, the lock may not."""
    await guild.publish(rule(caps=[{"per": "rolling", "seconds": 3600, "limit": 10}]))
    await guild.score(*[guild.act() for _ in range(9)])
    some = [guild.act() for _ in range(40)]
    done = asyncio.Event()

    async def purging_all_the_time() -> None:
        while not done.is_set():
            await purging.sweep(guild.db, counters, true(), stopping=done)
            await asyncio.sleep(0)

    sweeping = asyncio.create_task(purging_all_the_time())
    await asyncio.gather(*(guild.score(one) for one in some))
    done.set()
    await sweeping
    assert [(await guild.verdicts(one))[0][1] for one in some].count("granted") == 1
    assert await guild.has("ann") == 10
