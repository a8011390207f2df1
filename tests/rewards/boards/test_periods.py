"""Which days a period has: two ways of saying it agree, for every zone and day start."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kit.days import PERIOD_KINDS, local_day, period_named, period_of
from services.rewards.domain.boards import bucket_of, days_of, key_of

days = st.dates(date(1990, 1, 1), date(2060, 12, 31))
kinds = st.sampled_from(PERIOD_KINDS)
zones = st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
starts = st.sampled_from([0, 240, 1439])
instants = st.integers(631_152_000, 2_871_763_200).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(kind=kinds, day=days)
def test_a_day_lies_in_its_period_and_every_day_of_a_period_has_its_key(kind: str, day: date) -> None:
    first, last = days_of(kind, day)
    assert first <= day <= last
    assert key_of(kind, first) == key_of(kind, last) == key_of(kind, day)
    if kind != "all":
        assert key_of(kind, first - timedelta(days=1)) != key_of(kind, day) != key_of(kind, last + timedelta(days=1))


@given(kind=kinds, at=instants, zone=zones, start=starts)
def test_a_board_counts_an_entry_in_the_period_that_runs_when_it_is_effective(
    kind: str, at: datetime, zone: str, start: int
) -> None:
    period = period_of(kind, at, zone, start)
    assert period.key == key_of(kind, local_day(at, zone, start))
    assert period_named(kind, period.key, zone, start) == period
    assert period.start is None or period.start <= at < period.end  # type: ignore[operator]  # both or none


@given(kind=st.sampled_from(["day", "week", "month"]), at=instants, zone=zones, start=starts)
def test_periods_follow_each_other_without_gap_or_overlap(kind: str, at: datetime, zone: str, start: int) -> None:
    period = period_of(kind, at, zone, start)
    assert period.start is not None
    assert period.end is not None
    following = period_of(kind, period.end, zone, start)
    assert following.start == period.end
    assert following.key != period.key
    assert period_of(kind, period.end - timedelta(microseconds=1), zone, start) == period


@given(a=st.integers(-(2**62), 2**62), b=st.integers(-(2**62), 2**62))
def test_a_higher_score_is_never_in_a_lower_bucket(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert bucket_of(low) <= bucket_of(high)
    assert abs(bucket_of(a)) < 2**14
