"""Versions of rules that hold from a time to come: by when something happened, not by when it is handled (R33)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from kit.contracts.events import Activity
from kit.database import Database
from kit.errors import Conflict, NotFound, Unprocessable
from services.rewards.domain.versions import Published, Schedule, schedule_of
from services.rewards.handlers import keeping, reviewing, rules
from services.rewards.handlers.ledger import ensure_defaults
from services.rewards.store import entries as entries_store
from services.rewards.tables.reviews import reviews
from services.rewards.tables.rules import decisions
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, check_books
from tests.rewards.plans.histories import Step, act, rule_sets, steps
from tests.rewards.plans.test_from_the_beginning import besides, boards_of, cut, has
from tests.rewards.undoing.support import LIKED, minute, react, unreact
from tests.rewards.undoing.test_refilling import ONCE
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

NOON = MORNING + timedelta(hours=4)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def twin(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


async def ran(guild: Guild, *some: Activity) -> list[tuple[int, int]]:
    """(version, amount) of the one decision on each of these."""
    out = []
    async with guild.db.read() as tx:
        for a in some:
            (row,) = await tx.all(select(decisions).where(decisions.c.event_id == a.event_id))
            out.append((row.rule_version, row.amount))
    return out


async def cancel(guild: Guild, version: int) -> None:
    async with guild.db.begin() as tx:
        await rules.cancel(tx, community_id=guild.id, version=version, actor="operator:o")


async def test_one_batch_is_scored_by_the_version_of_each_activity_s_time(guild: Guild) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    some = [guild.act(at=at) for at in (NOON, NOON - SECOND, NOON + SECOND, MORNING)]
    await guild.score(*some)
    assert await ran(guild, *some) == [(3, 5), (2, 1), (3, 5), (2, 1)]
    async with guild.db.read() as tx:
        (row,) = await tx.all(select(decisions).where(decisions.c.event_id == some[0].event_id))
        entry = await entries_store.entry(tx, guild.id, row.transaction_id)
    assert entry is not None
    assert entry.rule_version == 3, "the version used is stored on the entry"
    await check_books(guild.db)


async def test_who_was_down_over_the_boundary_scores_what_was_before_it_by_the_rules_of_then(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    clock.advance(timedelta(days=3))
    before, after = guild.act(at=NOON - SECOND, late=timedelta(hours=47)), guild.act(at=NOON)
    await guild.score(before)
    await guild.score(after)
    assert await ran(guild, before, after) == [(2, 1), (3, 5)]


async def test_history_from_before_a_schedule_is_scored_by_what_held_before_it(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    clock.advance(timedelta(days=3))
    long_ago = guild.act(at=MORNING - timedelta(days=300), import_name="log")
    await guild.score(long_ago)
    assert await ran(guild, long_ago) == [(2, 1)]


async def test_a_fix_that_is_published_meanwhile_holds_until_the_schedule_starts(guild: Guild) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    await guild.publish(rule(amount=2))
    before, after = guild.act(at=NOON - SECOND), guild.act(at=NOON)
    await guild.score(before, after)
    assert await ran(guild, before, after) == [(4, 2), (3, 5)]


async def test_a_version_without_a_time_published_after_the_start_holds_for_whatever_is_handled(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=5), effective_from=NOON)
    clock.now = NOON + SECOND
    await guild.publish(rule(amount=2))
    some = [guild.act(at=at) for at in (NOON - SECOND, NOON, NOON + SECOND)]
    await guild.score(*some)
    assert await ran(guild, *some) == [(3, 2)] * 3


async def test_of_several_the_latest_start_holds_and_of_one_time_the_newest(guild: Guild) -> None:
    await guild.publish(rule(amount=1))
    evening = NOON + timedelta(hours=6)
    for amount, at in ((7, evening), (5, NOON), (6, NOON)):
        await guild.publish(rule(amount=amount), effective_from=at)
    some = [guild.act(at=at) for at in (NOON - SECOND, NOON, evening)]
    await guild.score(*some)
    assert await ran(guild, *some) == [(2, 1), (5, 6), (3, 7)]


async def test_what_is_cancelled_never_holds_and_what_has_started_is_rolled_back(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    await guild.publish(rule(amount=6), effective_from=NOON)
    await cancel(guild, 4)
    await cancel(guild, 4)
    first = guild.act(at=NOON)
    await guild.score(first)
    assert await ran(guild, first) == [(3, 5)]
    clock.now = NOON
    for version, code in ((3, "version_started"), (2, "version_unscheduled"), (9, "rules_unknown")):
        with pytest.raises((Conflict, NotFound)) as refused:
            await cancel(guild, version)
        assert refused.value.code == code


@pytest.mark.parametrize("off", [timedelta(), -SECOND, timedelta(days=400, seconds=1)], ids=str)
async def test_only_a_time_to_come_and_not_too_far_can_be_scheduled(
    guild: Guild, clock: ManualClock, off: timedelta
) -> None:
    with pytest.raises(Unprocessable) as refused:
        await guild.publish(rule(), effective_from=clock() + off)
    assert (refused.value.code, refused.value.errors[0].pointer) == ("schedule_invalid", "/effective_from")


async def test_no_more_than_twenty_wait_for_their_time(guild: Guild) -> None:
    for n in range(20):
        await guild.publish(rule(), effective_from=NOON + n * SECOND)
    with pytest.raises(Conflict) as refused:
        await guild.publish(rule(), effective_from=NOON)
    assert refused.value.code == "too_many_scheduled"
    await cancel(guild, 2)
    await guild.publish(rule(), effective_from=NOON)


async def test_a_time_that_passed_while_scoring_kept_the_publisher_waiting_is_past(
    guild: Guild, clock: ManualClock
) -> None:
    """Else activities that happened after it, scored meanwhile, went by the old rules."""
    async with guild.db.begin() as scoring:
        await keeping.enter(scoring, {guild.id})
        publishing = asyncio.create_task(guild.publish(rule(amount=5), effective_from=NOON))
        await asyncio.sleep(0.2)
        clock.now = NOON
    with pytest.raises(Unprocessable):
        await publishing


async def test_a_cancel_that_waited_for_those_who_score_until_the_start_comes_too_late(
    guild: Guild, clock: ManualClock
) -> None:
    version = await guild.publish(rule(amount=5), effective_from=NOON)
    async with guild.db.begin() as scoring:
        await keeping.enter(scoring, {guild.id})
        cancelling = asyncio.create_task(cancel(guild, version))
        await asyncio.sleep(0.2)
        clock.now = NOON
    with pytest.raises(Conflict):
        await cancelling


async def test_the_first_version_of_a_community_has_to_hold_from_the_beginning(db: Database) -> None:
    """Scoring waits for rules: with none for what happens before, the log would stand still until then."""
    nobody = Guild(db, uuid4(), [])
    async with db.begin() as tx:
        await ensure_defaults(tx, [nobody.id])
    with pytest.raises(NotFound):
        await nobody.publish(rule(), effective_from=NOON)


async def test_another_community_s_schedule_is_its_own(guild: Guild) -> None:
    other = await make_guild(guild.db)
    for place in (guild, other):
        await place.publish(rule(amount=1))
    await guild.publish(rule(amount=5), effective_from=NOON)
    mine, theirs = guild.act(at=NOON), other.act(at=NOON)
    await guild.score(mine, theirs)
    assert await ran(guild, mine, theirs) == [(3, 5), (2, 1)]


async def test_what_one_version_gave_is_undone_as_that_one_said_whichever_holds_by_then(guild: Guild) -> None:
    named = rule(undone_by=["order.cancelled"], amount=4)
    await guild.publish(named)
    await guild.publish(rule(undone_by=["order.dropped"], amount=9), effective_from=NOON)
    before = guild.act(at=NOON - SECOND, subject="m1")
    after = guild.act(at=NOON, subject="m2")
    await guild.score(before, after)
    assert await guild.has("ann") == 13
    await guild.score(
        guild.act("order.cancelled", at=NOON + SECOND, subject="m1"),
        guild.act("order.cancelled", at=NOON + SECOND, subject="m2"),
    )
    assert await guild.has("ann") == 9
    await guild.score(guild.act("order.dropped", at=NOON + SECOND, subject="m2"))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_an_inverse_event_that_is_handled_before_what_it_undoes_is_known_to_the_other_version(
    guild: Guild,
) -> None:
    await guild.publish(rule(undone_by=["order.cancelled"], amount=4))
    await guild.publish(rule(amount=9), effective_from=NOON)
    await guild.score(guild.act("order.cancelled", at=NOON + SECOND, subject="m1"))
    await guild.score(guild.act(at=NOON - SECOND, subject="m1"))
    assert await guild.has("ann") == 0


async def test_both_versions_count_for_the_same_limits(guild: Guild) -> None:
    await guild.publish(rule(amount=4, caps=[{"limit": 6}]))
    await guild.publish(rule(amount=5, caps=[{"limit": 10}]), effective_from=NOON)
    some = [guild.act(at=at) for at in (MORNING, NOON, NOON + SECOND)]
    await guild.score(*some)
    late = guild.act(at=NOON - SECOND)
    await guild.score(late)
    assert await ran(guild, *some, late) == [(2, 4), (3, 5), (3, 1), (2, 0)]


async def test_what_waits_for_a_place_or_for_somebody_s_word_keeps_the_version_that_decided_it(guild: Guild) -> None:
    liked = {**LIKED, "caps": [ONCE]}
    await guild.publish(liked, rule(review_when="true", amount=4))
    more = [{"to": "subject_author", "unit": "xp", "amount": 8}]
    await guild.publish({**liked, "give": more}, rule(amount=9), effective_from=NOON)
    heart, star = react(guild, at=minute(0)), react(guild, kind="star", at=minute(1))
    doubtful = guild.act(by="cy")
    await guild.score(heart, star, doubtful)
    await guild.score(unreact(guild, at=NOON + SECOND))
    assert await ran(guild, star) == [(2, 2)]
    async with guild.db.begin() as tx:
        (waiting,) = await tx.all(select(reviews.c.id))
        await reviewing.decide(tx, guild.id, [waiting.id], "approve", reason="", actor="operator:o")
    assert (await guild.has("cy"), await ran(guild, doubtful)) == (4, [(2, 4)])
    await check_books(guild.db)


async def test_a_schedule_costs_a_batch_no_statement(guild: Guild) -> None:
    await guild.publish(rule())
    counts = []
    for at in (NOON, NOON + timedelta(days=1)):
        some = [guild.act(at=NOON - SECOND), guild.act(at=NOON + timedelta(days=2))]
        await guild.score(guild.act(at=NOON - SECOND), guild.act(at=NOON + timedelta(days=2)))
        with Statements(guild.db) as statements:
            await guild.score(*some)
        counts.append(len(statements.texts))
        await guild.publish(rule(), effective_from=at)
    assert counts[0] == counts[1], statements.texts


def test_versions_that_were_not_scheduled_follow_each_other_by_number_whatever_the_clocks_said() -> None:
    behind = [Published(1, None, NOON), Published(2, None, MORNING)]
    assert schedule_of(behind) == Schedule(2)
    assert schedule_of([Published(1, NOON, MORNING)]) is None


@dataclass(frozen=True)
class Made:
    """A version: its rules, since when it holds where that was said, when it was published."""

    rules: dict[str, Any]
    effective_from: datetime | None
    published_at: datetime


def by_the_definition(versions: Sequence[Made], at: datetime) -> int:
    """The place of the one that holds: of those that are unscheduled or have started, that with the latest start."""
    may = [n for n, one in enumerate(versions) if one.effective_from is None or one.effective_from <= at]
    return max(may, key=lambda n: (versions[n].effective_from or versions[n].published_at, n))


_times = st.integers(1, 4 * 1440).map(lambda n: MORNING + timedelta(hours=1, minutes=n))


@settings(max_examples=15, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(
    data=st.data(),
    sets=st.lists(rule_sets(), min_size=4, max_size=4),
    starts=st.lists(_times, min_size=2, max_size=2),
    fixed_at=_times,
    history=st.lists(steps, min_size=2, max_size=14),
    more=st.lists(steps, min_size=1, max_size=6),
)
async def test_however_it_is_cut_into_batches_everything_is_scored_by_the_version_of_its_time(
    db: Database,
    twin: Database,
    clock: ManualClock,
    data: st.DataObject,
    sets: list[dict[str, Any]],
    starts: list[datetime],
    fixed_at: datetime,
    history: list[Step],
    more: list[Step],
) -> None:
    """The twin has no schedule: before each activity the version of its time is published anew. In between somebody
    publishes a fix."""
    began = clock.now
    guild, other = await make_guild(db), await make_guild(twin)
    made, versions = list[Made](), dict[UUID, int]()

    async def publish(rule_set: dict[str, Any], at: datetime | None) -> None:
        await guild.publish(*rule_set["rules"], **besides(rule_set), effective_from=at)
        made.append(Made(rule_set, at, clock.now))

    async def score(some: list[Step]) -> None:
        acts = [act(guild, step) for step in some]
        for batch in cut(data, acts):
            await guild.score(*batch)
        for a in acts:
            number = by_the_definition(made, a.effective_at)
            versions[a.event_id], wanted = number + 2, made[number].rules
            await other.publish(*wanted["rules"], **besides(wanted))
            await other.score(replace(a, community_id=other.id))

    await publish(sets[0], None)
    await publish(sets[1], starts[0])
    await publish(sets[2], starts[1])
    await score(history)
    clock.now = fixed_at
    await publish(sets[3], None)
    await score(more)
    clock.now = began
    assert await ran_otherwise(guild, versions) == []
    assert await has(guild, guild) == await has(other, guild)
    await check_books(db)
    days = {MORNING.date() + timedelta(days=n) for n in range(-1, 8)}
    assert await boards_of(guild, days) == await boards_of(other, days)


async def ran_otherwise(guild: Guild, versions: Mapping[UUID, int]) -> list[Any]:
    """Decisions by another version than these say of their events; what was taken back has that of what gave it."""
    async with guild.db.read() as tx:
        rows = await tx.all(select(decisions).where(decisions.c.event_id.in_(versions)))
    own = [row for row in rows if not row.receiver.startswith(("undo", "kept"))]
    return [row for row in own if row.rule_version != versions[row.event_id]]
