"""A bucket of requests for each credential (K14)."""

from hypothesis import given
from hypothesis import strategies as st

from kit import rates
from kit.rates import Rates


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_the_next_waits_for_as_long_as_it_is_told() -> None:
    seconds = Seconds()
    limits = Rates(0.5, 3, seconds)
    assert [limits.take("a").remaining for _ in range(3)] == [2, 1, 0]
    refused = limits.take("a")
    assert (refused.remaining, refused.wait, refused.reset) == (0, 2, 6)
    seconds.now = refused.wait
    assert limits.take("a").wait == 0
    assert limits.take("a").wait == 2


def test_a_bucket_is_full_again_after_a_pause_and_never_fuller() -> None:
    seconds = Seconds()
    limits = Rates(1, 2, seconds)
    first = limits.take("a")
    assert (first.limit, first.remaining, first.reset) == (2, 1, 1)
    seconds.now = 1000
    assert [limits.take("a").wait for _ in range(3)] == [0, 0, 1]


def test_what_one_credential_asks_is_not_taken_from_another() -> None:
    limits = Rates(1, 1, Seconds())
    assert [limits.take(who).wait for who in ("a", "b", "a")] == [0, 0, 1]


def test_of_many_credentials_the_last_used_ones_are_remembered() -> None:
    limits = Rates(1, 1, Seconds())
    for n in range(rates.MOST_BUCKETS):
        limits.take(str(n))
    limits.take("0")
    limits.take("new")
    assert limits.take("0").wait == 1
    assert limits.take("1").wait == 0


@given(
    per_second=st.floats(0.1, 1000),
    burst=st.integers(1, 100),
    pauses=st.lists(st.floats(0, 10), max_size=60),
)
def test_in_any_stretch_of_time_no_more_pass_than_the_burst_and_what_came_in_it(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    seconds = Seconds()
    limits = Rates(per_second, burst, seconds)
    passed = []
    for pause in pauses:
        seconds.now += pause
        if not limits.take("a").wait:
            passed.append(seconds.now)
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + (passed[j] - start) * per_second + 1e-6
