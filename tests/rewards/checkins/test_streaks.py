"""A streak follows from facts: written-out stories, and that going on gives what beginning again gives."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rewards.domain.calendars import calendar_of
from services.rewards.domain.checkins import Freeze, Schedule, Terms
from services.rewards.domain.streaks import LOOK_BACK, ONE_DAY, Facts, Past, State, fold, walk
from tests.rewards.checkins.support import (
    MONDAY,
    SPAN,
    after,
    any_facts,
    any_terms,
    facts_of,
    instants,
    nth,
    series,
    terms,
    told,
    up_to,
)


def always(schedule: Schedule, **fields: object) -> Terms:
    return terms((date.min, series(schedule=schedule, **fields)))


@pytest.mark.parametrize(
    ("story", "statuses", "current", "longest"),
    [
        ("", "", 0, 0),
        ("D", "D?", 1, 1),
        ("DDD", "DDD?", 3, 3),
        ("DDD.", "DDD.?", 0, 3),
        ("DD.DDD", "DD.DDD?", 3, 3),
        ("DDDRD", "DDDRD?", 5, 5),
        ("DDEOD", "DDEOD?", 3, 3),
        ("..DD", "DD?", 2, 2),
        ("BD.D", "DDFD?", 3, 3),
        ("BD..D", "DDF.D?", 1, 2),
        ("BB...D", "DDFF.D?", 1, 2),
        # A freeze is used to keep a streak, not to keep none; and one bought on the day itself is ahead of its end.
        ("D.bD", "D..D?", 1, 1),
        ("Db", "DF?", 1, 1),
    ],
)
def test_days_make_a_streak(story: str, statuses: str, current: int, longest: int) -> None:
    letters, state = told(facts_of(story), days=len(story))
    assert (letters, state.current, state.longest) == (statuses, current, longest)


def test_the_day_that_is_not_over_is_never_missed() -> None:
    letters, state = told(facts_of("DD"), days=2)
    assert (letters, state.current) == ("DD?", 2)
    letters, state = told(facts_of("DD"), days=3)
    assert (letters, state.current) == ("DD.?", 0)


def test_a_repair_is_a_fact_of_its_day_and_holds_at_every_later_look() -> None:
    """daily#1464: a repaired streak broke again at the next computation."""
    facts = facts_of("DDDRDD")
    for later in (6, 7, 20, 400):
        letters, state = told(facts, days=later)
        assert letters.startswith("DDDRDD")
        assert state.longest == 6


def test_a_late_event_fills_the_day_and_gives_the_freeze_back() -> None:
    before, after_it = (fold(State(), facts_of(story), terms(), nth(4)) for story in ("BD.D", "BDDD"))
    assert (before.frozen, before.state.held, before.state.current) == ({nth(2)}, 0, 3)
    assert (after_it.frozen, after_it.state.held, after_it.state.current) == (frozenset(), 1, 4)


def test_a_freeze_that_came_back_keeps_the_next_day_that_is_missed() -> None:
    letters, state = told(facts_of("BD.D.D"), days=6)
    assert (letters, state.current) == ("DDFD.D?", 1)
    letters, state = told(facts_of("BDDD.D"), days=6)
    assert (letters, state.current) == ("DDDDFD?", 5)


def test_every_third_day_of_a_streak_earns_a_freeze_up_to_what_can_be_held() -> None:
    of = always(Schedule(), freeze=Freeze(max_held=2, earned_every=3))
    facts = facts_of("D" * 12 + "...")
    done = fold(State(), facts, of, nth(15))
    assert done.earned == {nth(2), nth(5)}
    letters, state = told(facts, of, days=15)
    assert letters == "D" * 12 + "FF.?"
    assert (state.current, state.longest, state.held) == (0, 12, 0)


@pytest.mark.parametrize(
    ("schedule", "story", "statuses", "current"),
    [
        # Monday to Friday: a week-end neither helps nor hurts.
        (Schedule(kind="weekdays", weekdays=(1, 2, 3, 4, 5)), "DDDDD..D", "DDDDD--D?", 6),
        (Schedule(kind="weekdays", weekdays=(1, 2, 3, 4, 5)), "DDDDDDDD", "DDDDD--D?", 6),
        (Schedule(kind="weekdays", weekdays=(1, 2, 3, 4, 5)), "DDDD...D", "DDDD.--D?", 1),
        # Every third day from the Monday on.
        (Schedule(kind="every", every=3, first=MONDAY), "D..D..D..", "D--D--D--?", 3),
        (Schedule(kind="every", every=3, first=MONDAY), "D.....D", "D--.--D-", 1),
        # The first and third Monday of the month.
        (
            Schedule(kind="weeks_of_month", weekdays=(1,), weeks=(1, 3)),
            "D.............D",
            "D-------------D-",
            2,
        ),
        # Three times a week, whenever: what is missed is the day after which it cannot be done any more.
        (Schedule(kind="per_week", times=3), "D.D..D.", "D-D--D-?", 3),
        (Schedule(kind="per_week", times=3), "D....D.", "D----D.?", 0),
        (Schedule(kind="per_week", times=3), "D......D", "D----..D?", 1),
        # Began on a Thursday: four days of the week are asked for one check-in.
        (Schedule(kind="per_week", times=3), "...D...D.D.D..", "D---D-D-D--?", 4),
        # Two days off leave five of which two are asked for.
        (Schedule(kind="per_week", times=3), "D.EE..D", "D-EE--D?", 2),
    ],
)
def test_a_schedule_says_what_is_asked_for(schedule: Schedule, story: str, statuses: str, current: int) -> None:
    letters, state = told(facts_of(story), always(schedule), days=len(story))
    assert (letters, state.current) == (statuses, current)


def test_two_absences_in_seven_days_are_free_and_the_third_ends_it_on_its_day() -> None:
    """The rule of a real programme of daily check-ins."""
    of = always(Schedule(kind="per_week", times=5))
    letters, state = told(facts_of("D.D.DDDD.DD.D"), of, days=13)
    assert (letters, state.current) == ("D-D-DDDD-DD-D?", 9)
    letters, state = told(facts_of("D.D.D.DD"), of, days=8)
    assert (letters, state.current) == ("D-D-D.DD?", 2)


def test_a_pause_asks_for_nothing_while_it_lasts_and_what_is_done_in_it_counts() -> None:
    facts = facts_of("DD...D.", pauses=((nth(2), nth(5)),))
    letters, state = told(facts, days=7)
    assert (letters, state.longest) == ("DDPPPD.?", 3)


def test_what_a_day_asks_for_is_what_its_own_version_says() -> None:
    workdays = series(schedule=Schedule(kind="weekdays", weekdays=(1, 2, 3, 4, 5)))
    of = terms((date.min, series()), (nth(7), workdays))
    letters, state = told(facts_of("DDDDD..DDDDD..D"), of, days=15)
    assert (letters, state.current) == ("DDDDD..DDDDD--D?", 6)


# Days of 23 and 25 hours


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25)])
def test_a_check_in_each_evening_is_a_streak_over_a_change_of_the_clocks(day: date, hours: int) -> None:
    calendar, zone = calendar_of("America/New_York", 0), ZoneInfo("America/New_York")
    days = [day + n * ONE_DAY for n in range(-2, 3)]
    evenings = [datetime(d.year, d.month, d.day, 23, 30, tzinfo=zone).astimezone(UTC) for d in days]
    # 24 hours after the evening before the change it is another day, or still the same one.
    assert evenings[2] - evenings[1] == timedelta(hours=hours)
    done = frozenset(map(calendar.day_of, evenings))
    assert done == set(days)
    assert fold(State(), Facts(done=done), terms(), days[-1]).state.current == 5


def test_the_first_and_the_last_minute_of_the_day_of_25_hours_are_one_check_in() -> None:
    calendar = calendar_of("America/New_York", 0)
    first = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
    last = first + timedelta(hours=24, minutes=59)
    assert calendar.day_of(first) == calendar.day_of(last) == date(2026, 11, 1)
    assert calendar.day_of(last + timedelta(minutes=1)) == date(2026, 11, 2)


# Travellers


def test_two_ends_of_a_day_within_a_day_never_make_two_days() -> None:
    """habitica#6959: who changed the zone had two crons on one day, and what was not done yet was missed twice."""
    calendar = calendar_of("Asia/Shanghai", 0)
    evening = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
    moved = calendar.changed(evening, "America/Los_Angeles", 0)
    done = [moved.day_of(evening), moved.day_of(evening + timedelta(hours=17))]
    assert done == [date(2026, 11, 24), date(2026, 11, 24)]
    back = moved.changed(evening + timedelta(hours=3), "Asia/Shanghai", 0)
    moments = [evening + timedelta(hours=n) for n in range(24 * 12)]
    days = [back.day_of(moment) for moment in moments]
    assert days == sorted(days)
    # Eleven days of check-ins at every hour are a streak of as many days as there were dates.
    streak = fold(State(), Facts(done=frozenset(days), brief=back.brief), terms(), days[-1]).state
    assert streak.current == len(set(days))


def test_a_streak_does_not_die_on_a_flight() -> None:
    """habitica#3433. Los Angeles to Shanghai over the night: the 24th has eight hours, all of them in the air."""
    zone = ZoneInfo("America/Los_Angeles")
    evenings = [datetime(2026, 11, d, 20, 0, tzinfo=zone) for d in (21, 22, 23)]
    calendar = calendar_of("America/Los_Angeles", 0)
    done = {calendar.day_of(evening) for evening in evenings}
    landed = datetime(2026, 11, 24, 20, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
    moved = calendar.changed(evenings[-1] + timedelta(hours=1), "Asia/Shanghai", 0)
    assert moved.day_of(landed) == date(2026, 11, 24)
    done.add(moved.day_of(landed + timedelta(hours=14)))
    facts = Facts(done=frozenset(done), brief=moved.brief)
    assert date(2026, 11, 24) not in facts.done
    state = fold(State(), facts, terms(), date(2026, 11, 25)).state
    assert (state.current, state.last) == (4, date(2026, 11, 25))


@given(st.lists(instants(days=300), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_who_checks_in_twelve_hours_apart_keeps_the_streak_wherever_they_go(
    moves: list[datetime], dice: object
) -> None:
    calendar = calendar_of("UTC", 0)
    zones = ("Asia/Shanghai", "America/Los_Angeles", "Pacific/Auckland", "Etc/GMT+12", "Pacific/Kiritimati", "UTC")
    for moment in sorted(moves):
        calendar = calendar.changed(moment, dice.choice(zones), 0)  # type: ignore[attr-defined]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    days = [calendar.day_of(begin + timedelta(hours=11 * n)) for n in range(700)]
    facts = Facts(done=frozenset(days), brief=calendar.brief)
    statuses = {one.status for one in walk(State(), facts, terms(), days[-1])}
    assert statuses <= {"done", "brief"}


# Going on from an earlier state


@given(any_facts(), any_terms(), st.integers(0, SPAN + 20), st.integers(0, SPAN + 20))
def test_going_on_from_a_kept_state_gives_what_beginning_again_gives(
    facts: Facts, of: Terms, early: int, late: int
) -> None:
    early, late = sorted((early, late))
    first = fold(State(), facts, of, nth(late), keep=nth(early))
    assert first.kept is None or first.kept.through <= nth(early)  # type: ignore[operator]
    kept = first.kept or State()
    window = after(facts, kept.through - LOOK_BACK) if kept.through is not None else facts
    assert fold(kept, window, of, nth(late)).state == first.state


@given(any_facts(), any_terms(), st.lists(st.integers(0, 6), max_size=30))
def test_a_streak_that_grew_day_by_day_is_the_one_of_all_the_facts(facts: Facts, of: Terms, steps: list[int]) -> None:
    """As a member lives it: facts come in time, every look goes on from what the look before kept."""
    kept, today = State(), MONDAY
    for step in steps:
        today += step * ONE_DAY
        known = up_to(facts, today)
        window = after(known, kept.through - LOOK_BACK) if kept.through is not None else known
        went_on = fold(kept, window, of, today, keep=today - 4 * ONE_DAY)
        assert went_on.state == fold(State(), known, of, today).state
        kept = went_on.kept or State()


@given(any_facts(), any_terms())
def test_what_a_fold_says_agrees_with_its_days(facts: Facts, of: Terms) -> None:
    today = nth(SPAN + 3)
    said = list(walk(State(), facts, of, today))
    done = fold(State(), facts, of, today)
    assert [one.day for one in said] == ([nth(n, said[0].day) for n in range(len(said))] if said else [])
    last = said[-1].state if said else State()
    # Without facts and without a streak nothing changes: the fold may stop before today.
    assert (done.state.current, done.state.longest, done.state.days, done.state.last, done.state.held) == (
        last.current, last.longest, last.days, last.last, last.held,
    )  # fmt: skip
    assert done.frozen == {one.day for one in said if one.status == "frozen"}
    assert last.days == sum(one.status in ("done", "repaired") for one in said)
    bought = sum(n for day, n in facts.bought.items() if day <= today)
    assert last.held == bought + len(done.earned) - len(done.frozen)


@given(any_facts(), any_terms(), st.lists(st.tuples(st.booleans(), st.integers(0, SPAN)), max_size=40), st.data())
def test_asked_for_days_in_any_order_while_facts_change_it_says_what_the_facts_of_that_moment_say(
    facts: Facts, of: Terms, steps: list[tuple[bool, int]], data: st.DataObject
) -> None:
    """Going on from what a look kept of earlier days, too."""
    today = nth(data.draw(st.integers(0, SPAN)))
    kept = fold(State(), up_to(facts, today), of, today, keep=today - 40 * ONE_DAY).kept or State()
    past = Past(kept)
    first = kept.through + ONE_DAY if kept.through is not None else date.min
    for changes, n in steps:
        day = max(nth(n), first)
        if changes:
            facts = replace(facts, done=facts.done ^ {day})
            past.changed(day)
            continue
        days = [one.state for one in walk(State(), facts, of, day)]
        state, said = days[-1] if days else State(), past.on(day, facts, of)
        assert (said.current, said.longest, said.days) == (state.current, state.longest, state.days)


@given(any_facts(), any_terms(), st.integers(0, SPAN))
def test_a_day_done_never_shortens_the_longest_streak(facts: Facts, of: Terms, n: int) -> None:
    # Freezes aside: one that a day brings is used on another day than the one it would have been used on.
    bare = Terms(tuple((first, series(schedule=version.schedule)) for first, version in of.versions))
    less, more = replace(facts, bought={}), replace(facts, bought={}, done=facts.done | {nth(n)})
    longest = [fold(State(), some, bare, nth(SPAN + 3)).state.longest for some in (less, more)]
    assert longest == sorted(longest)
