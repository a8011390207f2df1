"""Days on which the bot was away are nobody's fault (R28)."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from kit.contracts.events import GapChanged
from kit.contracts.rewards import DaysExcused
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.outages import Gap, excused
from services.rewards.handlers import checkins, mending, outages
from services.rewards.tables.checkins import checkin_facts
from tests.rewards.checkins.support import LETTERS, calendars, instants, series
from tests.rewards.guild import Guild, envelope, make_guild
from tests.rewards.ledger.support import announced, check_books
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

BOT, OTHER = uuid4(), uuid4()
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def at(day: int, hour: float) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = at(0, 20)
    return await make_guild(await make_database("rewards"))


async def check_in(guild: Guild, clock: ManualClock, day: int, bot: UUID | None = BOT, by: str = "ann") -> None:
    clock.now = at(day, 20)
    await guild.score(guild.act("checkin.submitted", by, clock.now, connection_id=bot))


async def gap(
    guild: Guild, since: datetime, until: datetime | None, id: UUID | None = None, kind: str = "heartbeat"
) -> UUID:
    told = GapChanged(
        community_id=guild.id, connection_id=BOT, gap_id=id or uuid4(), kind=kind, since=since, until=until
    )
    async with guild.db.begin() as tx:
        await outages.follow_gaps(tx, [envelope(told)])
    return told.gap_id


async def told(guild: Guild, name: str = "ann") -> str:
    async with guild.db.read() as tx:
        seat = await mending.look(tx, guild.id, "daily", guild.member(name))
    return "".join(LETTERS[day.status] for day in seat.walked())


async def test_a_day_that_the_bot_was_silent_at_the_end_of_is_excused_for_those_who_use_it(
    guild: Guild, clock: ManualClock
) -> None:
    for name, bot in (("ann", BOT), ("bob", OTHER), ("cat", None)):
        await check_in(guild, clock, 0, bot, name)
    id = await gap(guild, at(1, 21), None)
    clock.now = at(2, 1)
    assert [await told(guild, name) for name in ("ann", "bob", "cat")] == ["DO?", "D.?", "D.?"]
    await gap(guild, at(1, 21), at(2, 2), id)
    await check_in(guild, clock, 2)
    assert await told(guild) == "DOD"
    async with guild.db.read() as tx:
        kinds = await tx.all(select(checkin_facts.c.kind, checkin_facts.c.day).where(checkin_facts.c.kind == "outage"))
    assert [tuple(row) for row in kinds] == [("outage", date(2026, 11, 3))]


async def test_the_days_are_announced_when_the_silence_is_over_once_for_each_series(
    guild: Guild, clock: ManualClock
) -> None:
    async with guild.db.begin() as tx:
        await checkins.create(tx, guild.id, series(id="late", name="Late", day_start=240), "operator:o")
        await checkins.create(tx, guild.id, series(id="strict", name="Strict", outage_hours=None), "operator:o")
    clock.now = at(2, 1)
    id = await gap(guild, at(0, 21), None)
    assert await announced(guild.db, DaysExcused) == []
    await gap(guild, at(0, 21), at(2, 2), id)
    some = await announced(guild.db, DaysExcused)
    assert {(one.series_id, one.days) for one in some} == {
        ("daily", ("2026-11-02", "2026-11-03")),
        ("late", ("2026-11-02",)),
    }
    assert {(one.connection_id, one.gap_id) for one in some} == {(BOT, id)}
    await gap(guild, at(2, 3), at(2, 9))
    await gap(guild, at(0, 1), at(2, 2), kind="sequence")
    assert len(await announced(guild.db, DaysExcused)) == 2


async def test_an_outage_uses_no_freeze(guild: Guild, clock: ManualClock) -> None:
    await guild.give(guild.grant(guild.member("ann"), 100))
    await check_in(guild, clock, 0)
    async with guild.db.begin() as tx:
        await mending.buy(tx, guild.id, "daily", guild.member("ann"), "member:ann")
    await gap(guild, at(1, 3), at(3, 4))
    await check_in(guild, clock, 4)
    assert (await told(guild), await guild.has("ann", "freezes")) == ("DOOFD", 0)
    await check_books(guild.db)


@pytest.mark.parametrize(
    ("since", "until"), [((1, 12), (1, 23.5)), ((1, 22.5), (2, 12)), ((1, 1), (1, 20)), ((2, 0), (2, 12))]
)
async def test_a_silence_that_leaves_time_excuses_nothing(
    guild: Guild, clock: ManualClock, since: tuple[int, float], until: tuple[int, float]
) -> None:
    await check_in(guild, clock, 0)
    await gap(guild, at(*since), at(*until))
    await check_in(guild, clock, 2)
    assert await told(guild) == "D.D"


async def test_a_series_may_excuse_none_and_missing_numbers_are_no_silence(guild: Guild, clock: ManualClock) -> None:
    await check_in(guild, clock, 0)
    await gap(guild, at(1, 1), at(2, 2), kind="sequence")
    clock.now = at(2, 3)
    assert await told(guild) == "D.?"
    await gap(guild, at(1, 1), at(2, 2))
    assert await told(guild) == "DO?"
    async with guild.db.begin() as tx:
        before = await checkins.existing(tx, guild.id, "daily")
        await checkins.change(tx, before, series(outage_hours=None), date(2026, 11, 6), "operator:o")
    assert await told(guild) == "D.?"


@given(calendars(), instants(days=60), st.integers(1, 24), st.integers(0, 200), st.integers(0, 100))
def test_a_day_is_excused_when_its_last_hours_lie_in_the_silence(
    calendar: Calendar, since: datetime, hours: int, length: int, later: int
) -> None:
    until = since + timedelta(hours=length)
    now = until + timedelta(hours=later)
    first = calendar.day_of(since) - timedelta(days=1)
    silence, others = Gap(BOT, since, until), Gap(OTHER, since, None)
    found = excused([silence, others], BOT, first, hours, calendar, now)
    assert found == excused([silence], BOT, first, hours, calendar, now)
    for day in found:
        begin, end = calendar.begin_of(day), calendar.end_of(day)
        assert end <= until
        assert since <= max(begin, end - timedelta(hours=hours))
    assert excused([silence], BOT, calendar.day_of(until), hours, calendar, now) == set()
