"""How often a credential may ask: a token bucket each (K14).

A bucket holds `burst` requests and fills by `per_second`; each request takes one, and who finds none hears when there
will be. Kept in this process: with N replicas a credential may ask N times as often. Not in a database or at a third
place, because the look would cost every request more than it keeps away.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

MOST_BUCKETS = 10_000
"""So many are remembered, the last used ones: who was forgotten begins with a full bucket."""


class Taken(NamedTuple):
    """What came of one request. `reset` and `wait` are whole seconds, rounded up: until the bucket is full, and until
    the next request will pass (0: this one did)."""

    limit: int
    remaining: int
    reset: int
    wait: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset),
        ]


class Rates:
    """`per_second` and `burst` are above 0. `seconds` is a clock that only goes forward."""

    def __init__(self, per_second: float, burst: int, seconds: Callable[[], float] = monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._seconds = seconds
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, who: str) -> int:
        """What `take` would say, without counting."""
        return self._wait(self._held(who, self._seconds()))

    def _held(self, who: str, now: float) -> float:
        held, since = self._buckets.get(who, (float(self._burst), now))
        return min(float(self._burst), held + (now - since) * self._per_second)

    def _wait(self, held: float) -> int:
        return 0 if held >= 1 else max(1, math.ceil((1 - held) / self._per_second))

    def take(self, who: str) -> Taken:
        """Count one request of this caller."""
        now = self._seconds()
        held = self._held(who, now)
        self._buckets.pop(who, None)
        wait = self._wait(held)
        if not wait:
            held -= 1
        self._buckets[who] = held, now
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return Taken(self._burst, int(held), math.ceil((self._burst - held) / self._per_second), wait)
