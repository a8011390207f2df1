"""Whose day an instant falls into, where zones change: a community's calendar, or a member's who travels (R21, R22).

Another zone or day start holds from the beginning of a day and never within one. Days never go back: where the new
clock still shows the old day, that day goes on. Where it is further on already, the day that it shows is short, or a
day did not happen at all: nobody could be asked for anything on it (`brief`).
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise

from kit.days import day_bounds, local_day

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When the first stretch of a calendar begins; what was before it belongs to it too."""

ONE_DAY = timedelta(days=1)
CHANGES_APART = timedelta(days=7)
"""Days from one change of a member's zone to the next (R22)."""

HALF = timedelta(hours=12)
"""A day that a change of zone left shorter than this asks for nothing."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """`zone` (IANA) and `day_start` (minutes after midnight) hold from `since` (UTC) until the next stretch."""

    since: datetime
    zone: str
    day_start: int


@dataclass(frozen=True)
class Calendar:
    """Stretches in the order of their time, at least one."""

    stretches: tuple[Stretch, ...]

    @cached_property
    def _floors(self) -> tuple[date, ...]:
        """The day that each stretch found: no instant of it belongs to an earlier one."""
        floors = [date.min]
        for before, stretch in pairwise(self.stretches):
            last = stretch.since - datetime.resolution
            floors.append(max(floors[-1], local_day(last, before.zone, before.day_start)))
        return tuple(floors)

    def day_of(self, instant: datetime) -> date:
        """The day `instant` (aware) falls into; never an earlier one than that of an earlier instant."""
        if len(self.stretches) == 1:
            return local_day(instant, self.stretches[0].zone, self.stretches[0].day_start)
        at = max(0, bisect_right(self.stretches, instant, key=lambda stretch: stretch.since) - 1)
        return max(self._floors[at], local_day(instant, self.stretches[at].zone, self.stretches[at].day_start))

    def end_of(self, day: date) -> datetime:
        """The first instant that belongs to a later day (UTC)."""
        following = (*(stretch.since for stretch in self.stretches[1:]), None)
        for stretch, floor, until in zip(self.stretches, self._floors, following, strict=True):
            if floor > day:
                return stretch.since
            end = day_bounds(day, stretch.zone, stretch.day_start)[1]
            if until is None or end < until:
                return max(end, stretch.since) if stretch is not self.stretches[0] else end
        raise AssertionError("the last stretch has no end")

    def begin_of(self, day: date) -> datetime:
        """The first instant of the day (UTC); of a day that did not happen, that of the next one that did."""
        return self.end_of(day - ONE_DAY)

    def zone_on(self, day: date) -> str:
        """The zone that holds as the day ends."""
        end = self.end_of(day)
        return next(stretch.zone for stretch in reversed(self.stretches) if stretch.since < end)

    @cached_property
    def brief(self) -> frozenset[date]:
        """Days that a change of zone shortened to less than half of one, or left out."""
        out = set()
        for floor, stretch in zip(self._floors[1:], self.stretches[1:], strict=True):
            # The day it found is among them: a series whose days begin at another hour is changed in the middle of one.
            days = (floor + n * ONE_DAY for n in range((self.day_of(stretch.since) - floor).days + 1))
            out |= {day for day in days if self.end_of(day) - self.begin_of(day) < HALF}
        return frozenset(out)

    def changed(self, at: datetime, zone: str, day_start: int) -> "Calendar":
        """With another zone or day start, wished for at `at`: it holds from the next day on, and not within a week of
        the change before. What was planned for later and has not begun is replaced; wishing for what holds calls it
        off."""
        kept = self._until(at)
        present = kept.stretches[-1]
        if (present.zone, present.day_start) == (zone, day_start):
            return kept
        first = kept.day_of(at) + ONE_DAY
        if len(kept.stretches) > 1:
            first = max(first, kept.day_of(present.since) + CHANGES_APART)
        return Calendar((*kept.stretches, Stretch(kept.begin_of(first), zone, day_start)))

    def begun(self, at: datetime, zone: str, day_start: int) -> "Calendar":
        """With another zone or day start that was announced as the day of `at` began, as communities' are."""
        kept = self._until(at)
        present = kept.stretches[-1]
        if (present.zone, present.day_start) == (zone, day_start):
            return kept
        since = max(kept.begin_of(kept.day_of(at)), present.since)
        before = kept.stretches if since > present.since else kept.stretches[:-1]
        return Calendar((*before, Stretch(since, zone, day_start)))

    def _until(self, at: datetime) -> "Calendar":
        later = [stretch for stretch in self.stretches[1:] if stretch.since > at]
        return Calendar(self.stretches[: len(self.stretches) - len(later)]) if later else self


def calendar_of(zone: str, day_start: int) -> Calendar:
    """One zone from the beginning on."""
    return Calendar((Stretch(EVER, zone, day_start),))
