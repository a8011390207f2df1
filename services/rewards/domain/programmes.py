"""How a member stands in a programme, read off the days that were walked."""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, NamedTuple

from services.rewards.domain.checkins import Programme
from services.rewards.domain.streaks import DONE, OPEN, UNSCHEDULED, Day

Standing = Literal["to_come", "running", "failed", "passed"]
FLAWLESS: Final = frozenset({DONE, UNSCHEDULED, OPEN})


class Progress(NamedTuple):
    """`absences_left` are of the block that the last day belongs to. `perfect`: every day so far that asked for a
    check-in has one made on the day or in time for it, none was repaired, frozen or excused."""

    standing: Standing
    failed_on: date | None
    absences_left: int
    perfect: bool


def progress(walked: Sequence[Day], programme: Programme, today: date) -> Progress:
    """`walked` are all days from the programme's first until today or its last; none for who did not join."""
    state = walked[-1].state if walked else None
    absent = state.absent if state is not None else 0
    failed_on = state.failed if state is not None else None
    return Progress(
        _standing(failed_on, programme, today),
        failed_on,
        max(0, programme.absences - absent),
        bool(walked) and all(day.status in FLAWLESS for day in walked),
    )


def _standing(failed_on: date | None, programme: Programme, today: date) -> Standing:
    if today < programme.first_day:
        return "to_come"
    if failed_on is not None:
        return "failed"
    return "passed" if today > programme.last_day else "running"


def results(walked: Sequence[Day], programme: Programme, today: date) -> frozenset[str]:
    """What a member has to show for it: `passed`, and `perfect` besides; nothing before it is over."""
    found = progress(walked, programme, today)
    if found.standing != "passed" or not walked:
        return frozenset()
    return frozenset(("passed", "perfect") if found.perfect else ("passed",))
