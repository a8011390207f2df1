"""The members service by itself, on SQLite and again on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kit.database import Database
from tests.members.support import Members, serving
from tests.support.clock import ManualClock


@pytest.fixture
async def members(
    make_database: Callable[[str], Awaitable[Database]], clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Members]:
    async with serving(await make_database("members"), clock, tmp_path) as one:
        yield one
