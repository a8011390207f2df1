"""The schedule of kills."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.crash.schedule import schedule


@given(
    st.integers(), st.integers(1, 80), st.integers(1, 3000), st.lists(st.text(), min_size=1, max_size=4, unique=True)
)
def test_a_seed_gives_the_same_kills_in_order_and_as_many_as_asked(
    seed: int, kills: int, batches: int, victims: list[str]
) -> None:
    drawn = schedule(seed, kills, batches, victims)
    assert drawn == schedule(seed, kills, batches, victims)
    assert sum(kill.count for kill in drawn) == kills
    assert [kill.after for kill in drawn] == sorted(kill.after for kill in drawn)
    assert all(1 <= kill.after <= batches for kill in drawn)


def test_victims_take_turns_and_some_kills_hit_a_start() -> None:
    drawn = schedule(1, 200, 1000, ("members", "events", "rewards", "notify"))
    turns = Counter(kill.victim for kill in drawn)
    assert max(turns.values()) - min(turns.values()) <= 1
    assert 10 < sum(kill.again is not None for kill in drawn) < 60
    assert 10 < sum(kill.after == 1000 for kill in drawn) < 70
