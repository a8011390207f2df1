"""What rules on other events than check-ins see of a streak: as it was on the day, by what was known when handled."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from kit.contracts.events import Activity
from kit.database import Database
from services.rewards.domain.checkins import DEFAULT_SERIES, Series
from services.rewards.domain.outages import Gap
from services.rewards.domain.streaks import ONE_DAY, Facts, State, walk
from services.rewards.handlers import checkins, mending
from services.rewards.store import checkins as store
from services.rewards.tables.checkins import checkin_facts, checkin_streaks
from tests.rewards.badges.support import badge, define, held
from tests.rewards.boards.test_look_ups import looked_up
from tests.rewards.checkins.support import series, terms
from tests.rewards.checkins.test_checking_in import DAYS, buy, change, check_in, live, make
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.ledger.support import Statements
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase
from tests.support.plans import plans_of

SEES = "1 + streak.current + 1000 * streak.longest + 1000000 * streak.days"
TALK = {**rule(), "give": [{"to": "actor", "unit": "xp", "cel": SEES}], "lateness_hours": 9600}
CHECK_IN = {**TALK, "id": "come", "on": ["checkin.submitted"]}


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(TALK, CHECK_IN)
    return guild


async def saw(guild: Guild, *acts: Activity) -> list[tuple[int, int, int]]:
    """(current, longest, days) of each."""
    out = []
    for a in acts:
        [(_, _, amount)] = await guild.verdicts(a)
        out.append(((amount - 1) % 1000, amount // 1000 % 1000, amount // 1000000))
    return out


async def sees(guild: Guild, day: int, by: str = "ann", at: datetime | None = None, **fields: Any) -> int:
    """The streak that a message of that day sees."""
    talk = guild.act("message.created", by, at or DAYS[day], **fields)
    await guild.score(talk)
    return (await saw(guild, talk))[0][0]


async def test_a_message_sees_the_streak_of_its_day_and_that_of_the_day_before_until_that_is_over(
    guild: Guild, clock: ManualClock
) -> None:
    assert await sees(guild, 0) == 0
    for day in (0, 1, 2):
        await live(guild, clock, day, "ann")
        assert await sees(guild, day) == day + 1
    clock.now = DAYS[3]
    assert await sees(guild, 3) == 3, "the day is open, and may still be done"
    clock.now = DAYS[4]
    assert await sees(guild, 4) == 0
    assert await sees(guild, 4, "bob") == 0


async def test_what_comes_late_sees_its_own_day_whatever_became_of_the_streak(guild: Guild, clock: ManualClock) -> None:
    for day in (0, 1, 2, 5):
        await live(guild, clock, day, "ann")
    clock.now = DAYS[20]
    assert [await sees(guild, day, late=timedelta(days=9)) for day in range(8)] == [1, 2, 3, 3, 0, 1, 1, 0]
    assert [await sees(guild, day, import_name="old") for day in (2, 3, 4)] == [3, 3, 0]


@pytest.mark.parametrize("together", [True, False])
async def test_in_a_batch_an_activity_sees_the_check_ins_before_it_and_none_after_it(
    guild: Guild, clock: ManualClock, together: bool
) -> None:
    clock.now = DAYS[3]
    acts = [
        guild.act(at=DAYS[1]),
        check_in(guild, 1, subject="c1", late=timedelta(days=1)),
        guild.act(at=DAYS[1]),
        guild.act(at=DAYS[2]),
        check_in(guild, 2, subject="c2"),
        guild.act(at=DAYS[2]),
        check_in(guild, 0, subject="c0", late=timedelta(days=2)),
        guild.act(at=DAYS[2]),
        guild.act("checkin.voided", at=DAYS[2] + timedelta(hours=1), subject="c1"),
        guild.act(at=DAYS[2]),
    ]
    for batch in [acts] if together else [[one] for one in acts]:
        await guild.score(*batch)
    seen = await saw(guild, *(a for a in acts[:-2] if a.type == "message.created"), acts[-1])
    assert [current for current, _, _ in seen] == [0, 1, 1, 2, 3, 1]


async def test_a_freeze_and_a_pause_keep_the_streak_that_a_message_sees(guild: Guild, clock: ManualClock) -> None:
    await live(guild, clock, 0, "ann", "bob")
    await buy(guild)
    async with guild.db.begin() as tx:
        await mending.pause(tx, guild.id, "daily", guild.member("bob"), None, 5, "", "member:bob")
    clock.now = DAYS[2]
    assert (await sees(guild, 2), await sees(guild, 2, "bob")) == (1, 1)
    clock.now = DAYS[4]
    assert (await sees(guild, 4), await sees(guild, 4, "bob")) == (0, 1)


async def test_a_day_that_the_bot_was_away_on_ends_no_streak_that_a_message_sees(
    guild: Guild, clock: ManualClock
) -> None:
    bot = guild.member("the bot")
    await guild.score(check_in(guild, 0, connection_id=bot))
    gap = Gap(bot, DAYS[0] + timedelta(hours=1), DAYS[2])
    row = {"community_id": guild.id, "gap_id": bot, "connection_id": bot, "since": gap.since, "until": gap.until}
    async with guild.db.begin() as tx:
        await store.put_gaps(tx, [row])
    clock.now = DAYS[3]
    # In one batch: the outage was before the check-in that comes through another one.
    talk, again = guild.act(at=DAYS[2]), check_in(guild, 2, connection_id=guild.member("another"))
    after = guild.act(at=DAYS[2])
    await guild.score(talk, again, after)
    assert [current for current, _, _ in await saw(guild, talk, again, after)] == [1, 2, 2]


async def test_the_day_goes_by_the_zone_of_the_series_the_communitys_or_the_members_own(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    clock.now = datetime(2026, 11, 4, 12, tzinfo=UTC)
    guild = await make_guild(await make_database("rewards"), zone="America/New_York", day_start=240)
    await guild.publish(TALK)
    third = datetime(2026, 11, 3, 23, tzinfo=UTC)
    await guild.score(guild.act("checkin.submitted", at=third - ONE_DAY), guild.act("checkin.submitted", at=third))
    # Four in the morning is nine o'clock in UTC: until then it is the third.
    night, morning = datetime(2026, 11, 5, 8, 59, tzinfo=UTC), datetime(2026, 11, 5, 9, 1, tzinfo=UTC)
    clock.now = morning
    assert (await sees(guild, 0, at=night), await sees(guild, 0, at=morning)) == (2, 0)

    await make(guild, id="own", scope="member", day_start=0)
    await change(guild, replace(DEFAULT_SERIES, enabled=False), morning.date())
    await guild.know("cy", zone="Asia/Shanghai")
    await guild.score(guild.act("checkin.submitted", "cy", at=datetime(2026, 11, 4, 17, tzinfo=UTC)))
    evening = datetime(2026, 11, 6, 15, 59, tzinfo=UTC)
    clock.now = evening
    assert await sees(guild, 0, "cy", at=evening) == 1, "the sixth in Shanghai, the day after the check-in of the fifth"
    assert await sees(guild, 0, "cy", at=evening + timedelta(minutes=2)) == 0


async def test_the_series_is_the_oldest_that_is_enabled_whatever_else_is_one(guild: Guild, clock: ManualClock) -> None:
    await make(guild, on=("page.read",))
    await guild.publish(TALK, {**TALK, "id": "read", "on": ["page.read"]})
    for day in range(3):
        await live(guild, clock, day, "ann")
    read = guild.act("page.read", at=DAYS[2])
    await guild.score(read)
    assert (await saw(guild, read))[0][0] == 3
    await change(guild, replace(DEFAULT_SERIES, enabled=False), DAYS[3].date())
    read = guild.act("page.read", at=DAYS[2])
    await guild.score(read)
    assert (await saw(guild, read))[0][0] == 1
    await change(guild, series(id="other", name="Other", on=("page.read",), enabled=False), DAYS[3].date())
    assert await sees(guild, 2) == 0


async def test_a_linked_identity_sees_its_members_streak_and_who_was_erased_none(
    guild: Guild, clock: ManualClock
) -> None:
    await live(guild, clock, 0, "ann")
    await guild.link("ann2", to="ann")
    assert await sees(guild, 0, "ann2") == 1
    await guild.know("ann", state="erased", version=2)
    talk = guild.act(at=DAYS[0])
    await guild.publish({**TALK, "give": [{"to": "group", "unit": "xp", "cel": SEES}], "when": "streak.current > 0"})
    await guild.score(talk)
    assert await guild.verdicts(talk) == []


async def test_a_community_sees_no_other_ones_streak(guild: Guild, clock: ManualClock) -> None:
    other = await make_guild(guild.db)
    await other.publish(TALK)
    await live(guild, clock, 0, "ann")
    mine, theirs = guild.act(at=DAYS[0]), other.act(at=DAYS[0])
    await guild.score(mine, theirs)
    assert [current for current, _, _ in await saw(guild, mine, theirs)] == [1, 0]


async def test_a_badges_condition_sees_it_too_and_that_of_a_series_none(guild: Guild, clock: ManualClock) -> None:
    await define(guild, badge("keen", on=("question.asked",), when="streak.current >= 2", least=1))
    await make(guild, on=("question.asked",), when="streak.current > 0")
    for day in range(2):
        await live(guild, clock, day, "ann")
    await guild.score(guild.act("question.asked", at=DAYS[1]), guild.act("question.asked", "bob", at=DAYS[1]))
    assert (await held(guild, "ann", "keen"), await held(guild, "bob", "keen")) == (DAYS[1], None)
    async with guild.db.read() as tx:
        assert await tx.all(select(checkin_facts).where(checkin_facts.c.series_id == "other")) == []


async def test_nothing_is_read_where_no_rule_asks(guild: Guild, clock: ManualClock) -> None:
    await live(guild, clock, 0, "ann")
    await guild.publish(rule(), rule("ask", on="question.asked", when="streak.current > 0"))
    with Statements(guild.db) as statements:
        await guild.score(guild.act(at=DAYS[0]))
    assert [text for text in statements.texts if "checkin_facts" in text or "checkin_calendars" in text] == []


async def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(guild: Guild, clock: ManualClock) -> None:
    names = [f"m{n}" for n in range(40)]
    for day in range(9):
        await live(guild, clock, day, *names)
    counts = []
    for some in (names[:1], names):
        acts = [guild.act("message.created", name, DAYS[day]) for name in some for day in (1, 8)]
        with Statements(guild.db) as statements:
            await guild.score(*acts)
        counts.append(len(statements.texts))
    assert counts[0] == counts[1]


async def test_the_facts_of_years_are_not_read_for_a_message(guild: Guild, clock: ManualClock) -> None:
    old = [check_in(guild, day, import_name="old") for day in range(60)]
    clock.now = DAYS[59]
    await guild.score(*old)
    async with guild.db.begin() as tx:
        await tx.execute(delete(checkin_facts).where(checkin_facts.c.day < DAYS[45].date()))
    assert await sees(guild, 59) == 60


async def test_streaks_are_looked_up_by_their_keys(guild: Guild, clock: ManualClock) -> None:
    names = [f"m{n}" for n in range(40)]
    await live(guild, clock, 0, *names)
    keys = [(guild.id, "daily", guild.member(name)) for name in names[:2]]
    answer, (plan,) = await plans_of(guild.db, lambda tx: store.facts_ahead(tx, keys))
    assert len(answer) == 2
    if guild.db.dialect == "sqlite":
        assert looked_up(plan, "checkin_facts", "community_id", "series_id", "member_id")
        assert looked_up(plan, "checkin_streaks", "community_id", "series_id", "member_id")


async def test_nothing_is_written_for_who_only_talks(guild: Guild, clock: ManualClock) -> None:
    await sees(guild, 0)
    async with guild.db.read() as tx:
        assert await tx.all(select(checkin_streaks)) == []


async def test_who_talks_waits_for_nobody_who_holds_a_streak(guild: Guild, clock: ManualClock) -> None:
    if guild.db.dialect == "sqlite":
        pytest.skip("there is one writer")
    await live(guild, clock, 0, "ann")
    async with guild.db.begin() as tx:
        await mending.pause(tx, guild.id, "daily", guild.member("ann"), None, 2, "", "member:ann")
        assert await asyncio.wait_for(sees(guild, 0), 60) == 1


@dataclass(frozen=True)
class Step:
    """Something of somebody on a day, that arrives some days later."""

    what: str
    by: str
    day: int
    late: int
    subject: int


STEPS = st.builds(
    Step,
    what=st.sampled_from(["check in", "check in", "talk", "talk"]),
    by=st.sampled_from(["ann", "ann", "bob"]),
    day=st.integers(0, 12),
    late=st.sampled_from([0, 0, 1, 2, 5]),
    subject=st.integers(0, 5),
)


def act(guild: Guild, step: Step) -> Activity:
    types = {"check in": "checkin.submitted", "talk": "message.created", "void": "checkin.voided"}
    named = {"subject": f"s{step.subject}"} if step.what != "talk" else {}
    return guild.act(types[step.what], step.by, DAYS[step.day], late=timedelta(days=step.late), **named)


def expected(history: Sequence[Step]) -> list[tuple[int, int, int]]:
    """The plain way: all that was known by then, folded from the beginning until the day."""
    done: dict[str, set[Any]] = {}
    out = []
    for step in history:
        day, mine = DAYS[step.day].date(), done.setdefault(step.by, set())
        # Eight in the evening: two days later it is less than 48 hours since the day ended.
        if step.what == "check in" and step.late <= 2:
            mine.add(day)
        states = [one.state for one in walk(State(), Facts(done=frozenset(mine)), terms(), day)]
        state = states[-1] if states else State()
        out.append((state.current, state.longest, state.days))
    return out


def cut(data: st.DataObject, acts: list[Activity]) -> list[list[Activity]]:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(acts)), max_size=6)))
    return [some for a, b in zip([0, *cuts], [*cuts, len(acts)], strict=True) if (some := acts[a:b])]


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@settings(max_examples=25, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(data=st.data(), history=st.lists(STEPS, min_size=1, max_size=30))
async def test_however_batches_are_cut_each_sees_what_was_known_of_its_day(
    db: Database, clock: ManualClock, data: st.DataObject, history: list[Step]
) -> None:
    clock.now = DAYS[20]
    guild = await make_guild(db)
    await guild.publish(TALK, CHECK_IN)
    acts = [act(guild, step) for step in history]
    for batch in cut(data, acts):
        await guild.score(*batch)
    assert await saw(guild, *acts) == expected(history)


OTHER = Series(id="other", name="Other", schedule=replace(DEFAULT_SERIES.schedule, kind="per_week", times=3))


@settings(max_examples=25, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(
    data=st.data(),
    history=st.lists(st.one_of(STEPS, st.builds(replace, STEPS, what=st.just("void"))), min_size=1, max_size=30),
    weekly=st.booleans(),
)
async def test_what_is_undone_in_between_is_seen_by_what_comes_before_it_however_batches_are_cut(
    db: Database, clock: ManualClock, data: st.DataObject, history: list[Step], weekly: bool
) -> None:
    clock.now = DAYS[20]
    seen = []
    for alone in (True, False):
        guild = await make_guild(db)
        await guild.publish(TALK)
        if weekly:
            async with db.begin() as tx:
                await checkins.create(tx, guild.id, OTHER, "operator:o")
            await change(guild, replace(DEFAULT_SERIES, enabled=False), DAYS[0].date())
        acts = [act(guild, step) for step in history]
        for batch in [[one] for one in acts] if alone else cut(data, acts):
            await guild.score(*batch)
        seen.append(await saw(guild, *(a for a in acts if a.type == "message.created")))
    assert seen[0] == seen[1]
