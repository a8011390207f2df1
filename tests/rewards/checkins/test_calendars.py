"""Days of those who travel: never twice, never back, and none is lost to a clock."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.days import local_day
from services.rewards.domain.calendars import Calendar, calendar_of
from services.rewards.handlers.series_days import for_series
from tests.rewards.checkins.support import DAY_STARTS, ZONES, calendars, instants, series


def at(zone: str, *wall: int) -> datetime:
    year, month, day, *rest = wall
    return datetime(year, month, day, *rest, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@given(calendars(), instants(), instants())
def test_days_never_go_back(calendar: Calendar, one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    assert calendar.day_of(first) <= calendar.day_of(second)


@given(calendars(), instants())
def test_a_day_holds_its_instants_and_ends_where_the_next_begins(calendar: Calendar, instant: datetime) -> None:
    day = calendar.day_of(instant)
    begin, end = calendar.begin_of(day), calendar.end_of(day)
    assert begin <= instant < end
    assert calendar.day_of(begin) == calendar.day_of(end - datetime.resolution) == day
    assert calendar.day_of(begin - datetime.resolution) < day < calendar.day_of(end)


@given(st.sampled_from(ZONES), DAY_STARTS, instants())
def test_without_a_change_days_are_those_of_the_zone(zone: str, day_start: int, instant: datetime) -> None:
    assert calendar_of(zone, day_start).day_of(instant) == local_day(instant, zone, day_start)


@given(calendars(), instants(), st.sampled_from(ZONES), DAY_STARTS)
def test_a_change_leaves_the_day_it_is_made_on_as_it_was(
    calendar: Calendar, moment: datetime, zone: str, day_start: int
) -> None:
    changed = calendar.changed(moment, zone, day_start)
    # What was planned and had not begun is called off by a new wish.
    first, *later = calendar.stretches
    before = Calendar((first, *[stretch for stretch in later if stretch.since <= moment]))
    for instant in (moment, before.begin_of(before.day_of(moment)), before.end_of(before.day_of(moment))):
        earlier = instant - datetime.resolution
        assert changed.day_of(earlier) == before.day_of(earlier)
    since = changed.stretches[-1].since
    assert changed.day_of(since - datetime.resolution) == before.day_of(since - datetime.resolution)


@given(calendars(changes=6))
def test_changes_are_a_week_of_days_apart(calendar: Calendar) -> None:
    begun = [calendar.day_of(s.since) for s in calendar.stretches[1:]]
    # A day goes on where the new clock still shows it, which takes one of the seven.
    assert all((later - earlier).days >= 6 for earlier, later in pairwise(begun))


@given(calendars(), st.one_of(st.none(), DAY_STARTS), instants())
def test_every_day_has_half_a_day_or_asks_for_nothing(
    calendar: Calendar, day_start: int | None, instant: datetime
) -> None:
    # A series may begin its days at another hour than the community that changes its zone.
    calendar = for_series(calendar, series(day_start=day_start))
    first = calendar.day_of(instant)
    for day in (first + timedelta(days=n) for n in range(-3, 4)):
        length = calendar.end_of(day) - calendar.begin_of(day)
        assert length >= timedelta(hours=12) or day in calendar.brief


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 7), 24), ((2026, 3, 8), 23), ((2026, 3, 9), 24), ((2026, 11, 1), 25)]
)
def test_a_day_in_new_york_has_the_hours_that_its_clocks_give_it(day: tuple[int, int, int], hours: int) -> None:
    calendar, one = calendar_of("America/New_York", 0), date(*day)
    assert calendar.end_of(one) - calendar.begin_of(one) == timedelta(hours=hours)
    assert calendar.begin_of(one) == at("America/New_York", *day, 0, 0)
    assert one not in calendar.brief


def test_who_flies_from_shanghai_to_los_angeles_has_a_long_day_and_no_second_one() -> None:
    landed = at("America/Los_Angeles", 2026, 11, 23, 18)
    calendar = calendar_of("Asia/Shanghai", 0).changed(landed, "America/Los_Angeles", 0)
    assert calendar.day_of(landed) == date(2026, 11, 24)
    # Midnight in Shanghai: the 24th begins again in Los Angeles, and goes on.
    assert calendar.day_of(at("America/Los_Angeles", 2026, 11, 24, 23, 59)) == date(2026, 11, 24)
    assert calendar.day_of(at("America/Los_Angeles", 2026, 11, 25)) == date(2026, 11, 25)
    assert calendar.brief == frozenset()


def test_who_flies_from_los_angeles_to_shanghai_has_a_short_day_that_asks_for_nothing() -> None:
    landed = at("Asia/Shanghai", 2026, 11, 24, 14)
    calendar = calendar_of("America/Los_Angeles", 0).changed(landed, "Asia/Shanghai", 0)
    assert calendar.day_of(landed) == date(2026, 11, 23)
    short = date(2026, 11, 24)
    assert calendar.begin_of(short) == at("Asia/Shanghai", 2026, 11, 24, 16)
    assert calendar.end_of(short) == at("Asia/Shanghai", 2026, 11, 25)
    assert calendar.brief == {short}


def test_a_day_that_the_date_line_swallows_asks_for_nothing_either() -> None:
    calendar = calendar_of("Etc/GMT+12", 0).changed(at("Etc/GMT+12", 2026, 11, 23, 12), "Pacific/Kiritimati", 0)
    # Midnight between the 23rd and the 24th is 02:00 of the 25th there.
    assert calendar.day_of(at("Etc/GMT+12", 2026, 11, 24)) == date(2026, 11, 25)
    assert calendar.brief == {date(2026, 11, 24)}


def test_two_changes_within_a_week_wait_for_the_week() -> None:
    calendar = calendar_of("Asia/Shanghai", 0).changed(at("UTC", 2026, 11, 2, 12), "Europe/London", 0)
    again = calendar.changed(at("UTC", 2026, 11, 4, 12), "Asia/Shanghai", 0)
    assert again.day_of(at("Europe/London", 2026, 11, 8, 23)) == date(2026, 11, 8)
    # The change began in the long second; a week later Shanghai's clock holds again.
    assert again.stretches[-1].since == at("Europe/London", 2026, 11, 9)
    assert calendar.changed(at("UTC", 2026, 11, 2, 13), "Asia/Shanghai", 0) == calendar_of("Asia/Shanghai", 0)


def test_a_community_changes_as_the_day_begins_that_was_announced() -> None:
    calendar = calendar_of("Asia/Shanghai", 0).begun(at("Asia/Shanghai", 2026, 11, 24, 0, 1), "Europe/Berlin", 240)
    assert calendar.stretches[-1].since == at("Asia/Shanghai", 2026, 11, 24)
    assert calendar.day_of(at("Asia/Shanghai", 2026, 11, 24, 0, 1)) == date(2026, 11, 23)
    # The day goes on in Berlin, so what is put right a minute later takes the place of the change.
    again = calendar.begun(at("Asia/Shanghai", 2026, 11, 24, 0, 2), "UTC", 0)
    assert [s.zone for s in again.stretches] == ["Asia/Shanghai", "UTC"]
