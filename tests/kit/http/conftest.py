"""The kit's application over a service of the tests' own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.clock import system_clock
from kit.database import metadata_for, open_database
from tests.kit.http.routes import router
from tests.kit.stand import Stand, standing
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")


@pytest.fixture
async def stand(tmp_path: Path, clock: ManualClock, request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    """In process; `@pytest.mark.parametrize("stand", ["served"], indirect=True)` puts a real server before it."""
    db = open_database("scratch", system_clock, metadata=METADATA, directory=tmp_path)
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    served = getattr(request, "param", "") == "served"
    async with standing(db, clock, tmp_path, router, served=served, max_body_bytes=10_000) as made:
        yield made
    await db.close()
