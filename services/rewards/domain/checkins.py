"""What a check-in series is: what counts, on which days it is asked for, what may mend a missed day.

A change is a version. What days ask for (`schedule`, `freeze`) holds from the version's first day on, so that no day
of the past is judged anew; everything else holds at once.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal

from services.rewards.domain.proofs import Approval, Proof

Kind = Literal["daily", "weekdays", "per_week", "every", "weeks_of_month"]
Scope = Literal["community", "member"]

DAILY: Final = "daily"
WEEKDAYS: Final = "weekdays"
PER_WEEK: Final = "per_week"
EVERY: Final = "every"
WEEKS_OF_MONTH: Final = "weeks_of_month"

CHECKIN_TYPE = "checkin.submitted"
DEFAULT_ID = "daily"
MOST_SERIES = 50
LONGEST_PAUSE = 366
LONGEST_PROGRAMME = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """On which days a check-in is asked for; weekdays are ISO's, 1 is Monday.

    `weekdays`: on the `weekdays`. `per_week`: `times` in each seven days that begin on `week_begins`, any of them.
    `every`: each `every` days, counted from `first`. `weeks_of_month`: on the `weekdays` of the month's `weeks`, 1 to
    5 (the third Friday is weeks 3, weekdays 5).
    """

    kind: Kind = DAILY
    weekdays: tuple[int, ...] = ()
    times: int = 0
    week_begins: int = 1
    every: int = 0
    first: date | None = None
    weeks: tuple[int, ...] = ()

    def fixed(self, day: date) -> bool:
        """Whether the day is one of the schedule's; of `per_week` each is."""
        if self.kind == WEEKDAYS:
            return day.isoweekday() in self.weekdays
        if self.kind == EVERY:
            return (day - (self.first or date.min)).days % self.every == 0
        if self.kind == WEEKS_OF_MONTH:
            return day.isoweekday() in self.weekdays and (day.day - 1) // 7 + 1 in self.weeks
        return True

    def week_of(self, day: date) -> list[date]:
        """The seven days of `per_week` that the day belongs to."""
        first = day - timedelta(days=(day.isoweekday() - self.week_begins) % 7)
        return [first + timedelta(days=n) for n in range(7)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """What keeps a streak over a missed day, held ahead of it: at most `max_held`, bought for `price` of `unit` (None:
    not for sale) and earned at each `earned_every` days of a streak (None: never)."""

    max_held: int = 2
    price: int | None = 20
    unit: str = "points"
    earned_every: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A missed day made good afterwards: until `within_days` days after it, for `price` of `unit`, at most `per_month`
    times in a calendar month."""

    within_days: int = 3
    price: int = 30
    unit: str = "points"
    per_month: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What makes a series one with a beginning and an end, that members pass or fail.

    It asks for nothing before `first_day` and after `last_day`. In each `per_days` days counted from `first_day` (None:
    in all of them) a member may miss `absences`; the next one fails them, and what they do after it counts no more.
    Who joined late is asked for all days. Events of types `joins_on` for which `joins_when` holds make their actor a
    member of it, and so does the first check-in.
    """

    first_day: date
    last_day: date
    absences: int = 0
    per_days: int | None = None
    joins_on: tuple[str, ...] = ()
    joins_when: str | None = None

    def begins_block(self, day: date) -> bool:
        """Whether absences are counted anew from this day on."""
        return self.per_days is not None and (day - self.first_day).days % self.per_days == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`on` names event types, `when` is a condition. `scope` says whose zone days go by; `day_start` is minutes after
    midnight, None: the community's. `date_field` names the field of `event.data` that has the day a check-in is for;
    None: the day it was made. `late_grace_hours`: how long after a day's end a check-in for it may come.
    `outage_hours`: a bot that is silent for so many hours until a day's end excuses the day; None: never. `programme`
    gives it a beginning and an end; None: it goes on. `proof`: all that a check-in must bring; `approval`: who says
    that it counts, None: it does."""

    id: str
    name: str
    on: tuple[str, ...] = (CHECKIN_TYPE,)
    when: str | None = None
    scope: Scope = "community"
    day_start: int | None = None
    date_field: str | None = None
    schedule: Schedule = field(default_factory=Schedule)
    late_grace_hours: int = 48
    freeze: Freeze = field(default_factory=Freeze)
    repair: Repair = field(default_factory=Repair)
    pause_days: int = 14
    outage_hours: int | None = 2
    programme: Programme | None = None
    enabled: bool = True
    proof: tuple[Proof, ...] = ()
    approval: Approval | None = None


DEFAULT_SERIES = Series(id=DEFAULT_ID, name="Daily check-in")


@dataclass(frozen=True, slots=True)
class Terms:
    """The versions of a series with the first day of each, oldest first; the first holds from the beginning."""

    versions: tuple[tuple[date, Series], ...]

    @property
    def present(self) -> Series:
        """The newest version."""
        return self.versions[-1][1]

    @property
    def judged(self) -> bool:
        """Whether some version may have kept a check-in as an attempt: then it has to be asked what became of one."""
        return any(series.proof or series.approval is not None for _, series in self.versions)

    def on(self, day: date) -> Series:
        """The version that says what this day asks for."""
        if len(self.versions) == 1:
            return self.versions[0][1]
        at = bisect_right(self.versions, day, key=lambda version: version[0])
        return self.versions[max(0, at - 1)][1]
