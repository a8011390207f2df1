"""The notify service by itself, on SQLite and again on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.log.embedded import EmbeddedLog
from tests.notify.support import Notify, serving
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def notify(make_database: MakeDatabase, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Notify]:
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    async with serving(await make_database("notify"), log, clock, tmp_path) as one:
        yield one
