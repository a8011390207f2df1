"""A community, and one process that works on its plans."""

from pathlib import Path

import pytest

from kit.database import Database
from tests.rewards.guild import Guild, make_guild
from tests.rewards.plans.support import Plans, plans_of
from tests.support.databases import MakeDatabase


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


@pytest.fixture
def plans(guild: Guild, tmp_path: Path) -> Plans:
    return plans_of(guild, tmp_path)
