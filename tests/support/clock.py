"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta

import pytest


class ManualClock:
    """Stands still, at whole seconds, until told; usable wherever a `Clock` is wanted."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
