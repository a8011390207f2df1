"""Who does more in a minute than a person does (E20): counted at the door, by the activity's own minute.

By its own and not by that of its arrival, so that what a bot tells after an outage is nobody's flood. In this process
and for one to two minutes after the last arrival: with N replicas a member may do N times as much before it shows, and
a backfill that takes longer than that over a minute is not added up. Counted is what came, so that an event that is
sent again counts again; it was stored the first time, and what stands there is not changed.

Nearly every request is over with one addition for its actors: minutes are told apart only after an actor has sent more
than the limit at all, whenever it was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SPAN = timedelta(minutes=1)
MOST = 100_000
"""So many activities are remembered one by one; then a new span begins early."""

NOBODY: frozenset[int] = frozenset()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Place = tuple[bytes, int]


@dataclass(slots=True)
class _Span:
    """What was received in a minute of ours: by actor alone (`totals`, with what makes it up waiting in `later`) until
    that could be a flood, by actor and minute from then on."""

    until: datetime
    totals: Counter[bytes] = field(default_factory=Counter)
    later: list[tuple[Sequence[bytes], Sequence[datetime]]] = field(default_factory=list)
    counts: Counter[_Place] = field(default_factory=Counter)
    exact: bool = False
    size: int = 0

    def by_minute(self) -> Counter[_Place]:
        for keys, times in self.later:
            self.counts.update(zip(keys, map(_minute, times), strict=True))
        self.later.clear()
        self.exact = True
        return self.counts

    @property
    def most(self) -> int:
        """No actor has done more in any minute of theirs."""
        return max((self.counts if self.exact else self.totals).values(), default=0)


def _minute(at: datetime) -> int:
    since = at - _EPOCH
    return since.days * 1440 + since.seconds // 60


class Floods:
    """`most` activities of one actor in one minute are not throttled. Actors are log keys: `community:member`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.forget()

    def forget(self) -> None:
        """When the log did not take what was counted: it is sent again."""
        self._now = _Span(_EPOCH)
        self._before = _Span(_EPOCH)
        self._most_before = 0

    def over(self, keys: Sequence[bytes], times: Sequence[datetime], at: datetime) -> frozenset[int]:
        """Count these activities, received at `at`; the places of those over the limit."""
        now = self._span(at)
        now.size += len(keys)
        if not now.exact:
            now.totals.update(keys)
            now.later.append((keys, times))
            if max(map(now.totals.__getitem__, keys), default=0) + self._most_before <= self.most:
                return NOBODY
            places = list(zip(keys, map(_minute, times), strict=True))
            counts = now.by_minute()
        else:
            places = list(zip(keys, map(_minute, times), strict=True))
            counts = now.counts
            counts.update(places)
        if max(map(counts.__getitem__, places), default=0) + self._most_before <= self.most:
            return NOBODY
        return self._told_apart(places, counts)

    def one(self, key: bytes, time: datetime, at: datetime) -> bool:
        """Count a single activity; whether it is over the limit."""
        now = self._span(at)
        if now.exact:
            return bool(self.over((key,), (time,), at))
        now.size += 1
        count = now.totals[key] = now.totals.get(key, 0) + 1
        now.later.append(((key,), (time,)))
        if count + self._most_before <= self.most:
            return False
        return bool(self._told_apart([(key, _minute(time))], now.by_minute()))

    def _told_apart(self, places: Sequence[_Place], counts: Counter[_Place]) -> frozenset[int]:
        earlier = self._before.by_minute()
        # Those of this request are counted already: the first ones of it come before the others.
        reached = {place: counts[place] - many + earlier[place] for place, many in Counter(places).items()}
        out = set()
        for index, place in enumerate(places):
            reached[place] += 1
            if reached[place] > self.most:
                out.add(index)
        return frozenset(out)

    def _span(self, at: datetime) -> _Span:
        now = self._now
        if at < now.until and now.size < MOST:
            return now
        # What is older than two spans is forgotten at once.
        self._before = now if at < now.until + SPAN else _Span(_EPOCH)
        self._most_before = self._before.most
        self._now = _Span(at + SPAN)
        return self._now
