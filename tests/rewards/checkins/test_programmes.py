"""Programmes: a first and a last day, days that may be missed, who fails, and who comes back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Conflict, Unprocessable
from services.rewards.domain.checkins import Freeze, Programme, Repair, Series, Terms
from services.rewards.domain.programmes import Progress, progress
from services.rewards.domain.streaks import Facts, State, fold, walk
from services.rewards.handlers import checkins, mending, standings
from tests.rewards.checkins.support import LETTERS, MONDAY, facts_of, nth, series, terms, told
from tests.rewards.checkins.test_checking_in import DAYS, check_in, live, make, seen, stored
from tests.rewards.checkins.test_checking_in import told as told_of
from tests.rewards.guild import Guild, make_guild
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


def programme(days: int = 14, **fields: Any) -> Programme:
    values = {"first_day": MONDAY, "last_day": nth(days - 1), "absences": 2, "per_days": 7, **fields}
    return Programme(**values)


def within(made: Programme, **fields: Any) -> Terms:
    return terms((date.min, series(programme=made, **fields)))


def days_of(story: str, made: Programme | None = None, days: int | None = None, **more: Any) -> str:
    """What becomes of these days when they are over, `days` after the first."""
    facts = replace(facts_of(story), joined=frozenset({MONDAY}), **more)
    return told(facts, within(made or programme()), len(story) if days is None else days)[0]


@pytest.mark.parametrize(
    ("story", "statuses"),
    [
        ("D.D.DDD", "D.D.DDD?"),
        ("D.D.D.D", "D.D.DX__"),
        ("...", "..X_"),
        # Absences are counted anew in each seven days from the first.
        ("D.D.DDD.D.", "D.D.DDD.D.?"),
        ("DDDDD..D..DD.", "DDDDD..D..DDX_"),
        ("DDEOD.E...", "DDEOD.E..X_"),
    ],
)
def test_the_third_absence_of_seven_days_fails_and_what_comes_after_it_counts_no_more(
    story: str, statuses: str
) -> None:
    assert days_of(story) == statuses


def test_a_pause_is_no_absence() -> None:
    assert days_of("DDEOD.E..", pauses=((nth(5), nth(5)),)) == "DDEODPE..?"


def test_absences_of_the_whole_programme_are_counted_where_no_block_is_named() -> None:
    assert days_of("DD.DDDDDD.D.", programme(per_days=None)) == "DD.DDDDDD.DX_"


def test_nothing_is_asked_for_before_the_first_day_and_after_the_last() -> None:
    made = programme(5)
    facts = Facts(done=frozenset(map(nth, (-2, -1, 0, 1, 2, 3, 4, 5, 6))), joined=frozenset({nth(-9)}))
    letters, state = told(facts, within(made), 20)
    assert (letters, state.current, state.days, state.through) == ("DDDDD", 5, 5, nth(4))


def test_who_joined_and_did_nothing_fails_and_who_did_not_join_is_no_part_of_it() -> None:
    assert days_of("", days=5) == "..X___"
    assert told(Facts(), within(programme()), 5)[0] == ""


def test_who_comes_late_is_asked_for_all_days() -> None:
    assert told(Facts(done=frozenset({nth(1), nth(2)})), within(programme()), 3)[0] == ".DD?"


def test_a_day_that_is_filled_late_brings_back_who_had_failed() -> None:
    assert days_of("D..D.DD") == "D..DX___"
    assert days_of("D.DD.DD") == "D.DD.DD?"
    assert days_of("D.RD.DD") == "D.RD.DD?"


def test_a_freeze_is_no_absence() -> None:
    facts = replace(facts_of("DB....D"), joined=frozenset({MONDAY}))
    made = within(programme(), freeze=Freeze(price=0))
    assert told(facts, made, 7)[0] == "DDF..X__"


@pytest.mark.parametrize(
    ("story", "today", "expected"),
    [
        ("", -1, Progress("to_come", None, 2, False)),
        ("DD.", 3, Progress("running", None, 1, False)),
        ("DDD", 3, Progress("running", None, 2, True)),
        ("DDR", 3, Progress("running", None, 2, False)),
        ("D..D.", 5, Progress("failed", nth(4), 0, False)),
        ("DDDDD..DDDDDDD", 14, Progress("passed", None, 2, False)),
        ("DDDDDDDDDDDDDD", 14, Progress("passed", None, 2, True)),
        ("DDDDDDDDDDDDDD", 13, Progress("running", None, 2, True)),
    ],
)
def test_how_somebody_stands(story: str, today: int, expected: Progress) -> None:
    made = programme()
    facts = replace(facts_of(story), joined=frozenset({MONDAY}))
    walked = list(walk(State(), facts, within(made), nth(today)))
    assert progress(walked, made, nth(today)) == expected


@given(
    story=st.text("D.RE", max_size=40),
    days=st.integers(1, 30),
    absences=st.integers(0, 4),
    per_days=st.one_of(st.none(), st.integers(1, 10)),
    cut=st.integers(0, 40),
    today=st.integers(0, 45),
)
def test_the_table_is_what_counting_by_hand_gives_and_going_on_gives_the_same_state(
    story: str, days: int, absences: int, per_days: int | None, cut: int, today: int
) -> None:
    made = programme(days, absences=absences, per_days=per_days)
    facts = replace(facts_of(story), joined=frozenset({MONDAY}))
    expected, missed, over = "", 0, False
    for n, letter in enumerate(story.ljust(60, ".")[: min(days, today + 1)]):
        missed = 0 if per_days is not None and n % per_days == 0 else missed
        is_open = letter == "." and n == today
        missed += letter == "." and not is_open
        failed = not over and missed > absences
        expected += "_" if over else "X" if failed else "?" if is_open else letter
        over = over or failed
    letters, state = told(facts, within(made), today)
    assert letters == expected
    assert (state.failed is not None) == over
    whole = fold(State(), facts, within(made), nth(today))
    kept = fold(State(), facts, within(made), nth(min(cut, today)), keep=nth(min(cut, today) - 1)).kept
    on = fold(kept, facts, within(made), nth(today)) if kept is not None else whole
    assert on.state == whole.state == replace(state, through=whole.state.through)


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    return await make_guild(await make_database("rewards"))


async def begun(guild: Guild, **fields: Any) -> Series:
    made = programme(**{"joins_on": ("course.joined",), **fields})
    return await make(guild, id="course", programme=made, repair=Repair(price=0, within_days=9, per_month=9))


async def test_who_joins_by_an_event_is_in_the_table_with_every_day(guild: Guild, clock: ManualClock) -> None:
    await begun(guild)
    await guild.score(guild.act("course.joined", "bob", DAYS[0]), guild.act("course.joined", "bob", DAYS[0]))
    for day in (0, 1, 3):
        await live(guild, clock, day, "ann")
    clock.now = DAYS[4]
    async with guild.db.read() as tx:
        table = await standings.table(tx, guild.id, "course", after=None, limit=10)
    shown = {seat.standing.key[2]: "".join(LETTERS[day.status] for day in seat.walked()) for seat in table.seats}
    assert shown == {guild.member("ann"): "DD.D?", guild.member("bob"): "..X__"}
    assert await stored(guild, "bob", "course") == (0, 0, 0)


async def test_a_table_is_read_in_pages(guild: Guild) -> None:
    await begun(guild)
    names = [f"m{n}" for n in range(7)]
    await guild.score(*[guild.act("course.joined", name, DAYS[0]) for name in names])
    ids, after, more = [], None, True
    while more:
        async with guild.db.read() as tx:
            table = await standings.table(tx, guild.id, "course", after=after, limit=3)
        ids += [seat.standing.key[2] for seat in table.seats]
        after, more = ids[-1], table.more
    assert ids == sorted(map(guild.member, names))


async def test_only_joining_that_the_condition_holds_of_counts(guild: Guild) -> None:
    await begun(guild, joins_when='event.data.course == "go"')
    await guild.score(
        guild.act("course.joined", "ann", DAYS[0], data={"course": "go"}),
        guild.act("course.joined", "bob", DAYS[0], data={"course": "c"}),
        guild.act("course.joined", "cy", DAYS[0]),
    )
    async with guild.db.read() as tx:
        table = await standings.table(tx, guild.id, "course", after=None, limit=10)
    assert [seat.standing.key[2] for seat in table.seats] == [guild.member("ann")]


async def test_check_ins_outside_of_the_programme_are_no_part_of_it(guild: Guild, clock: ManualClock) -> None:
    await begun(guild, first_day=nth(2), last_day=nth(4))
    for day in range(7):
        await live(guild, clock, day, "ann")
    assert await told_of(guild, of="course") == "DDD"
    assert await stored(guild, of="course") == (3, 3, 0)


async def test_a_late_check_in_and_a_repair_bring_back_who_failed(guild: Guild, clock: ManualClock) -> None:
    await begun(guild)
    for day in (0, 4):
        await live(guild, clock, day, "ann")
    assert await told_of(guild, of="course") == "D..X_"
    await guild.score(check_in(guild, 2, late=timedelta(days=2)))
    assert await told_of(guild, of="course") == "D.D.D"
    clock.now = DAYS[6]
    assert await told_of(guild, of="course") == "D.D.DX_"
    async with guild.db.begin() as tx:
        await mending.repair(tx, guild.id, "course", guild.member("ann"), nth(5), "member:ann")
    assert await told_of(guild, of="course") == "D.D.DR?"
    assert await stored(guild, of="course") == (2, 2, 0)


async def test_an_operator_lets_somebody_in_and_nobody_into_a_series_that_only_goes_on(guild: Guild) -> None:
    await begun(guild)
    who = guild.id, "course", guild.member("ann")
    async with guild.db.begin() as tx:
        _, new = await mending.mark(tx, *who, nth(-3), "joined", "asked by letter", "operator:o")
        _, again = await mending.mark(tx, *who, nth(-3), "joined", "asked by letter", "operator:o")
    assert (new, again) == (True, False)
    assert await told_of(guild, of="course") == "?"
    async with guild.db.begin() as tx:
        with pytest.raises(Unprocessable, match="no programme"):
            await mending.mark(tx, guild.id, "daily", who[2], nth(0), "joined", "why not", "operator:o")
        with pytest.raises(Unprocessable, match="lasts from"):
            await mending.mark(tx, *who, nth(-3), "done", "why not", "operator:o")


async def test_a_freeze_that_is_bought_before_the_programme_begins_is_there_when_it_does(
    guild: Guild, clock: ManualClock
) -> None:
    made = programme(first_day=nth(2), last_day=nth(9), absences=0)
    await make(guild, id="course", programme=made, freeze=Freeze(price=0, max_held=1))
    async with guild.db.begin() as tx:
        await mending.buy(tx, guild.id, "course", guild.member("ann"), "member:ann")
    assert await stored(guild, of="course") == (0, 0, 1)
    async with guild.db.begin() as tx:
        with pytest.raises(Conflict, match="at most 1"):
            await mending.buy(tx, guild.id, "course", guild.member("ann"), "member:ann")
    for day in (2, 4):
        await live(guild, clock, day, "ann")
    assert await told_of(guild, of="course") == "DFD"


async def test_no_freeze_is_sold_to_who_is_out_of_the_programme(guild: Guild, clock: ManualClock) -> None:
    await begun(guild)
    await guild.score(guild.act("course.joined", "ann", DAYS[0]))
    clock.now = DAYS[5]
    for name, why in (("ann", "failed"), ("bob", "takes no part")):
        async with guild.db.begin() as tx:
            with pytest.raises(Conflict, match=why):
                await mending.buy(tx, guild.id, "course", guild.member(name), "member:ann")


async def test_a_programme_changes_until_it_begins_and_is_never_put_on_or_taken_off(guild: Guild) -> None:
    made = await begun(guild, first_day=nth(3))
    async with guild.db.begin() as tx:
        later = replace(made, programme=replace(made.programme or programme(), first_day=nth(4)))
        held = await checkins.existing(tx, guild.id, "course")
        held = await checkins.change(tx, held, later, nth(2), "operator:o")
        assert held.terms.present.programme == later.programme
        with pytest.raises(Conflict, match="begin"):
            await checkins.change(tx, held, made, nth(5), "operator:o")
        with pytest.raises(Conflict, match="another series"):
            await checkins.change(tx, held, replace(made, programme=None), nth(2), "operator:o")


async def test_whoever_travels_is_asked_by_their_own_days(guild: Guild, clock: ManualClock) -> None:
    made = programme(3, absences=0, per_days=None)
    await make(guild, id="course", scope="member", programme=made)
    await guild.know("ann", zone="Pacific/Kiritimati")
    await guild.know("bob", zone="Etc/GMT+12")
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    clock.now = at
    await guild.score(guild.act("checkin.submitted", "ann", at), guild.act("checkin.submitted", "bob", at))
    assert (await told_of(guild, "ann", "course"), await told_of(guild, "bob", "course")) == ("D", "")
    seat = await seen(guild, "bob", "course")
    assert progress(seat.walked(), made, seat.standing.today).standing == "to_come"
