"""An expiring badge, worked out in one go, is what somebody would have seen who watched day by day."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.rewards.domain.badges import Badge, Criterion, End, Grant, Mark, Standing, counted, counts, firsts

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(days=400)

EVENTS = st.lists(
    st.tuples(st.integers(0, 399 * 24), st.sampled_from("abcd")), max_size=60, unique_by=lambda event: event[0]
)


def watched(badge: Badge, events: list[tuple[int, str]]) -> tuple[list[datetime], int]:
    """When it was granted, and how much is counted at the end; an event after another."""
    granted: list[datetime] = []
    seen: set[str] = set()
    until = BEGIN
    for hour, value in sorted(events):
        at = BEGIN + timedelta(hours=hour)
        if at < until:
            continue
        seen.add(value)
        if len(seen) == badge.criterion.least:
            granted.append(at)
            seen, until = set(), badge.expiry(at) or until
    return granted, len(seen)


@given(events=EVENTS, days=st.integers(1, 90), least=st.integers(1, 4))
def test_grants_of_an_expiring_badge_in_one_go_are_those_of_every_day(
    events: list[tuple[int, str]], days: int, least: int
) -> None:
    criterion = Criterion(kind="events", on=("x",), count="people", least=least)
    badge = Badge(id="b", name="B", kind="expiring", expires_after_days=days, criterion=criterion)
    marks = [Mark(value, UUID(int=hour), BEGIN + timedelta(hours=hour), False) for hour, value in events]
    outcome = counted(badge, Standing(), len(firsts(marks)), marks, NOW)
    granted = [change.reached.at for change in outcome.changes if isinstance(change, Grant)]
    ended = [change.at for change in outcome.changes if isinstance(change, End)]
    expected, left = watched(badge, events)
    assert granted == expected
    assert ended == [at + timedelta(days=days) for at in granted if at + timedelta(days=days) <= NOW]
    assert (outcome.standing.number, outcome.standing.held) == (len(granted), len(ended) < len(granted))
    assert outcome.standing.progress == left
    assert all(counts(badge, outcome.standing, mark.at) for mark in outcome.kept or ())
