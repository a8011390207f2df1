"""What is stored of a streak is what its facts say, whatever happened in whatever order (R25)."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from kit.errors import Conflict, Unprocessable
from services.rewards.domain.checkins import Freeze, Programme, Repair, Series
from services.rewards.domain.streaks import State, fold
from services.rewards.handlers import calendars, checkins, mending, refolding, welcome
from services.rewards.store import checkins as store
from services.rewards.tables.checkins import checkin_streaks
from tests.rewards.checkins.support import DAY_STARTS, ZONES, schedules, series
from tests.rewards.guild import Guild, envelope, make_guild
from tests.rewards.ledger.support import check_books, community_changed, member_changed
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

BEGIN = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
"""New York and London change their clocks in the weeks after it."""


@st.composite
def programmes(draw: st.DrawFn) -> Programme:
    first = BEGIN.date() + timedelta(days=draw(st.integers(-3, 4)))
    return Programme(
        first_day=first,
        last_day=first + timedelta(days=draw(st.integers(0, 12))),
        absences=draw(st.integers(0, 4)),
        per_days=draw(st.one_of(st.none(), st.integers(1, 7))),
    )


@st.composite
def definitions(draw: st.DrawFn) -> Series:
    return series(
        id="course",
        scope=draw(st.sampled_from(["community", "member"])),
        day_start=draw(st.one_of(st.none(), DAY_STARTS)),
        schedule=draw(schedules()),
        freeze=Freeze(price=0, earned_every=draw(st.one_of(st.none(), st.integers(1, 4)))),
        repair=Repair(price=draw(st.sampled_from([0, 5])), within_days=5, per_month=9),
        programme=draw(st.one_of(st.none(), programmes())),
    )


HOURS = st.one_of(st.integers(1, 40), st.integers(20, 28))
DAYS = st.integers(0, 6)
STEPS = st.one_of(
    # Mostly a check-in about a day after the one before.
    st.tuples(st.just("check in"), HOURS, st.one_of(st.just(0), st.integers(0, 60))),
    st.tuples(st.just("check in"), HOURS, st.just(0)),
    st.tuples(st.just("history"), HOURS, st.integers(0, 400)),
    st.tuples(st.just("buy"), HOURS, st.just(0)),
    st.tuples(st.just("repair"), HOURS, DAYS),
    st.tuples(st.just("pause"), HOURS, DAYS),
    st.tuples(st.just("resume"), HOURS, st.just(0)),
    st.tuples(st.sampled_from(["done", "excused", "undone"]), HOURS, DAYS),
    st.tuples(st.sampled_from(["travel", "move"]), HOURS, st.sampled_from(ZONES)),
)


class Life:
    """One member of a new community."""

    def __init__(self, guild: Guild, clock: ManualClock, made: Series) -> None:
        self.guild, self.clock, self.made, self.version = guild, clock, made, 1
        self.who = guild.id, made.id, guild.member("ann")

    async def step(self, what: str, hours: int, value: Any) -> None:
        self.clock.advance(timedelta(hours=hours))
        now = self.clock.now
        self.version += 1
        if what in ("check in", "history"):
            more = {"import_name": "old"} if what == "history" else {}
            late = timedelta(hours=value)
            await self.guild.score(self.guild.act("checkin.submitted", at=now - late, late=late, **more))
        elif what == "travel":
            event = member_changed(self.guild.id, self.who[2], "ann")
            await self.guild.know("ann", zone=value, version=self.version)
            async with self.guild.db.begin() as tx:
                await calendars.follow_members(tx, [envelope(event)])
        elif what == "move":
            # As the members service tells it: when the community's day begins from which it holds.
            community = self.guild.id, self.guild.id
            async with self.guild.db.read() as tx:
                days = (await calendars.read(tx, {community: ("UTC", 0)}))[community]
            self.clock.now = now = days.end_of(days.day_of(now)) + timedelta(minutes=1)
            born = community_changed(self.guild.id, zone=value, version=self.version)
            await self.guild.hear(born)
            news = envelope(born)
            async with self.guild.db.begin() as tx:
                await welcome(tx, [type(news)(news.id, now, news.community_id, None, born, news.origin)])
        else:
            async with self.guild.db.begin() as tx:
                await self._mend(tx, what, value)

    async def _mend(self, tx: Any, what: str, value: int) -> None:
        day = (await mending.look(tx, *self.who)).standing.today - timedelta(days=value)
        if what == "buy":
            await mending.buy(tx, *self.who, "op:o")
        elif what == "repair":
            await mending.repair(tx, *self.who, day, "op:o")
        elif what == "pause":
            await mending.pause(tx, *self.who, None, value + 1, "", "op:o")
        elif what == "resume":
            await mending.resume(tx, *self.who)
        else:
            await mending.mark(tx, *self.who, day, what, "because", "op:o")

    async def check(self) -> None:
        async with self.guild.db.read() as tx:
            row = (await store.streaks_of(tx, [self.who])).get(self.who)
            seat = await mending.look(tx, *self.who)
        if row is None:
            assert seat.walked() == []
            return
        again = fold(State(), seat.standing.facts(), seat.held.terms, row.as_of)
        kept = (row.current, row.longest, row.days, row.last_day, row.held)
        state = again.state
        assert kept == (state.current, state.longest, state.days, state.last, state.held)
        assert {fact.day for fact in seat.standing.of("frozen")} == again.frozen
        assert {fact.day for fact in seat.standing.of("earned")} == again.earned
        assert await self.guild.balance(self.who[2], "freezes") == state.held


@settings(max_examples=20)
@given(
    made=definitions(),
    zone=st.sampled_from(ZONES),
    day_start=DAY_STARTS,
    steps=st.lists(STEPS, min_size=1, max_size=25),
)
async def test_what_is_stored_is_what_the_facts_say(
    make_database: MakeDatabase, clock: ManualClock, made: Series, zone: str, day_start: int, steps: list[Any]
) -> None:
    clock.now = BEGIN
    db = await make_database("rewards")
    guild = await make_guild(db, zone=zone, day_start=day_start)
    await guild.give(guild.grant(guild.member("ann"), 1000, BEGIN))
    async with db.begin() as tx:
        await checkins.create(tx, guild.id, made, "op:o")
    life = Life(guild, clock, made)
    for step in steps:
        # What a member may not do at that moment is refused, and nothing of it is kept.
        with suppress(Conflict, Unprocessable):
            await life.step(*step)
        await life.check()
    await check_books(db)
    async with db.read() as tx:
        assert await refolding.verify_streaks(tx) == []


async def test_the_audit_names_a_streak_that_is_not_what_its_facts_say(
    make_database: MakeDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refolding, "PAGE", 2)
    clock.now = BEGIN
    guild = await make_guild(await make_database("rewards"), zone="Asia/Shanghai")
    names = [f"m{n}" for n in range(7)]
    for _ in range(3):
        clock.advance(timedelta(days=1))
        await guild.score(*[guild.act("checkin.submitted", name, clock.now) for name in names])
    clock.advance(timedelta(days=30))
    async with guild.db.read() as tx:
        assert await refolding.verify_streaks(tx) == []
    async with guild.db.begin() as tx:
        wrong = checkin_streaks.c.member_id == guild.member("m4")
        await tx.execute(update(checkin_streaks).where(wrong).values(current=4))
    async with guild.db.read() as tx:
        [fault] = await refolding.verify_streaks(tx)
    assert fault.startswith(f"streak of {guild.member('m4')} in daily of {guild.id} as of 2026-10-23: stored 4 days")
    assert "its facts say 3 days" in fault
