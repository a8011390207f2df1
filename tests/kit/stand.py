"""A small service of the test's own on a real database and log, behind the kit's real application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import APIRouter

from kit import copies
from kit.auth import COMMUNITY_SCOPES, hash_secret, new_key
from kit.contracts.members import CommunityChanged, KeyChanged
from kit.contracts.platform import KeyUsed
from kit.database import Database
from kit.http.app import build_app
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from kit.service import Service, ServiceRuntime
from kit.settings import load_settings
from services import server
from tests.support.clock import ManualClock


@dataclass(slots=True)
class Stand:
    """`client` carries `secret`, a key with every scope of `community`; nothing runs in the background."""

    db: Database
    clock: ManualClock
    runtime: Runtime
    client: httpx2.AsyncClient
    community: UUID
    secret: str

    @property
    def one(self) -> ServiceRuntime:
        return self.runtime.services["scratch"]

    async def known(self, *events: Any) -> None:
        """What the members service announced and this one has consumed."""
        async with self.db.begin() as tx:
            await copies.apply(tx, events)

    async def community_known(self, id: UUID | None = None) -> UUID:
        id = id or uuid4()
        await self.known(
            CommunityChanged(community_id=id, version=1, name="n", zone="UTC", day_start=0, locale="en", state="active")
        )
        return id

    async def key_known(
        self,
        *communities: UUID,
        scopes: frozenset[str] = COMMUNITY_SCOPES,
        mode: str = "live",
        expires_in: timedelta | None = None,
    ) -> tuple[KeyChanged, dict[str, str]]:
        """The announcement of a fresh key, and the headers of a request that carries it."""
        secret, digest = new_key(mode)
        key = key_changed(self.clock.now, digest, communities, scopes, mode, expires_in)
        await self.known(key)
        return key, bearer(secret)


def key_changed(
    now: datetime,
    digest: str,
    communities: tuple[UUID, ...],
    scopes: frozenset[str] = COMMUNITY_SCOPES,
    mode: str = "live",
    expires_in: timedelta | None = None,
) -> KeyChanged:
    expires = None if expires_in is None else now + expires_in
    return KeyChanged(
        key_id=uuid4(),
        version=1,
        name="a key",
        hash=digest,
        kind="bot",
        mode=mode,
        communities=communities,
        scopes=tuple(sorted(scopes)),
        expires_at=expires,
        revoked_at=None,
    )


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@asynccontextmanager
async def standing(
    db: Database, clock: ManualClock, directory: Path, *routers: APIRouter, served: bool = False, **settings: object
) -> AsyncIterator[Stand]:
    """`served`: behind a real HTTP server on a free port, for what only a socket shows; else called in process."""
    service = Service("scratch", (KeyUsed,), ("scratch",), routers, {}, db.metadata, Path())
    log = EmbeddedLog(directory / "stand" / "log.sqlite", clock=clock)
    runtime = Runtime(
        [service],
        everyone=[service],
        settings=load_settings({}, secret_key="s" * 32, **settings),
        clock=clock,
        log=log,
        open_db=lambda _service, _publishes: db,
    )
    app = build_app(runtime)
    async with contextlib.AsyncExitStack() as stack:
        if served:
            listener = server.bind("127.0.0.1", 0)
            http = server.make_server(app, 5)
            serving = asyncio.create_task(http.serve(sockets=[listener]))
            url, transport = server.url_of(listener), None
        else:
            url, transport = "http://stand.example", httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, transport=transport, timeout=30))
        stand = Stand(db, clock, runtime, client, uuid4(), "gh_live_" + "k" * 43)
        await stand.community_known(stand.community)
        await stand.known(key_changed(clock.now, hash_secret(stand.secret), (stand.community,)))
        client.headers.update(bearer(stand.secret))
        try:
            yield stand
        finally:
            runtime.stopping.set()
            if served:
                http.should_exit = True
                await serving
                listener.close()
