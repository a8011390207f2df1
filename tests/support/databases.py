"""Real databases for tests: migrated once, copied per test; every test that asks for one runs on both engines."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from kit.clock import system_clock
from kit.contracts.platform import KeyUsed
from kit.database import Database, open_database
from kit.migrations import migrate
from kit.service import Service
from services.compose import BY_NAME, SERVICES
from tests.support.clock import ManualClock

MakeDatabase = Callable[[str], Awaitable[Database]]

_numbers = count(1)
_templates: set[tuple[str, str]] = set()


def _open(service: Service, clock: Any, *, url: str = "", directory: Path | None = None) -> Database:
    publishes = (*service.publishes, KeyUsed)
    return open_database(
        service.name, clock, metadata=service.metadata, publishes=publishes, url=url, directory=directory, pool=60
    )


async def _template_sqlite(service: Service, directory: Path) -> Path:
    path = directory / f"{service.name}.sqlite"
    if not path.exists():
        db = _open(service, system_clock, directory=directory)
        await migrate(db, service.migrations)
        await db.close()
    return path


async def _template_postgres(service: Service, server: Any) -> str:
    name = f"template_{service.name}"
    if (server.dsn, name) not in _templates:
        url = server.create_database(name)
        db = _open(service, system_clock, url=url)
        await migrate(db, service.migrations)
        await db.close()
        _templates.add((server.dsn, name))
    return name


async def copy_platform_sqlite(templates: Path, directory: Path) -> None:
    """The databases of all services, migrated, into the data directory of an installation."""
    for service in SERVICES:
        shutil.copy(await _template_sqlite(service, templates), directory)


async def create_platform_postgres(server: Any) -> str:
    """A database with the schemas of all services, migrated; its URL."""
    name = "template_platform"
    if (server.dsn, name) not in _templates:
        url = server.create_database(name)
        for service in SERVICES:
            db = _open(service, system_clock, url=url)
            await migrate(db, service.migrations)
            await db.close()
        _templates.add((server.dsn, name))
    return str(server.create_database(f"platform_{next(_numbers)}", template=name))


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("templates")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    return str(request.param)


@pytest.fixture
async def make_database(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, sqlite_templates: Path, clock: ManualClock
) -> AsyncIterator[MakeDatabase]:
    """`db = await make_database("rewards")`: a fresh migrated database of that service, closed after the test."""
    opened: list[Database] = []
    server = request.getfixturevalue("postgres_server") if engine == "postgresql" else None

    async def make(name: str) -> Database:
        service = BY_NAME[name]
        if server is not None:
            template = await _template_postgres(service, server)
            url = server.create_database(f"test_{next(_numbers)}", template=template)
            db = _open(service, clock, url=url)
        else:
            source = await _template_sqlite(service, sqlite_templates)
            directory = tmp_path / f"db{next(_numbers)}"
            directory.mkdir()
            shutil.copy(source, directory / source.name)
            db = _open(service, clock, directory=directory)
        opened.append(db)
        return db

    yield make
    for db in opened:
        await db.close()


@pytest.fixture
async def scratch(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Callable[[MetaData], Awaitable[Database]]]:
    """`db = await scratch(metadata)`: an empty database with those tables, for tests of the kit itself."""
    opened: list[Database] = []
    server = request.getfixturevalue("postgres_server") if engine == "postgresql" else None

    async def make(metadata: MetaData) -> Database:
        url = server.create_database(f"test_{next(_numbers)}") if server is not None else ""
        name = "public" if url else "scratch"
        db = open_database(name, clock, metadata=metadata, publishes=(KeyUsed,), url=url, directory=tmp_path, pool=60)
        async with db.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        opened.append(db)
        return db

    yield make
    for db in opened:
        await db.close()
