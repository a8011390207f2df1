"""The whole platform in this process, on real engines, behind a real HTTP server on a free port of 127.0.0.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from kit.clock import Clock, system_clock
from kit.runtime import Runtime
from kit.settings import Settings, load_settings
from services import server
from services.commands.starting import web_app
from services.commands.whole import bootstrapped
from services.compose import compose
from tests.support.databases import copy_platform_sqlite, create_platform_postgres
from tests.support.http import client_of

_numbers = count(1)


@dataclass(slots=True)
class App:
    """A running platform with one community; `client` carries a key with every scope of it."""

    runtime: Runtime
    url: str
    community: UUID
    api_key: str
    sign_in_url: str
    client: httpx2.AsyncClient

    async def settle(self, timeout: float = 60.0) -> None:
        await self.runtime.settle(timeout)


@asynccontextmanager
async def running(settings: Settings, clock: Clock = system_clock, *, migrating: bool = True) -> AsyncIterator[App]:
    """Start, bootstrap, serve; stop in order at the end."""
    runtime = compose(settings, clock=clock)
    listener = server.bind("127.0.0.1", 0)
    await runtime.start(migrating=migrating)
    http = server.make_server(web_app(runtime), 5)
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        made = await bootstrapped(runtime, server.url_of(listener))
        await runtime.settle(60)
        headers = {"Authorization": f"Bearer {made['api_key']}"}
        # Nothing here is encrypted: not loading the certificates of the world for it saves half the start.
        async with client_of(made["url"], headers=headers, timeout=60) as client:
            yield App(runtime, made["url"], UUID(made["community"]), made["api_key"], made["sign_in_url"], client)
    finally:
        runtime.stopping.set()
        http.should_exit = True
        await serving
        await runtime.stop()
        listener.close()


@pytest.fixture
async def app(tmp_path: Path, sqlite_templates: Path) -> AsyncIterator[App]:
    """The embedded platform with the system clock."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    await copy_platform_sqlite(sqlite_templates, data_dir)
    async with running(load_settings({}, data_dir=data_dir), migrating=False) as one:
        yield one


@pytest.fixture(params=["embedded", "split"])
async def platform_settings(request: pytest.FixtureRequest, tmp_path: Path, sqlite_templates: Path) -> Settings:
    """Of an installation that never ran, its schemas at head: on the embedded engines, and again on PostgreSQL and
    Kafka."""
    if request.param == "embedded":
        settings = load_settings({}, data_dir=tmp_path / "data")
        settings.data_dir.mkdir()
        await copy_platform_sqlite(sqlite_templates, settings.data_dir)
        return settings
    postgres = request.getfixturevalue("postgres_server")
    broker = request.getfixturevalue("kafka_broker")
    return load_settings(
        {},
        data_dir=tmp_path,
        database_url=await create_platform_postgres(postgres),
        kafka=broker.bootstrap,
        kafka_prefix=f"t{next(_numbers)}.",
        kafka_partitions=3,
        secret_key="s" * 32,
    )


@pytest.fixture
async def platform(platform_settings: Settings) -> AsyncIterator[App]:
    """The platform on the embedded engines, and again on PostgreSQL and Kafka."""
    async with running(platform_settings, migrating=False) as one:
        yield one
