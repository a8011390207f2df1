"""The events service alone, behind a real HTTP server, with what other services announce written to its log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec
from sqlalchemy import select

from kit import codec
from kit.auth import hash_secret, new_key
from kit.contracts import ACTIVITY_TOPIC, contract_of
from kit.contracts.events import IdentityObserved
from kit.contracts.members import CommunityChanged, KeyChanged
from kit.database import Database
from kit.http.app import build_app
from kit.log import Log, Record
from kit.runtime import Runtime
from kit.settings import load_settings
from services import server
from services.compose import SERVICES
from services.events.service import SERVICE
from tests.support.clock import ManualClock
from tests.support.http import client_of

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"

_numbers = count(1)


def event(**fields: Any) -> dict[str, Any]:
    """A message of one member, with an id of its own; `data` fields are merged, others replace."""
    data = {"actor": "qq:1", "group": "qq:100", "kind": "text", **fields.pop("data", {})}
    base = {"specversion": "1.0", "id": f"e{next(_numbers)}", "source": "/bots/one", "type": "message.created"}
    return {**base, "data": data, **fields}


@dataclass(slots=True)
class Place:
    """A community as the events service knows it, and a client with a key of it."""

    id: UUID
    client: httpx2.AsyncClient
    secret: str
    key: KeyChanged

    async def post(self, *events: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The events as one batch; the reply's body, which must be 200."""
        headers = {"Content-Type": BATCHED, **more.pop("headers", {})}
        reply = await self.client.post("/v1/events", content=msgspec.json.encode(events), headers=headers, **more)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def get(self, path: str, **params: Any) -> Any:
        reply = await self.client.get(path, params={k: v for k, v in params.items() if v is not None})
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def timeline(self, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get("/v1/events", **params))["items"]
        return items


@dataclass(slots=True)
class Events:
    """The running service; `place` is its first community."""

    runtime: Runtime
    db: Database
    log: Log
    clock: ManualClock
    url: str
    clients: list[httpx2.AsyncClient]
    place: Place

    async def settle(self) -> None:
        await self.runtime.settle()

    async def hear(self, *events: Any) -> list[UUID]:
        """What another service announced, in order; returns when it was handled."""
        ids = []
        for said in events:
            contract = contract_of(type(said))
            ids.append(uuid4())
            body = codec.encode(said, id=ids[-1], time=self.clock())
            await self.log.append(contract.topic, [Record(contract.key(said).encode(), body)])
        await self.settle()
        return ids

    async def new_place(self, *scopes: str, name: str = "Night Readers") -> Place:
        """Another community, with a key for these scopes (reading and writing events when none are named)."""
        id = uuid4()
        await self.hear(community(id, name))
        return await self.new_key(id, *scopes)

    async def new_key(self, community_id: UUID, *scopes: str, **fields: Any) -> Place:
        secret, digest = new_key()
        assert hash_secret(secret) == digest
        values: dict[str, Any] = {
            "key_id": uuid4(), "version": 1, "name": "bot", "hash": digest, "kind": "bot", "mode": "live",
            "communities": (community_id,), "scopes": scopes or ("events:read", "events:write", "events:import"),
            "expires_at": None, "revoked_at": None,
        }  # fmt: skip
        key = KeyChanged(**{**values, **fields})
        await self.hear(key)
        return Place(community_id, self.client(secret), secret, key)

    def client(self, secret: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.clients.append(client_of(self.url, headers=headers, timeout=30))
        return self.clients[-1]

    async def observed(self) -> list[IdentityObserved]:
        """Every identity announced on the log, in order of announcement."""
        return [e for e in await on_the_log(self.log, ACTIVITY_TOPIC) if isinstance(e, IdentityObserved)]

    async def rows(self, table: str) -> list[Any]:
        async with self.db.read() as tx:
            return await tx.all(select(self.db.table(table)))


def community(id: UUID, name: str = "Night Readers", *, version: int = 1) -> CommunityChanged:
    return CommunityChanged(
        community_id=id, version=version, name=name, zone="UTC", day_start=0, locale="en", state="active"
    )


async def on_the_log(log: Log, topic: str) -> list[Any]:
    """Every event of a topic, by reading it from the beginning as a group of its own."""
    subscription = await log.subscribe(f"test:{uuid4()}", [topic])
    out: list[Any] = []
    try:
        while records := await subscription.fetch(1000, 0.05):
            out += [e.event for e in map(codec.decode, records) if e is not None]
    finally:
        await subscription.close()
    return out


def at(clock: ManualClock, **ago: float) -> str:
    """`at(clock, hours=-3)`: an RFC 3339 time relative to the clock."""
    moment: datetime = clock() + timedelta(**ago)
    return moment.isoformat().replace("+00:00", "Z")


@asynccontextmanager
async def serving(db: Database, log: Log, clock: ManualClock, directory: Path) -> AsyncIterator[Events]:
    """The service over a migrated database and a log, with consumers, relay and server running."""
    settings = load_settings({}, data_dir=directory, secret_key="s" * 40, private_channels=True)
    runtime = Runtime(
        [SERVICE], everyone=SERVICES, settings=settings, clock=clock, log=log, open_db=lambda _service, _publishes: db
    )
    await runtime.start(migrating=False)
    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(build_app(runtime), 5)
    answering = asyncio.create_task(http.serve(sockets=[listener]))
    clients: list[httpx2.AsyncClient] = []
    try:
        one = Events(runtime, db, log, clock, server.url_of(listener), clients, None)  # type: ignore[arg-type]
        one.place = await one.new_place()
        yield one
    finally:
        runtime.stopping.set()
        for client in clients:
            await client.aclose()
        http.should_exit = True
        await answering
        await runtime.stop()
        listener.close()
