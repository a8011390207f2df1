"""What a recompute posts: the difference between what the rules gave for an activity and what they should give (R34).

What a person took back by hand stays taken back: it counts as given, and is never taken a second time.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

BACKFILL, RECOMPUTE, FORWARD = "backfill", "recompute", "forward_only"
FOLDING, COMPARING, READY, POSTING = "folding", "comparing", "ready", "posting"
DONE, CANCELLED, FAILED = "done", "cancelled", "failed"
OPEN: Final = (FOLDING, COMPARING, POSTING)
RECOMPUTED = "recomputed"

ACTOR_PREFIX = "recompute:"
"""Who posted, on the transactions of a recompute: this and its id."""


class Key(NamedTuple):
    """What is given once: a rule's amount of a unit for an event to a member."""

    event_id: UUID
    rule_id: str
    member_id: UUID
    unit: str


class Line(NamedTuple):
    """A grant in the ledger: `reversed` of it (unsigned) is taken back, `by_hand` of that by a person."""

    transaction_id: UUID
    amount: int
    reversed: int
    by_hand: int

    @property
    def left(self) -> int:
        """What can be taken back yet, unsigned."""
        return abs(self.amount) - self.reversed

    @property
    def given(self) -> int:
        """What the rules gave by it, after their own second thoughts."""
        given = self.left + self.by_hand
        return given if self.amount > 0 else -given


class Change(NamedTuple):
    """`back`: of which lines how much (unsigned) is taken back; `more`: what is given besides, with its sign."""

    back: tuple[tuple[Line, int], ...]
    more: int

    @property
    def amounts(self) -> list[int]:
        """Of each transaction to be, as the member's account sees it."""
        return [-part if line.amount > 0 else part for line, part in self.back] + ([self.more] if self.more else [])


NOTHING = Change((), 0)


def given(lines: Sequence[Line]) -> int:
    """What the rules gave by these lines (oldest first): by those of the newest sign that anything is left of. What a
    person forgave of a fine is over where the rules reward the same by now."""
    for line in reversed(lines):
        if line.given:
            return _sum(lines, plus=line.given > 0)
    return 0


def change(wanted: int, lines: Sequence[Line]) -> Change:
    """From what these lines (oldest first) gave to what is wanted. Newer lines go back first.

    Lines of the two signs do not count against each other: of what a person took back nothing more goes back, and it
    would be missing for ever, and posted again by every comparison.
    """
    back: list[tuple[Line, int]] = []
    more = 0
    for plus in (False, True):
        have = abs(_sum(lines, plus=plus))
        keep = abs(wanted) if wanted and (wanted > 0) == plus else 0
        back += _taken(lines, max(0, have - keep), plus=plus)
        more += max(0, keep - have)
    return Change(tuple(back), more if wanted > 0 else -more)


def _sum(lines: Sequence[Line], *, plus: bool) -> int:
    return sum(line.given for line in lines if (line.amount > 0) == plus)


def _taken(lines: Sequence[Line], excess: int, *, plus: bool) -> list[tuple[Line, int]]:
    out = []
    for line in reversed(lines):
        part = min(excess, line.left) if (line.amount > 0) == plus else 0
        if part > 0:
            out.append((line, part))
            excess -= part
    return out
