"""Days and facts of the tests of streaks, and strategies for random ones."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from services.rewards.domain.calendars import Calendar, calendar_of
from services.rewards.domain.checkins import Freeze, Schedule, Series, Terms
from services.rewards.domain.streaks import ONE_DAY, Facts, State, walk

MONDAY = date(2026, 11, 2)

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "America/Los_Angeles",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Europe/London",
)


def series(**fields: Any) -> Series:
    """The default series of a test: daily, freezes are not earned."""
    return replace(Series(id="daily", name="Daily"), **fields)


def terms(*versions: tuple[date, Series]) -> Terms:
    return Terms(versions or ((date.min, series()),))


def nth(number: int, first: date = MONDAY) -> date:
    return first + number * ONE_DAY


def facts_of(story: str, first: date = MONDAY, **more: Any) -> Facts:
    """A letter a day: D done, R repaired, E excused, O outage, B done and a freeze bought, b only bought."""
    days = {letter: {nth(n, first) for n, said in enumerate(story) if said == letter} for letter in "DREOBb"}
    bought = dict.fromkeys(days["B"] | days["b"], 1)
    return Facts(
        done=frozenset(days["D"] | days["B"]),
        repaired=frozenset(days["R"]),
        excused=frozenset(days["E"]),
        outage=frozenset(days["O"]),
        bought=more.pop("bought", bought),
        **more,
    )


LETTERS = {
    "done": "D", "repaired": "R", "frozen": "F", "excused": "E", "outage": "O", "paused": "P", "brief": "b",
    "unscheduled": "-", "missed": ".", "failed": "X", "over": "_", "open": "?",
}  # fmt: skip


def told(facts: Facts, of: Terms | None = None, days: int = 0, first: date = MONDAY) -> tuple[str, State]:
    """The statuses of the days until today (the day after `days` of them), and the state then."""
    state, letters = State(), ""
    for one in walk(State(), facts, of or terms(), nth(days, first)):
        letters, state = letters + LETTERS[one.status], one.state
    return letters, state


def instants(first: str = "2026-01-01", days: int = 730) -> st.SearchStrategy[datetime]:
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return st.integers(0, days * 24 * 3600).map(lambda seconds: begin + timedelta(seconds=seconds))


DAY_STARTS = st.one_of(st.just(0), st.just(240), st.integers(0, 1439))


@st.composite
def calendars(draw: st.DrawFn, changes: int = 4) -> Calendar:
    """Somebody who travels: changes of zone and day start wished for at random moments."""
    made = calendar_of(draw(st.sampled_from(ZONES)), draw(DAY_STARTS))
    for at in sorted(draw(st.lists(instants(), max_size=changes))):
        made = made.changed(at, draw(st.sampled_from(ZONES)), draw(DAY_STARTS))
    return made


SPAN = 70
_NUMBERS = st.integers(0, SPAN)


def _some_days(most: int) -> st.SearchStrategy[frozenset[date]]:
    return st.frozensets(_NUMBERS.map(nth), max_size=most)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    kind = draw(st.sampled_from(["daily", "weekdays", "per_week", "every", "weeks_of_month"]))
    week = tuple(sorted(draw(st.frozensets(st.integers(1, 7), min_size=1))))
    return Schedule(
        kind=kind,
        weekdays=week,
        times=draw(st.integers(1, 7)),
        week_begins=draw(st.integers(1, 7)),
        every=draw(st.integers(1, 9)),
        first=nth(draw(st.integers(-10, 10))),
        weeks=tuple(sorted(draw(st.frozensets(st.integers(1, 5), min_size=1)))),
    )


@st.composite
def any_terms(draw: st.DrawFn) -> Terms:
    """One to three versions of a series."""
    firsts = [date.min, *sorted(draw(st.frozensets(_NUMBERS.map(nth), max_size=2)))]
    return Terms(tuple([(first, _version(draw)) for first in firsts]))


def _version(draw: st.DrawFn) -> Series:
    every = draw(st.one_of(st.none(), st.integers(1, 8)))
    return series(schedule=draw(schedules()), freeze=Freeze(max_held=draw(st.integers(0, 3)), earned_every=every))


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    pauses = draw(st.lists(st.tuples(_NUMBERS, st.integers(0, 9)), max_size=2))
    return Facts(
        # Mostly days that were done: among random days no streak ever grows.
        done=frozenset(nth(n) for n in range(SPAN)) - draw(_some_days(25)),
        repaired=draw(_some_days(4)),
        excused=draw(_some_days(4)),
        outage=draw(_some_days(4)),
        pauses=tuple((nth(n), nth(n + length)) for n, length in pauses),
        bought=draw(st.dictionaries(_NUMBERS.map(nth), st.integers(1, 2), max_size=4)),
        brief=draw(_some_days(3)),
    )


def up_to(facts: Facts, day: date) -> Facts:
    """What was known of a member when that day was over; a pause is known before its end."""

    def known(days: Iterable[date]) -> frozenset[date]:
        return frozenset(d for d in days if d <= day)

    return Facts(
        done=known(facts.done),
        repaired=known(facts.repaired),
        excused=known(facts.excused),
        outage=known(facts.outage),
        pauses=tuple(pause for pause in facts.pauses if pause[0] <= day),
        bought={d: n for d, n in facts.bought.items() if d <= day},
        brief=facts.brief,
    )


def after(facts: Facts, day: date) -> Facts:
    """Only what touches days from then on."""

    def late(days: Iterable[date]) -> frozenset[date]:
        return frozenset(d for d in days if d >= day)

    return Facts(
        done=late(facts.done),
        repaired=late(facts.repaired),
        excused=late(facts.excused),
        outage=late(facts.outage),
        pauses=tuple(pause for pause in facts.pauses if pause[1] >= day),
        bought={d: n for d, n in facts.bought.items() if d >= day},
        brief=facts.brief,
    )
