"""Days that a member could not check in on, because the bot they do it through was away (R28)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from services.rewards.domain.calendars import ONE_DAY, Calendar


@dataclass(frozen=True, slots=True)
class Gap:
    """A connection was silent from `since` until `until`; None: it still is."""

    connection_id: UUID
    since: datetime
    until: datetime | None


def excused(
    gaps: Iterable[Gap], through: UUID, after: date, hours: int, calendar: Calendar, now: datetime
) -> set[date]:
    """The days later than `after`, and over, in whose last `hours` hours nothing came through the connection `through`
    because it was silent all the time."""
    out = set()
    today = calendar.day_of(now)
    for gap in gaps:
        until = gap.until if gap.until is not None else now
        if gap.connection_id != through or until - gap.since < timedelta(hours=hours):
            continue
        day = max(after + ONE_DAY, calendar.day_of(gap.since))
        while day < today and (end := calendar.end_of(day)) <= until:
            # Of a day that is shorter than that the whole.
            if gap.since <= max(end - timedelta(hours=hours), calendar.begin_of(day)):
                out.add(day)
            day += ONE_DAY
    return out
