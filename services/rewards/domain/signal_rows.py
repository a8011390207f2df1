"""The rows that signals are folded over, and the activity that is folded over them. Each is small for ever: what it
keeps is bounded in number, and `LENGTH` says for how long after its last change it is of use (None: for ever)."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

NEAR = 10
"""Texts are alike whose hashes differ in no more bits: one or two characters of a sentence, or other words around it.
Of texts that have nothing in common, fewer than one pair in a million is (docs/decisions/0026-signals.md)."""

MOST_ACTS = 3_000
MOST_TIES = 100
MOST_TEXTS = 50
MOST_COPIES = 200
WEEKS = 5
_WEEKS_KEPT = 6
"""One more than are looked at, for what comes late from the week before."""
DAYS = 28
"""Of how many days, the event's own the last, those are counted on which something was."""
TEXT_SPAN = timedelta(days=7)

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """The time so many microseconds after 1970."""
    return _EPOCH + at * _MICROSECOND


class Act(NamedTuple):
    """One activity. `day` is the community's day of its effective time, `uses` what the rules that listen to it ask
    for, `lateness` how late others may come, `similarity` the door's hash of its text."""

    namespace: UUID
    event_id: UUID
    type: str
    at: datetime
    day: date
    actor: UUID
    author: UUID | None
    similarity: int | None
    uses: frozenset[str]
    lateness: timedelta

    @property
    def other(self) -> UUID | None:
        """For whom it was, unless that is the actor."""
        return self.author if self.author != self.actor else None

    @property
    def week(self) -> int:
        """The ISO week of its day, counted from the year 1 on."""
        return (self.day.toordinal() - 1) // 7

    @property
    def mark(self) -> int:
        """Sixty-four bits of its id."""
        return self.event_id.int & (2**64 - 1)


@dataclass(slots=True)
class Acts:
    """What a member did on one day of UTC: (microseconds since 1970, mark), by time; the latest `MOST_ACTS`."""

    LENGTH: ClassVar = timedelta(days=1, hours=1)
    items: list[tuple[int, int]] = field(default_factory=list)
    marks: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, plain: Any) -> Self:
        items = [(at, mark) for at, mark in plain]
        return cls(items, {mark for _, mark in items})

    def plain(self) -> Any:
        return self.items

    def add(self, act: Act) -> bool:
        """False when it was among them."""
        if act.mark in self.marks:
            return False
        insort(self.items, (micros(act.at), act.mark))
        self.marks.add(act.mark)
        if len(self.items) > MOST_ACTS:
            self.marks.discard(self.items.pop(0)[1])
        return True


@dataclass(slots=True)
class Month:
    """How often a member did something of one type, by day of the month."""

    LENGTH: ClassVar = timedelta(days=40)
    days: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, plain: Any) -> Self:
        return cls(dict(plain))

    def plain(self) -> Any:
        return self.days


@dataclass(slots=True)
class Days:
    """On which days of a month something was: a bit for each, the lowest for the first."""

    LENGTH: ClassVar = timedelta(days=DAYS + 2)
    bits: int = 0

    @classmethod
    def of(cls, plain: Any) -> Self:
        return cls(plain)

    def plain(self) -> Any:
        return self.bits

    def add(self, day: date) -> bool:
        """False when it was among them."""
        before = self.bits
        self.bits |= 1 << day.day - 1
        return self.bits != before

    def count(self, first: int, last: int) -> int:
        """On how many days of the month from one to another, both inclusive."""
        return ((self.bits & (1 << last) - 1) >> first - 1).bit_count()


@dataclass(slots=True)
class Total:
    """How often a member ever did something of one type."""

    LENGTH: ClassVar = None
    count: int = 0

    @classmethod
    def of(cls, plain: Any) -> Self:
        return cls(plain)

    def plain(self) -> Any:
        return self.count


Weeks = list[int]
"""The latest week, then how often in it and in each of the five before."""


def note(weeks: Weeks, week: int) -> None:
    ahead = week - weeks[0]
    if ahead > 0:
        counts = [0] * min(ahead, _WEEKS_KEPT) + weeks[1:]
        weeks[:] = [week, *counts[:_WEEKS_KEPT]]
    if weeks[0] - week < _WEEKS_KEPT:
        weeks[1 + weeks[0] - week] += 1


def sum_of(weeks: Weeks | None, week: int) -> int:
    """How often in this week and the four before it."""
    if weeks is None:
        return 0
    return sum(n for back, n in enumerate(weeks[1:]) if week - WEEKS < weeks[0] - back <= week)


@dataclass(slots=True)
class Ties:
    """For whom a member did something of one type, and who for them: the `MOST_TIES` strongest either way, and how
    often for anybody (`total`)."""

    LENGTH: ClassVar = timedelta(weeks=WEEKS + 1)
    given: dict[bytes, Weeks] = field(default_factory=dict)
    taken: dict[bytes, Weeks] = field(default_factory=dict)
    total: Weeks = field(default_factory=lambda: [0] * (1 + _WEEKS_KEPT))

    @classmethod
    def of(cls, plain: Any) -> Self:
        given, taken, total = plain
        return cls(given, taken, total)

    def plain(self) -> Any:
        return self.given, self.taken, self.total


def tie(ties: dict[bytes, Weeks], who: UUID, week: int) -> None:
    weeks = ties.setdefault(who.bytes, [week, *[0] * _WEEKS_KEPT])
    note(weeks, week)
    if len(ties) > MOST_TIES:
        # Never the one that was just seen: nobody could become one of the strongest otherwise.
        others = (key for key in ties if key != who.bytes)
        del ties[min(others, key=lambda key: (sum_of(ties[key], ties[key][0]), ties[key][0], key))]


@dataclass(slots=True)
class Givers:
    """Who did something for a member, of whatever type: the `MOST_TIES` who did most."""

    LENGTH: ClassVar = timedelta(weeks=WEEKS + 1)
    people: dict[bytes, Weeks] = field(default_factory=dict)

    @classmethod
    def of(cls, plain: Any) -> Self:
        return cls(plain)

    def plain(self) -> Any:
        return self.people


@dataclass(slots=True)
class Texts:
    """The latest texts of a member (or of everybody): (microseconds, hash, mark, whose), in the order they came."""

    LENGTH: ClassVar = TEXT_SPAN
    items: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, plain: Any) -> Self:
        return cls([(at, like, mark, who) for at, like, mark, who in plain])

    def plain(self) -> Any:
        return self.items

    def near(self, act: Act, like: int, whose: Iterable[bytes] | None) -> int:
        """How many of them are alike, but for those of `whose`."""
        at, span, mark = micros(act.at), TEXT_SPAN // _MICROSECOND, act.mark
        left_out = frozenset(whose or ())
        return sum(
            (like ^ other).bit_count() <= NEAR and abs(at - when) <= span and it != mark and who not in left_out
            for when, other, it, who in self.items
        )

    def add(self, act: Act, like: int, most: int) -> None:
        self.items.append((micros(act.at), like, act.mark, act.actor.bytes))
        del self.items[:-most]


Row = Acts | Month | Days | Total | Ties | Givers | Texts
Kind = type[Acts] | type[Month] | type[Days] | type[Total] | type[Ties] | type[Givers] | type[Texts]
