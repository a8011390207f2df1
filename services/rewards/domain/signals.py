"""What rules may know of how an activity came about: how often, how fast, for whom, whether it was said before.

Pure folds over rows that are small for ever: each has an id computed from a namespace and what it is about, is changed
by one activity after the other in the order of their handling, and says of each what was known by then. So it does not
matter how activities are cut into batches. All times are effective ones; an activity that comes again changes nothing.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple, Self
from uuid import UUID

from kit.ids import uuid5

AGE: Final = "actor.age_days"
DAY, WEEK, MONTH, EVER = "counts.day", "counts.week", "counts.month", "counts.ever"
MINUTE, HOUR = "signals.minute", "signals.hour"
MUTUAL, SHARE, RING = "signals.mutual", "signals.share", "signals.ring"
SIMILAR, COPIED = "signals.similar", "signals.copied"

CALENDAR = frozenset({DAY, WEEK, MONTH})
RATES = frozenset({MINUTE, HOUR})
TIES = frozenset({MUTUAL, SHARE, RING})
TEXTS = frozenset({SIMILAR, COPIED})
FOLDED = frozenset({EVER, *CALENDAR, *RATES, *TIES, *TEXTS})
"""Those that rows are kept for."""
SIGNALS = frozenset({AGE, *FOLDED})
NOTHING = dict.fromkeys(sorted(SIGNALS), 0)

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
TEXT_SPAN = timedelta(days=7)

_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_SPANS = {MINUTE: 60 * _SECOND, HOUR: 3600 * _SECOND}
_DAY = 86400 * _SECOND
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


def _note(weeks: Weeks, week: int) -> None:
    ahead = week - weeks[0]
    if ahead > 0:
        counts = [0] * min(ahead, _WEEKS_KEPT) + weeks[1:]
        weeks[:] = [week, *counts[:_WEEKS_KEPT]]
    if weeks[0] - week < _WEEKS_KEPT:
        weeks[1 + weeks[0] - week] += 1


def _sum(weeks: Weeks | None, week: int) -> int:
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


def _tie(ties: dict[bytes, Weeks], who: UUID, week: int) -> None:
    weeks = ties.setdefault(who.bytes, [week, *[0] * _WEEKS_KEPT])
    _note(weeks, week)
    if len(ties) > MOST_TIES:
        # Never the one that was just seen: nobody could become one of the strongest otherwise.
        others = (key for key in ties if key != who.bytes)
        del ties[min(others, key=lambda key: (_sum(ties[key], ties[key][0]), ties[key][0], key))]


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


Row = Acts | Month | Total | Ties | Texts
Kind = type[Acts] | type[Month] | type[Total] | type[Ties] | type[Texts]


@lru_cache(maxsize=16384)
def _id(namespace: UUID, text: str) -> UUID:
    return uuid5(namespace, text)


def _acts(act: Act, shift: int = 0) -> UUID:
    """Of the day (since 1970) in which it was, or so many microseconds after that time."""
    return _id(act.namespace, f"acts\n{act.actor}\n{(micros(act.at) + shift) // _DAY}")


def _month(act: Act, day: date) -> UUID:
    return _id(act.namespace, f"month\n{act.type}\n{act.actor}\n{day:%Y-%m}")


def _total(act: Act) -> UUID:
    return _id(act.namespace, f"total\n{act.type}\n{act.actor}")


def _ties(act: Act, who: UUID) -> UUID:
    return _id(act.namespace, f"ties\n{act.type}\n{who}")


def _texts(act: Act) -> UUID:
    return _id(act.namespace, f"texts\n{act.actor}")


def _copies(act: Act) -> UUID:
    return _id(act.namespace, "copies")


def _week_of(act: Act) -> list[date]:
    monday = act.day - timedelta(days=act.day.weekday())
    return [monday + timedelta(days=n) for n in range(7)]


def rows_of(act: Act) -> dict[UUID, Kind]:
    """The rows that folding it needs."""
    out: dict[UUID, Kind] = {_acts(act): Acts}
    if act.uses & RATES:
        # The day before or after too where an hour reaches into it.
        out |= {_acts(act, shift): Acts for shift in (-_SPANS[HOUR], _SPANS[HOUR])}
    if act.uses & CALENDAR:
        days = _week_of(act) if WEEK in act.uses else [act.day]
        out |= {_month(act, day): Month for day in days}
    if EVER in act.uses:
        out[_total(act)] = Total
    if act.uses & TIES and act.other is not None:
        out |= {_ties(act, act.actor): Ties, _ties(act, act.other): Ties}
    if act.similarity is not None:
        if SIMILAR in act.uses:
            out[_texts(act)] = Texts
        if COPIED in act.uses:
            out[_copies(act)] = Texts
    return out


def fold(act: Act, rows: Mapping[UUID, Row], changed: set[UUID]) -> dict[str, int]:
    """What is known of it, itself counted; moves the rows on and notes which of them changed."""
    here = rows[_acts(act)]
    assert isinstance(here, Acts)
    new = here.add(act)
    if new:
        changed.add(_acts(act))
    out = {name: _rate(act, rows, _SPANS[name]) for name in act.uses & RATES}
    if act.uses & CALENDAR:
        out |= _calendar(act, rows, new, changed)
    if EVER in act.uses:
        total = rows[_total(act)]
        assert isinstance(total, Total)
        if new:
            total.count += 1
            changed.add(_total(act))
        out[EVER] = total.count
    if act.uses & TIES and act.other is not None:
        out |= _tied(act, act.other, rows, new, changed)
    if act.similarity is not None and act.uses & TEXTS:
        out |= _said(act, act.similarity, rows, new, changed)
    return out


def _rate(act: Act, rows: Mapping[UUID, Row], span: int) -> int:
    """How many are in the fullest stretch of `span` microseconds that it lies in."""
    at, found = micros(act.at), list[tuple[int, int]]()
    for id in dict.fromkeys(_acts(act, shift) for shift in (-_SPANS[HOUR], 0, _SPANS[HOUR])):
        row = rows[id]
        if isinstance(row, Acts):
            found += row.items
    first = bisect_right(found, at - span, key=_time)
    now, last = bisect_right(found, at, key=_time), bisect_left(found, at + span, key=_time)
    # It ends at one of those that follow, or at its own time.
    ends = [(now, at), *((n + 1, found[n][0]) for n in range(now, last))]
    return max(n - bisect_right(found, end - span, lo=first, key=_time) for n, end in ends)


def _time(item: tuple[int, int]) -> int:
    return item[0]


def _calendar(act: Act, rows: Mapping[UUID, Row], new: bool, changed: set[UUID]) -> dict[str, int]:
    def days_of(day: date) -> dict[int, int]:
        row = rows[_month(act, day)]
        assert isinstance(row, Month)
        return row.days

    mine, today = days_of(act.day), act.day.day
    if new:
        mine[today] = mine.get(today, 0) + 1
        changed.add(_month(act, act.day))
    out = {DAY: mine.get(today, 0), MONTH: sum(mine.values())}
    if WEEK in act.uses:
        out[WEEK] = sum(days_of(day).get(day.day, 0) for day in _week_of(act))
    return out


def _tied(act: Act, other: UUID, rows: Mapping[UUID, Row], new: bool, changed: set[UUID]) -> dict[str, int]:
    mine, theirs, week = rows[_ties(act, act.actor)], rows[_ties(act, other)], (act.day.toordinal() - 1) // 7
    assert isinstance(mine, Ties)
    assert isinstance(theirs, Ties)
    if new:
        _tie(mine.given, other, week)
        _tie(theirs.taken, act.actor, week)
        _note(mine.total, week)
        changed |= {_ties(act, act.actor), _ties(act, other)}
    back = max(_sum(theirs.given.get(act.actor.bytes), week), _sum(mine.taken.get(other.bytes), week))
    share = 100 * _sum(mine.given.get(other.bytes), week) // max(1, _sum(mine.total, week))
    between = theirs.given.keys() & mine.taken.keys()
    ring = max((min(_sum(theirs.given[x], week), _sum(mine.taken[x], week)) for x in between), default=0)
    return {MUTUAL: back, SHARE: share, RING: ring}


def _said(act: Act, like: int, rows: Mapping[UUID, Row], new: bool, changed: set[UUID]) -> dict[str, int]:
    out = {}
    if SIMILAR in act.uses:
        texts = rows[_texts(act)]
        assert isinstance(texts, Texts)
        out[SIMILAR] = texts.near(act, like, None)
        if new:
            texts.add(act, like, MOST_TEXTS)
            changed.add(_texts(act))
    if COPIED in act.uses:
        everybody = rows[_copies(act)]
        assert isinstance(everybody, Texts)
        out[COPIED] = everybody.near(act, like, (act.actor.bytes,))
        if new:
            everybody.add(act, like, MOST_COPIES)
            changed.add(_copies(act))
    return out


def rows_about(namespace: UUID, member_id: UUID, types: Collection[str]) -> set[UUID]:
    """Rows that hold for whom or what a member's were, and those of these types that are kept for ever."""
    by_type = [f"{what}\n{type}\n{member_id}" for what in ("ties", "total") for type in types]
    return {_id(namespace, text) for text in (f"texts\n{member_id}", *by_type)}


def apart(namespace: UUID) -> UUID:
    """A namespace beside this one."""
    return _id(namespace, "apart")
