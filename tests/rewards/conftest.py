"""The rewards service by itself, on SQLite and again on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rewards.serving import Rewards, serving
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def rewards(make_database: MakeDatabase, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Rewards]:
    async with serving(await make_database("rewards"), clock, tmp_path) as one:
        yield one
