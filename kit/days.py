"""The only place where an instant becomes a day, a week or a month, and where recurrence is worked out.

A community's day begins at `day_start` minutes after local midnight in its zone; a local day has 23, 24 or 25
hours where the clocks change. Nothing here adds 24 hours to anything: dates are compared as dates.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

PERIOD_KINDS = ("day", "week", "month", "quarter", "all")


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar window: `start` inclusive, `end` exclusive, both UTC; None for the unbounded `all`."""

    kind: str
    key: str
    start: datetime | None
    end: datetime | None


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone; ValueError names one that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError, PermissionError) as error:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Asia/Shanghai") from error


def local_day(instant: datetime, zone: str, day_start: int) -> date:
    """The community's day that `instant` (aware) falls into: `date(to_zone(instant) - day_start)` (R21).

    A day begins when the wall clock first shows `day_start` and never goes back: where the clocks are put back
    across it, the repeated stretch stays in the new day. `day_bounds` agrees with this for every instant.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    wall = instant.astimezone(zone_named(zone))
    day = (wall.replace(tzinfo=None) - timedelta(minutes=day_start)).date()
    if wall.fold and instant >= _first_instant(day + timedelta(days=1), zone, day_start):
        return day + timedelta(days=1)
    return day


@lru_cache(maxsize=65536)
def _first_instant(day: date, zone: str, day_start: int) -> datetime:
    """When the wall clock first shows `day_start` of `day`, or the clock change that skips it."""
    place = zone_named(zone)
    wall = datetime.combine(day, time(), tzinfo=place) + timedelta(minutes=day_start)
    instant = wall.astimezone(UTC)
    if instant.astimezone(place).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    # The wall time does not exist. Its two readings (offset after, offset before the change) enclose the change.
    low, high = wall.replace(fold=1).astimezone(UTC), instant
    after = high.astimezone(place).utcoffset()
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(place).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=65536)
def day_bounds(day: date, zone: str, day_start: int) -> tuple[datetime, datetime]:
    """First instant of the day and of the next one, in UTC."""
    return _first_instant(day, zone, day_start), _first_instant(day + timedelta(days=1), zone, day_start)


@lru_cache(maxsize=65536)
def _period(kind: str, day: date, zone: str, day_start: int) -> Period:
    if kind == "day":
        first, after, key = day, day + timedelta(days=1), day.isoformat()
    elif kind == "week":
        first = day - timedelta(days=day.weekday())
        after = first + timedelta(days=7)
        year, week, _ = day.isocalendar()
        key = f"{year}-W{week:02d}"
    elif kind == "month":
        first = day.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        key = f"{first:%Y-%m}"
    elif kind == "quarter":
        first = day.replace(month=day.month - (day.month - 1) % 3, day=1)
        after = (first + timedelta(days=93)).replace(day=1)
        key = f"{first:%Y}-Q{first.month // 3 + 1}"
    else:
        raise ValueError(f"unknown period kind {kind!r}; one of {', '.join(PERIOD_KINDS)}")
    return Period(kind, key, _first_instant(first, zone, day_start), _first_instant(after, zone, day_start))


ALL_TIME = Period("all", "all", None, None)


def period_of(kind: str, instant: datetime, zone: str, day_start: int) -> Period:
    """The calendar period of `kind` (one of PERIOD_KINDS) around `instant`; ValueError for another kind."""
    if kind == "all":
        return ALL_TIME
    return _period(kind, local_day(instant, zone, day_start), zone, day_start)


def period_with(kind: str, day: date, zone: str, day_start: int) -> Period:
    """The calendar period of `kind` that the community's day belongs to: `period_of` for who knows the day."""
    return ALL_TIME if kind == "all" else _period(kind, day, zone, day_start)


def period_named(kind: str, key: str, zone: str, day_start: int) -> Period:
    """The period written `key` (2026-11-23, 2026-W48, 2026-11, 2026-Q4, all); ValueError says how it should read."""
    try:
        if kind == "all" and key == "all":
            return ALL_TIME
        if kind == "day":
            return _period(kind, date.fromisoformat(key), zone, day_start)
        if kind == "week":
            year, _, week = key.partition("-W")
            return _period(kind, date.fromisocalendar(int(year), int(week), 1), zone, day_start)
        if kind == "month":
            year, _, month = key.partition("-")
            return _period(kind, date(int(year), int(month), 1), zone, day_start)
        if kind == "quarter":
            year, _, quarter = key.partition("-Q")
            return _period(kind, date(int(year), int(quarter) * 3 - 2, 1), zone, day_start)
    except ValueError as error:
        raise ValueError(f"{key!r} is no {kind}; write 2026-11-23, 2026-W48, 2026-11, 2026-Q4 or all") from error
    raise ValueError(f"{key!r} is no period of kind {kind!r}")


def period_between(kind: str, key: str, first: date, last: date, zone: str, day_start: int) -> Period:
    """A window of the community's days from `first` to `last`, both inclusive."""
    return Period(kind, key, _first_instant(first, zone, day_start), day_bounds(last, zone, day_start)[1])


def next_occurrence(cron: str, after: datetime, zone: str) -> datetime:
    """The next instant (UTC) strictly after `after` at which the cron expression fires on the zone's wall clock.

    A wall time skipped by a clock change fires at the change, one that occurs twice fires once (as Debian's cron).
    ValueError for an expression that is wrong or never fires.
    """
    try:
        return next(CronSim(cron, after.astimezone(zone_named(zone)))).astimezone(UTC)
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{cron!r} is no usable cron expression (minute hour day month weekday): {error}") from error
