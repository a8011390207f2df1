"""Days, weeks and months of a community, where the clocks change and where they do not."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.days import day_bounds, local_day, next_occurrence, period_named, period_of

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]
instants = st.integers(788_918_400, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
day_starts = st.sampled_from([0, 30, 60, 90, 120, 150, 180, 240, 720, 1439]) | st.integers(0, 1439)


@given(instants, st.sampled_from(ZONES), day_starts)
def test_an_instant_lies_within_the_bounds_of_its_own_day(instant: datetime, zone: str, day_start: int) -> None:
    start, end = day_bounds(local_day(instant, zone, day_start), zone, day_start)
    assert start <= instant < end


@given(instants, st.integers(0, 200_000), st.sampled_from(ZONES), day_starts)
def test_days_never_go_back_as_time_goes_on(instant: datetime, later: int, zone: str, day_start: int) -> None:
    assert local_day(instant, zone, day_start) <= local_day(instant + timedelta(seconds=later), zone, day_start)


@given(instants, st.sampled_from(ZONES), day_starts, st.sampled_from(["day", "week", "month"]))
def test_a_period_holds_its_instant_and_is_found_again_by_its_key(
    instant: datetime, zone: str, day_start: int, kind: str
) -> None:
    period = period_of(kind, instant, zone, day_start)
    assert period.start is not None
    assert period.end is not None
    assert period.start <= instant < period.end
    assert period_named(kind, period.key, zone, day_start) == period


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 1), 24)], ids=str
)
def test_a_day_in_new_york_has_23_hours_in_march_and_25_in_november(day: date, hours: int) -> None:
    start, end = day_bounds(day, "America/New_York", 0)
    assert end - start == timedelta(hours=hours)


def test_a_day_that_starts_at_four_belongs_to_yesterday_until_then() -> None:
    before, after = datetime(2026, 11, 22, 19, 59, tzinfo=UTC), datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    assert local_day(before, "Asia/Shanghai", 240) == date(2026, 11, 22)
    assert local_day(after, "Asia/Shanghai", 240) == date(2026, 11, 23)


def test_a_day_start_that_the_clocks_skip_falls_on_the_change() -> None:
    start, _ = day_bounds(date(2026, 3, 8), "America/New_York", 150)
    assert start == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)


def test_the_repeated_hour_stays_in_the_new_day() -> None:
    # A day that starts at 01:30; at 05:50 UTC it is 01:50, at 06:10 UTC the clock shows 01:10 for the second time.
    first, again = datetime(2026, 11, 1, 5, 50, tzinfo=UTC), datetime(2026, 11, 1, 6, 10, tzinfo=UTC)
    assert local_day(first, "America/New_York", 90) == local_day(again, "America/New_York", 90) == date(2026, 11, 1)


def test_the_day_that_samoa_skipped_has_no_length() -> None:
    start, end = day_bounds(date(2011, 12, 30), "Pacific/Apia", 0)
    assert start == end


def test_an_iso_week_belongs_to_the_year_of_its_thursday() -> None:
    period = period_of("week", datetime(2027, 1, 1, 12, tzinfo=UTC), "UTC", 0)
    assert (period.key, period.start) == ("2026-W53", datetime(2026, 12, 28, tzinfo=UTC))


@pytest.mark.parametrize(
    ("kind", "key"),
    [("day", "2026-13-01"), ("week", "2026-W60"), ("month", "2026-00"), ("all", "ever"), ("hour", "1"), ("week", "x")],
)
def test_a_key_that_is_no_period_is_refused_with_the_right_form(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"no (period|day|week|month|all)"):
        period_named(kind, key, "UTC", 0)


def test_an_unknown_zone_names_itself_and_the_form() -> None:
    with pytest.raises(ValueError, match="'Mars/Base'; use an IANA name"):
        local_day(datetime(2026, 1, 1, tzinfo=UTC), "Mars/Base", 0)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        local_day(datetime(2026, 1, 1), "UTC", 0)  # noqa: DTZ001 (the missing zone is the subject)


def test_a_cron_time_that_the_clocks_skip_fires_at_the_change_and_one_that_repeats_fires_once() -> None:
    spring = next_occurrence("30 2 * * *", datetime(2026, 3, 8, 5, tzinfo=UTC), "America/New_York")
    assert spring == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    autumn = next_occurrence("30 1 * * *", datetime(2026, 11, 1, 4, tzinfo=UTC), "America/New_York")
    following = next_occurrence("30 1 * * *", autumn, "America/New_York")
    assert following - autumn > timedelta(hours=23)


def test_a_cron_expression_that_is_wrong_or_never_fires_is_refused() -> None:
    for cron in ("61 * * * *", "hello", "0 0 30 2 *"):
        with pytest.raises(ValueError, match="no usable cron expression"):
            next_occurrence(cron, datetime(2026, 1, 1, tzinfo=UTC), "UTC")
