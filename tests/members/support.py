"""The members service alone, behind its own HTTP application in this process, with a clock that the test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec
from sqlalchemy import select

from kit.contracts import NOWHERE, Envelope, activity_event_id, contract_named, identity_member_id
from kit.contracts.events import Activity, IdentityObserved
from kit.database import Database
from kit.http.app import build_app
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from kit.settings import load_settings
from services.events.service import SERVICE as EVENTS
from services.members import bootstrap
from services.members.handlers import SUBSCRIPTIONS
from services.members.service import SERVICE
from tests.support.clock import ManualClock

SECRET = "s" * 40
OWN_PAGE = {"Origin": "http://members.example"}
"""What a browser adds to a request from the platform's own page."""


@dataclass(slots=True)
class Members:
    """`client` carries a key with every scope of `community`; `sign_in_token` is the owner's one-time link."""

    db: Database
    clock: ManualClock
    http: httpx2.ASGITransport
    client: httpx2.AsyncClient
    community: UUID
    api_key: str
    sign_in_token: str

    def with_key(self, secret: str) -> httpx2.AsyncClient:
        """A client with another key or a member token."""
        return self._client({"Authorization": f"Bearer {secret}"})

    def anonymous(self) -> httpx2.AsyncClient:
        return self._client({})

    async def owner(self) -> httpx2.AsyncClient:
        """A browser in which the owner of all communities is signed in. Uses the link up."""
        browser = self._client(OWN_PAGE)
        reply = await browser.post("/v1/sessions/sign-in", data={"token": self.sign_in_token})
        assert reply.status_code == 303, reply.text
        return browser

    def _client(self, headers: dict[str, str]) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=self.http, base_url="http://members.example", headers=headers)

    async def hear(self, *events: Any) -> None:
        """What the consumer does with a batch: every handler of each event's class, in one transaction."""
        async with self.db.begin() as tx:
            for cls, handler in SUBSCRIPTIONS.items():
                batch = [
                    Envelope(uuid4(), tx.now, getattr(e, "community_id", None), None, e, NOWHERE)
                    for e in events
                    if type(e) is cls
                ]
                if batch:
                    await handler(tx, batch)

    async def add(self, **fields: Any) -> dict[str, Any]:
        """A member made through the API."""
        reply = await self.client.post("/v1/members", json={"display_name": "Ada", **fields})
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a reply that must be 200."""
        reply = await self.client.get(path, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """(status, code) of a problem."""
        reply = await self.client.request(method, path, **more)
        assert reply.headers["content-type"] == "application/problem+json", reply.text
        return reply.status_code, reply.json()["code"]

    def seen(self, identity: str, **fields: Any) -> IdentityObserved:
        """An identity that the events service met for the first time now."""
        member_id = identity_member_id(self.community, identity)
        values: dict[str, Any] = {"identity": identity, "member_id": member_id, "first_seen_at": self.clock(), **fields}
        return IdentityObserved(community_id=self.community, **values)

    def said(self, type: str, actor: str | None, at: datetime | None = None, **data: Any) -> Activity:
        """What a platform tells of a membership."""
        when, id = at or self.clock(), str(uuid4())
        return Activity(
            event_id=activity_event_id(self.community, "/bots/one", id), community_id=self.community,
            source="/bots/one", id=id, type=type, subject=None, occurred_at=when, received_at=when, effective_at=when,
            actor=actor, actor_id=identity_member_id(self.community, actor) if actor else None, author=None,
            author_id=None, group=None, data={"actor": actor, **data},
        )  # fmt: skip

    async def announced(self, cls: type) -> list[Any]:
        """Events of a class that wait in the outbox, in order."""
        table = self.db.table("outbox")
        async with self.db.read() as tx:
            bodies = [row.body for row in await tx.all(select(table.c.body).order_by(table.c.seq))]
        out = []
        for body in bodies:
            wire = msgspec.json.decode(body)
            contract = contract_named(wire["type"])
            assert contract is not None
            if contract.event is cls:
                out.append(msgspec.convert(wire["data"], cls))
        return out


@asynccontextmanager
async def serving(db: Database, clock: ManualClock, directory: Path) -> AsyncIterator[Members]:
    """A members service with its first community over a migrated database; no consumer, relay or loop runs."""
    settings = load_settings({}, data_dir=directory, secret_key=SECRET)
    runtime = Runtime(
        [SERVICE],
        everyone=[SERVICE, EVENTS],
        settings=settings,
        clock=clock,
        log=EmbeddedLog(directory / "log.sqlite", clock=clock),
        open_db=lambda _service, _publishes: db,
    )
    async with db.begin() as tx:
        made = await bootstrap.bootstrap(tx, community_name="Night Readers", zone="UTC", locale="en")
    transport = httpx2.ASGITransport(app=build_app(runtime))
    headers = {"Authorization": f"Bearer {made.api_key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://members.example", headers=headers) as client:
        yield Members(db, clock, transport, client, made.community_id, made.api_key, made.sign_in_token)
