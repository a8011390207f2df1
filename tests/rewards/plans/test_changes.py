"""What takes lines from what they gave to what is wanted: one comparison settles it, whatever people took back."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.rewards.domain.recomputing import NOTHING, Line, change

wishes = st.integers(-4, 4)
by_hand = st.integers(0, 9)


def carried_out(lines: list[Line], wanted: int) -> list[Line]:
    found = change(wanted, lines)
    back = {line.transaction_id: part for line, part in found.back}
    assert len(back) == len(found.back)
    assert all(0 < part <= line.left for line, part in found.back)
    out = [line._replace(reversed=line.reversed + back.get(line.transaction_id, 0)) for line in lines]
    return [*out, Line(UUID(int=len(lines)), found.more, 0, 0)] if found.more else out


def reversed_by_hand(lines: list[Line], most: int) -> list[Line]:
    """Of the newest line as much as that, or what is left of it."""
    if not lines:
        return lines
    last = lines[-1]
    part = min(most, last.left)
    return [*lines[:-1], last._replace(reversed=last.reversed + part, by_hand=last.by_hand + part)]


@given(st.lists(st.tuples(wishes, by_hand), max_size=6), wishes)
def test_whatever_was_given_and_taken_back_one_comparison_settles_it(history: list[tuple[int, int]], last: int) -> None:
    lines: list[Line] = []
    for wanted, hand in history:
        lines = reversed_by_hand(carried_out(lines, wanted), hand)
    lines = carried_out(lines, last)
    assert change(last, lines) == NOTHING
    left = {plus: sum(line.left for line in lines if (line.amount > 0) == plus) for plus in (True, False)}
    assert left[True] <= max(last, 0)
    assert left[False] <= max(-last, 0)


@given(st.lists(wishes, max_size=6), wishes)
def test_where_nobody_took_back_by_hand_what_is_wanted_is_there(history: list[int], last: int) -> None:
    lines: list[Line] = []
    for wanted in [*history, last]:
        lines = carried_out(lines, wanted)
    assert sum(line.left if line.amount > 0 else -line.left for line in lines) == last
