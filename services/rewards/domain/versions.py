"""Which version of a community's rules holds for what happened when (R33).

A version that is published holds for whatever is handled from then on, whenever it happened. One that is scheduled
holds for what happens from its `effective_from` on, whenever that is handled: a consumer that is behind, or an event
that is late, is scored by what held at its time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

State = Literal["scheduled", "in_force", "superseded", "recomputing", "cancelled"]

SCHEDULED: Final = "scheduled"
IN_FORCE: Final = "in_force"
SUPERSEDED: Final = "superseded"
RECOMPUTING: Final = "recomputing"
CANCELLED: Final = "cancelled"


class Published(NamedTuple):
    """A version that was not cancelled. `effective_from` is null where it was not scheduled."""

    version: int
    effective_from: datetime | None
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """`standing` holds for what happened before the first of `later` (since when, and which version; by time), each of
    those until the next."""

    standing: int
    later: tuple[tuple[datetime, int], ...] = ()

    def at(self, when: datetime) -> int:
        """The version that holds for what happened then."""
        found = self.standing
        for since, version in self.later:
            if when < since:
                break
            found = version
        return found

    @property
    def versions(self) -> tuple[int, ...]:
        """All that hold for some time or other."""
        return self.standing, *(version for _, version in self.later)


def schedule_of(published: Iterable[Published]) -> Schedule | None:
    """Of the versions that may hold for an activity the one that started last does, and of one start the highest; None
    where there is none that was not scheduled. Those not scheduled follow each other by their numbers alone: clocks of
    two replicas may disagree on which was first."""
    every = list(published)
    standing = max((one for one in every if one.effective_from is None), key=lambda one: one.version, default=None)
    if standing is None:
        return None
    before = standing.published_at, standing.version
    starts = ((one.effective_from, one.version) for one in every if one.effective_from is not None)
    return Schedule(standing.version, tuple(sorted(start for start in starts if start > before)))


def state_of(version: int, effective_from: datetime | None, *, now: datetime, holds_now: int) -> State:
    """What has become of a version that is neither cancelled nor waits for its recompute."""
    if version == holds_now:
        return IN_FORCE
    return SCHEDULED if effective_from is not None and effective_from > now else SUPERSEDED
