"""What rules may know of how an activity came about: how often, how fast, for whom, whether it was said before.

Pure folds over rows (`signal_rows`): each has an id computed from a namespace and what it is about, is changed
by one activity after the other in the order of their handling, and says of each what was known by then. So it does not
matter how activities are cut into batches. All times are effective ones; an activity that comes again changes nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from kit.ids import uuid5
from services.rewards.domain.signal_rows import (
    DAYS,
    MOST_COPIES,
    MOST_TEXTS,
    Act,
    Acts,
    Days,
    Givers,
    Kind,
    Month,
    Row,
    Texts,
    Ties,
    Total,
    micros,
    note,
    sum_of,
    tie,
)

AGE: Final = "actor.age_days"
LEVEL: Final = "actor.level"
ACTIVE_DAYS = "actor.active_days"
DAY, WEEK, MONTH, EVER = "counts.day", "counts.week", "counts.month", "counts.ever"
MINUTE, HOUR = "signals.minute", "signals.hour"
MUTUAL, SHARE, RING = "signals.mutual", "signals.share", "signals.ring"
RECEIVED, RECEIVED_DAYS = "signals.received", "signals.received_days"
SIMILAR, COPIED = "signals.similar", "signals.copied"

CALENDAR = frozenset({DAY, WEEK, MONTH})
RATES = frozenset({MINUTE, HOUR})
TIES = frozenset({MUTUAL, SHARE, RING})
TEXTS = frozenset({SIMILAR, COPIED})
FOLDED = frozenset({EVER, ACTIVE_DAYS, RECEIVED, RECEIVED_DAYS, *CALENDAR, *RATES, *TIES, *TEXTS})
"""Those that rows are kept for."""
SIGNALS = frozenset({AGE, LEVEL, *FOLDED})
NOTHING = dict.fromkeys(sorted(SIGNALS), 0)

GIVING, DOING, GETTING = "giving", "doing", "getting"
OF_ALL: Mapping[str, str] = {RECEIVED: GIVING, ACTIVE_DAYS: DOING, RECEIVED_DAYS: GETTING}
"""By what any rule may ask for: what is among the uses of every type then, since it is noted of all of them."""

_SECOND = 1_000_000
_SPANS = {MINUTE: 60 * _SECOND, HOUR: 3600 * _SECOND}
_DAY = 86400 * _SECOND


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


def _givers(act: Act, who: UUID) -> UUID:
    return _id(act.namespace, f"givers\n{who}")


def _texts(act: Act) -> UUID:
    return _id(act.namespace, f"texts\n{act.actor}")


def _copies(act: Act) -> UUID:
    return _id(act.namespace, "copies")


def _days(act: Act, who: UUID, what: str, day: date) -> UUID:
    return _id(act.namespace, f"days {what}\n{who}\n{day:%Y-%m}")


def _first_of(act: Act) -> date:
    """The first of the days that are counted; no more than a month before."""
    return act.day - timedelta(days=DAYS - 1)


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
    if GIVING in act.uses and act.other is not None:
        out[_givers(act, act.other)] = Givers
    if RECEIVED in act.uses:
        out[_givers(act, act.actor)] = Givers
    for name, what in _COUNTED:
        if name in act.uses:
            out |= {_days(act, act.actor, what, day): Days for day in (_first_of(act), act.day)}
    out |= {_days(act, who, what, act.day): Days for who, what in _days_of(act)}
    if act.similarity is not None:
        if SIMILAR in act.uses:
            out[_texts(act)] = Texts
        if COPIED in act.uses:
            out[_copies(act)] = Texts
    return out


_COUNTED = (ACTIVE_DAYS, DOING), (RECEIVED_DAYS, GETTING)


def _days_of(act: Act) -> list[tuple[UUID, str]]:
    """Of whom it is noted that the act's day is one of theirs, and of what."""
    out = [(act.actor, DOING)] if DOING in act.uses else []
    return [*out, (act.other, GETTING)] if GETTING in act.uses and act.other is not None else out


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
    if new and GIVING in act.uses and act.other is not None:
        _give(act, act.other, rows, changed)
    if RECEIVED in act.uses:
        out[RECEIVED] = _received(act, rows)
    _note_days(act, rows, changed)
    out |= {name: _count_days(act, what, rows) for name, what in _COUNTED if name in act.uses}
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
    mine, theirs, week = rows[_ties(act, act.actor)], rows[_ties(act, other)], act.week
    assert isinstance(mine, Ties)
    assert isinstance(theirs, Ties)
    if new:
        tie(mine.given, other, week)
        tie(theirs.taken, act.actor, week)
        note(mine.total, week)
        changed |= {_ties(act, act.actor), _ties(act, other)}
    back = max(sum_of(theirs.given.get(act.actor.bytes), week), sum_of(mine.taken.get(other.bytes), week))
    share = 100 * sum_of(mine.given.get(other.bytes), week) // max(1, sum_of(mine.total, week))
    between = theirs.given.keys() & mine.taken.keys()
    ring = max((min(sum_of(theirs.given[x], week), sum_of(mine.taken[x], week)) for x in between), default=0)
    return {MUTUAL: back, SHARE: share, RING: ring}


def _give(act: Act, other: UUID, rows: Mapping[UUID, Row], changed: set[UUID]) -> None:
    givers = rows[_givers(act, other)]
    assert isinstance(givers, Givers)
    tie(givers.people, act.actor, act.week)
    changed.add(_givers(act, other))


def _received(act: Act, rows: Mapping[UUID, Row]) -> int:
    givers = rows[_givers(act, act.actor)]
    assert isinstance(givers, Givers)
    return sum(sum_of(weeks, act.week) > 0 for weeks in givers.people.values())


def _note_days(act: Act, rows: Mapping[UUID, Row], changed: set[UUID]) -> None:
    for who, what in _days_of(act):
        id = _days(act, who, what, act.day)
        row = rows[id]
        assert isinstance(row, Days)
        if row.add(act.day):
            changed.add(id)


def _count_days(act: Act, what: str, rows: Mapping[UUID, Row]) -> int:
    first, last = _first_of(act), act.day
    before, here = (rows[_days(act, act.actor, what, day)] for day in (first, last))
    assert isinstance(before, Days)
    assert isinstance(here, Days)
    if before is here:
        return here.count(first.day, last.day)
    return before.count(first.day, 31) + here.count(1, last.day)


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
    """Rows that hold for whom, by whom or what a member's were, and those of these types that are kept for ever."""
    by_type = [f"{what}\n{type}\n{member_id}" for what in ("ties", "total") for type in types]
    return {_id(namespace, text) for text in (f"texts\n{member_id}", f"givers\n{member_id}", *by_type)}


def apart(namespace: UUID) -> UUID:
    """A namespace beside this one."""
    return _id(namespace, "apart")
