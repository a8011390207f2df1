"""Schemas: the migrations make exactly the declared tables, on both engines, however often and by however many."""

import asyncio
import os
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from kit.clock import system_clock
from kit.database import Database, open_database
from kit.migrations import differences, migrate
from kit.revisions import at_head, head
from services.compose import BY_NAME, SERVICES
from tests.support.databases import MakeDatabase

every_service = pytest.mark.parametrize("name", [service.name for service in SERVICES])


@every_service
async def test_the_migrations_make_exactly_the_declared_tables(make_database: MakeDatabase, name: str) -> None:
    db = await make_database(name)
    assert await at_head(db, BY_NAME[name].migrations)
    assert await differences(db) == [], "write a migration, or mend the one that is not released yet"


@every_service
async def test_migrating_again_changes_nothing(make_database: MakeDatabase, name: str) -> None:
    db = await make_database(name)
    await migrate(db, BY_NAME[name].migrations)
    assert await at_head(db, BY_NAME[name].migrations)


@every_service
async def test_a_schema_that_is_not_there_or_of_another_version_is_noticed(
    make_database: MakeDatabase, name: str
) -> None:
    db = await make_database(name)
    async with db.begin() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = 'of-tomorrow'"))
    assert not await at_head(db, BY_NAME[name].migrations)
    async with db.begin() as tx:
        await tx.execute(text("DELETE FROM alembic_version"))
    assert not await at_head(db, BY_NAME[name].migrations)


@every_service
async def test_a_histories_revisions_stand_in_one_line(name: str) -> None:
    files = await asyncio.to_thread(os.listdir, BY_NAME[name].migrations / "versions")
    numbers = sorted(file[:4] for file in files if file.endswith(".py"))
    assert numbers == [f"{n:04d}" for n in range(1, len(numbers) + 1)]


@every_service
def test_the_last_revision_is_the_one_that_alembic_would_migrate_to(name: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(BY_NAME[name].migrations))
    config.set_main_option("path_separator", "os")
    assert head(BY_NAME[name].migrations) == ScriptDirectory.from_config(config).get_current_head()


def test_a_history_that_forks_or_lacks_a_link_has_no_last_revision(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    assert head(tmp_path) is None
    (versions / "0001_first.py").write_text('revision = "0001"\ndown_revision = None\n')
    (versions / "0002_second.py").write_text('revision = "0002"\ndown_revision = "0001"\n')
    assert head(tmp_path) == "0002"
    fork = versions / "0003_third.py"
    for wrong in ('revision = "0003"\ndown_revision = "0001"\n', "revision = made_up()\n"):
        fork.write_text(wrong)
        with pytest.raises(ValueError, match="one revision and one before it"):
            head(tmp_path)


async def test_replicas_that_start_together_migrate_once(postgres_server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    url = postgres_server.create_database("together")
    service = BY_NAME["members"]

    def opened() -> Database:
        return open_database("members", system_clock, metadata=service.metadata, url=url)

    replicas = [opened() for _ in range(6)]
    await asyncio.gather(*(migrate(db, service.migrations) for db in replicas))
    assert await at_head(replicas[0], service.migrations)
    assert await differences(replicas[0]) == []
    for db in replicas:
        await db.close()


async def test_services_on_one_server_do_not_see_each_others_tables(postgres_server) -> None:  # type: ignore[no-untyped-def]
    url = postgres_server.create_database("side_by_side")
    opened = []
    for service in SERVICES:
        db = open_database(service.name, system_clock, metadata=service.metadata, url=url)
        await migrate(db, service.migrations)
        opened.append(db)
    for db in opened:
        assert await differences(db) == []
        async with db.read() as tx:
            schemas = {
                row[0] for row in await tx.all(text("SELECT DISTINCT table_schema FROM information_schema.tables"))
            }
            assert {service.name for service in SERVICES} <= schemas
            assert await tx.scalar(text("SELECT current_schema()")) == db.service
        await db.close()


async def test_a_column_too_many_or_too_few_is_a_difference(make_database: MakeDatabase) -> None:
    db = await make_database("members")
    async with db.begin() as tx:
        await tx.execute(text("ALTER TABLE known_members ADD COLUMN surplus INTEGER"))
        await tx.execute(text("ALTER TABLE known_members DROP COLUMN kind"))
    found = str(await differences(db))
    assert "surplus" in found
    assert "kind" in found
