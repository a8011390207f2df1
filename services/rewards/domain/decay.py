"""Boards that forget: of what was earned on a day less counts with every day that follows.

A score is the sum, over the days of the window, of what is left of each, in whole numbers rounded towards zero. So it
is a function of what the board's days say and of nothing else: not of when entries came, nor in which batches.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

DECAY = "decay"
KEEP_LEAST, KEEP_MOST = 10, 98
WHOLE = 1_000_000
"""What the whole of a day is counted as."""

FORGOTTEN = WHOLE // 1000
"""Of a day that less than a thousandth is left of nothing is: within a year, however much is kept."""


@lru_cache(maxsize=128)
def weights(keep_percent: int) -> tuple[int, ...]:
    """How much of WHOLE is left of today, of yesterday, and so on, until it is forgotten."""
    out: list[int] = []
    while (left := WHOLE * keep_percent ** len(out) // 100 ** len(out)) >= FORGOTTEN:
        out.append(left)
    return tuple(out)


def left_of(score: int, weight: int) -> int:
    """What is left of a day's score, towards zero; the statement that fills boards says the same."""
    left = abs(score) * weight // WHOLE
    return left if score >= 0 else -left


@dataclass(frozen=True, slots=True)
class Decay:
    """`keep_percent_per_day` of what counted the day before still does. `day` is the one that scores are worked out
    for."""

    keep_percent_per_day: int
    day: date

    @property
    def days(self) -> int:
        """How many days count at all."""
        return len(weights(self.keep_percent_per_day))

    @property
    def first_day(self) -> date:
        return self.day - timedelta(days=self.days - 1)

    @property
    def kind(self) -> str:
        """The kind of period that scores are kept under: with another percentage there are others."""
        return f"{DECAY}{self.keep_percent_per_day}"

    def weight(self, day: date) -> int:
        """Of what was earned on the day; 0 for what is forgotten, and for days that have not come."""
        age, known = (self.day - day).days, weights(self.keep_percent_per_day)
        return known[age] if 0 <= age < len(known) else 0
