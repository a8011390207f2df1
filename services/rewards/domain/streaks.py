"""A streak as a fold over facts, day by day (R25). Nothing here reads a clock: today is a parameter.

What a day asks for follows from the facts around it alone, and what it does to the streak from the day before. So a
fold that goes on from an earlier `State` gives what one from the beginning gives, as long as no fact of a day up to
that state has changed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from services.rewards.domain.checkins import PER_WEEK, Programme, Schedule, Terms

DONE: Final = "done"
REPAIRED: Final = "repaired"
FROZEN: Final = "frozen"
EXCUSED: Final = "excused"
OUTAGE: Final = "outage"
PAUSED: Final = "paused"
BRIEF: Final = "brief"
UNSCHEDULED: Final = "unscheduled"
MISSED: Final = "missed"
FAILED: Final = "failed"
OVER: Final = "over"
OPEN: Final = "open"
STATUSES = (DONE, REPAIRED, FROZEN, EXCUSED, OUTAGE, PAUSED, BRIEF, UNSCHEDULED, MISSED, FAILED, OVER, OPEN)
JOINED: Final = "joined"
"""A fact of the day on which a member came to a programme; no day's status."""
COUNTED = frozenset({DONE, REPAIRED})
ABSENT = frozenset({MISSED, FAILED})

ONE_DAY = timedelta(days=1)
LOOK_BACK = timedelta(days=6)
"""Going on from a state takes the facts of so many days before it: a week is judged as a whole."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened to one member in one series. `pauses` are first and last days; `bought` says how many freezes on
    which day; `brief` are days that a change of zone cut short (`Calendar.brief`); `joined` those on which the member
    came to the programme."""

    done: frozenset[date] = frozenset()
    repaired: frozenset[date] = frozenset()
    excused: frozenset[date] = frozenset()
    outage: frozenset[date] = frozenset()
    pauses: tuple[tuple[date, date], ...] = ()
    bought: Mapping[date, int] = field(default_factory=dict)
    brief: frozenset[date] = frozenset()
    joined: frozenset[date] = frozenset()

    def counted(self, day: date) -> str | None:
        return DONE if day in self.done else REPAIRED if day in self.repaired else None

    def off(self, day: date) -> str | None:
        """Why nothing was to be done on the day; None where something may have been."""
        if day in self.excused:
            return EXCUSED
        if day in self.outage:
            return OUTAGE
        if any(first <= day <= last for first, last in self.pauses):
            return PAUSED
        return BRIEF if day in self.brief else None

    def days(self) -> Iterator[date]:
        """The days with a fact that can raise a streak or what is held."""
        yield from self.done
        yield from self.repaired
        yield from self.bought


@dataclass(frozen=True, slots=True)
class State:
    """A streak after all days up to and with `through` (None: before the first).

    `current` and `longest` count days that were done or repaired; `days` is their number over all streaks, `last` the
    last of them. `held` freezes are left. `start` is the first day with a fact.
    """

    through: date | None = None
    start: date | None = None
    current: int = 0
    longest: int = 0
    days: int = 0
    last: date | None = None
    held: int = 0
    absent: int = 0
    failed: date | None = None


class Day(NamedTuple):
    """A day, what became of it, the state after it, and whether it earned a freeze."""

    day: date
    status: str
    state: State
    earned: bool


def walk(before: State, facts: Facts, terms: Terms, today: date) -> Iterator[Day]:
    """Every day after `before` up to and with today, or the last of the programme. Nothing where no day has a fact yet.

    Today is never missed, it is open. A check-in of a day after today (a calendar that was put right meanwhile) is
    no part of it.
    """
    programme = terms.present.programme
    start = before.start or _first_day(facts, programme)
    if start is None:
        return
    day = before.through + ONE_DAY if before.through is not None else start
    until = last_day(terms, today)
    state = _beginning(before, facts, programme)
    while day <= until:
        one = _step(state, day, facts, terms, start, today)
        state = one.state
        yield one
        day += ONE_DAY


def last_day(terms: Terms, today: date) -> date:
    """The last day that there is anything to say about."""
    programme = terms.present.programme
    return today if programme is None else min(today, programme.last_day)


def _beginning(before: State, facts: Facts, programme: Programme | None) -> State:
    """With the freezes that were bought before a programme began, or by who takes no part in it (any more)."""
    if programme is None or before.through is not None:
        return before
    outside = _first_day(facts, programme) is None
    return replace(before, held=sum(n for day, n in facts.bought.items() if outside or day < programme.first_day))


def _first_day(facts: Facts, programme: Programme | None) -> date | None:
    if programme is None:
        return min(facts.days(), default=None)
    return programme.first_day if facts.done or facts.repaired or facts.joined else None


def _step(before: State, day: date, facts: Facts, terms: Terms, start: date, today: date) -> Day:
    series, programme = terms.on(day), terms.present.programme
    held = before.held + facts.bought.get(day, 0)
    if before.failed is not None:
        return Day(day, OVER, replace(before, through=day, held=held), False)
    status = _status(day, facts, series.schedule, start, today)
    if status == MISSED and before.current and held:
        status, held = FROZEN, held - 1
    absent, failed = before.absent, None
    if programme is not None:
        absent = (0 if programme.begins_block(day) else absent) + (status == MISSED)
        if status == MISSED and absent > programme.absences:
            status, failed = FAILED, day
    current, earned, counted = before.current, False, status in COUNTED
    if counted:
        current += 1
        every = series.freeze.earned_every
        earned = every is not None and current % every == 0 and held < series.freeze.max_held
        held += earned
    elif status in ABSENT:
        current = 0
    longest, days, last = max(before.longest, current), before.days + counted, day if counted else before.last
    return Day(day, status, State(day, start, current, longest, days, last, held, absent, failed), earned)


def _status(day: date, facts: Facts, schedule: Schedule, start: date, today: date) -> str:
    if not schedule.fixed(day):
        return UNSCHEDULED
    counted = facts.counted(day)
    if counted is not None:
        return counted
    off = facts.off(day)
    if off is not None:
        return off
    if day >= today:
        return OPEN
    return MISSED if schedule.kind != PER_WEEK or _too_late(day, facts, schedule, start) else UNSCHEDULED


def _too_late(day: date, facts: Facts, schedule: Schedule, start: date) -> bool:
    """Whether the week could not be fulfilled any more once this day was over with nothing done.

    A week asks for as much less as days of it were off by then, or before the member began, rounded down. A day that
    was asked for and not done is settled too, so that a week is short of no more days than it lacks. Later days are
    left out of it: what becomes of them changes nothing here.
    """
    free = settled = 0
    for n, one in enumerate(schedule.week_of(day)):
        counted = facts.counted(one) is not None
        if one < start or (not counted and facts.off(one) is not None):
            free += 1
            continue
        asked = not counted and settled + 6 - n < schedule.times * (7 - free) // 7
        if one == day:
            return asked
        settled += counted or asked
    raise AssertionError("a day belongs to its week")


class Folded(NamedTuple):
    """`state` is as of today, `kept` an earlier one to go on from, None where there is none worth it. `frozen` and
    `earned` are the days of this fold on which a freeze was used and earned."""

    state: State
    kept: State | None
    frozen: frozenset[date]
    earned: frozenset[date]


def fold(before: State, facts: Facts, terms: Terms, today: date, *, keep: date | None = None) -> Folded:
    """Go on from `before` until today; `kept` is the state after the day `keep`."""
    state, kept = _beginning(before, facts, terms.present.programme), before if before.through is not None else None
    frozen, earned = set(), set()
    rising = sorted(facts.days())
    while True:
        for one in walk(state, facts, terms, today):
            state = one.state
            if one.status == FROZEN:
                frozen.add(one.day)
            if one.earned:
                earned.add(one.day)
            if keep is not None and one.day <= keep:
                kept = state
            # Who missed a day of a programme may be about to fail it: its days, which are not many, are all looked at.
            if not state.current and terms.present.programme is None:
                break
        idle = _idle_until(state, rising, last_day(terms, today))
        if idle is None:
            return Folded(state, kept, frozenset(frozen), frozenset(earned))
        if keep is not None and state.through is not None and state.through < keep:
            kept = replace(state, through=min(keep, idle))
        state = replace(state, through=idle)


def _idle_until(state: State, rising: Sequence[date], until: date) -> date | None:
    """The last day up to `until` until which nothing changes because there is no streak and no fact that begins one;
    None where the fold goes on at once, or is done."""
    if state.through is None or state.through >= until:
        return None
    at = bisect_right(rising, state.through)
    return min(until, rising[at] - ONE_DAY) if at < len(rising) else until


class Past:
    """A streak as of days in any order, while its facts change in between; going on from `before`, which is as of a
    day before all of them."""

    def __init__(self, before: State) -> None:
        self._settled = [before]

    def changed(self, day: date) -> None:
        """A fact of that day came or went."""
        while len(self._settled) > 1 and _through(self._settled[-1]) >= day:
            self._settled.pop()

    def on(self, day: date, facts: Facts, terms: Terms) -> State:
        """As of the day, which is open as long as nothing was done on it."""
        at = bisect_left(self._settled, day, key=_through)
        before = self._settled[max(0, at - 1)]
        folded = fold(before, facts, terms, day, keep=day - ONE_DAY)
        if folded.kept is not None and _through(folded.kept) > _through(before):
            self._settled.insert(max(1, at), folded.kept)
        return folded.state


def _through(state: State) -> date:
    return state.through or date.min
