"""When a budget is told of (R83): at four fifths, and when it is used up or gives no more."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from kit.ids import uuid5

if TYPE_CHECKING:
    from services.rewards.domain.engine import Limit, State, Want

WARNINGS = (80, 100)
"""At how many per cent of a budget somebody is told."""


class Reached(NamedTuple):
    """A budget of a calendar window came to `percent` (one of WARNINGS) of its limit with this want, or has too little
    left for it (100, whatever is `used`)."""

    want: "Want"
    limit: "Limit"
    percent: int
    used: int


def mark_of(limit: "Limit") -> UUID | None:
    """The counter that says whether somebody was told that it gives no more; None for what is always used up when it
    does: what leaves grants out may have something left for ever."""
    leaves_out = limit.budget and limit.skip and limit.of == "amount" and limit.seconds is None
    return _mark(limit.id) if leaves_out else None


@lru_cache(maxsize=1024)
def _mark(id: UUID) -> UUID:
    return uuid5(id, "told")


def note_used(limit: "Limit", want: "Want", before: int, after: int, state: "State") -> None:
    for percent in WARNINGS:
        if before * 100 < percent * limit.limit <= after * 100:
            _note(Reached(want, limit, percent, after), state)


def note_left_out(limit: "Limit", want: "Want", state: "State") -> None:
    if mark_of(limit) is not None:
        _note(Reached(want, limit, WARNINGS[-1], state.counters.get(limit.id, 0)), state)


def _note(one: Reached, state: "State") -> None:
    mark = mark_of(one.limit)
    if mark is not None:
        if state.counters.get(mark):
            return
        if one.percent == WARNINGS[-1]:
            state.counters[mark] = 1
    # Of one batch the last is told, which says it all.
    state.reached = [r for r in state.reached if r.limit.id != one.limit.id]
    state.reached.append(one)
