"""The notify service alone, behind a real HTTP server, with what other services announce written to its log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from kit import codec
from kit.auth import AUDIENCE, new_key
from kit.contracts import contract_of
from kit.contracts.members import CommunityChanged, KeyChanged, MemberChanged, MemberTokensRevoked, SigningKeyChanged
from kit.contracts.rewards import (
    ActivityScored,
    BadgeGranted,
    BadgeRevoked,
    BoardLed,
    Decision,
    LeagueChanged,
    LevelReached,
    PointsAdjusted,
)
from kit.database import Database
from kit.http.app import build_app
from kit.log import Log, Record
from kit.runtime import Runtime
from kit.settings import load_settings
from services import server
from services.compose import SERVICES
from services.notify.service import SERVICE
from tests.support.clock import ManualClock
from tests.support.http import client_of
from tests.support.streams import Frame, Stream, lines_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(slots=True)
class Place:
    """A community as the notify service knows it; `client` carries a key that reads and writes messages there."""

    notify: "Notify"
    id: UUID
    client: httpx2.AsyncClient

    async def member(self, name: str, **fields: Any) -> UUID:
        """Somebody of this community, known to the service; the same name in another form is a later version."""
        member_id = fields.pop("id", None) or uuid4()
        values: dict[str, Any] = {
            "community_id": self.id, "member_id": member_id, "version": 1, "display_name": name, "state": "active",
            "kind": "person", "locale": None, "zone": None, "identities": (), "changed_at": self.notify.clock(),
        }  # fmt: skip
        await self.notify.hear(MemberChanged(**{**values, **fields}))
        return UUID(str(member_id))

    async def get(self, path: str, client: httpx2.AsyncClient | None = None, **params: Any) -> Any:
        reply = await (client or self.client).get(path, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def inbox(self, member: UUID, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get("/v1/inbox", member=str(member), **params))["items"]
        return items

    async def unread(self, member: UUID) -> int:
        return int((await self.get("/v1/inbox/unread", member=str(member)))["unread"])

    async def send(self, member: UUID, **fields: Any) -> dict[str, Any]:
        """A message about points, made through the API."""
        reply = await self.client.post("/v1/messages", json=asked(member, **fields))
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    async def publish(self, name: str, status: int = 201, **fields: Any) -> dict[str, Any]:
        """A version of a template; `texts` as (title, body) in English unless given."""
        body = {"category": "general", "variables": {"type": "object", "properties": {}}, **fields}
        reply = await self.client.post(f"/v1/templates/{name}", json=body)
        assert reply.status_code == status, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def scored(
        self, *grants: tuple[UUID | None, str, int], type: str = "checkin.submitted", **f: Any
    ) -> ActivityScored:
        """An activity that paid (member, unit, amount) by rules that ask to tell."""
        tells = f.pop("tells", True)
        decisions = tuple(
            Decision(
                rule_id="check-in", rule_version=1, member_id=member, unit=unit, verdict="granted", wanted=amount,
                amount=amount, transaction_id=uuid4(), notify=tells,
            )
            for member, unit, amount in grants
        )  # fmt: skip
        values: dict[str, Any] = {
            "community_id": self.id, "event_id": uuid4(), "event_type": type, "actor_id": grants[0][0],
            "effective_at": self.notify.clock(), "history": False, "decisions": decisions,
        }  # fmt: skip
        return ActivityScored(**{**values, **f})

    def level(self, member: UUID, level: int = 2, **fields: Any) -> LevelReached:
        values = {"name": "Apprentice", "unit": "xp", "threshold": 100, "history": False, **fields}
        return LevelReached(community_id=self.id, member_id=member, level=level, **values)

    def led(self, member: UUID, **fields: Any) -> BoardLed:
        values: dict[str, Any] = {
            "board_id": "xp", "board_name": "Experience", "period_kind": "week", "period_key": "2026-W48",
            "score": 120, "history": False, **fields,
        }  # fmt: skip
        return BoardLed(community_id=self.id, member_id=member, **values)

    def moved(self, member: UUID, **fields: Any) -> LeagueChanged:
        values: dict[str, Any] = {
            "board_id": "xp", "board_name": "Experience", "period_kind": "week", "period_key": "2026-W48",
            "outcome": "promoted", "tier_before": "Silver", "tier": "Gold", "played": True, **fields,
        }  # fmt: skip
        return LeagueChanged(community_id=self.id, member_id=member, **values)

    def badge(self, member: UUID, **fields: Any) -> BadgeGranted:
        values: dict[str, Any] = {
            "badge_id": "helper", "badge_name": "Helper", "number": 1, "granted_at": NOON, "expires_at": None,
            "history": False, "notify": True, **fields,
        }  # fmt: skip
        return BadgeGranted(community_id=self.id, member_id=member, **values)

    def badge_over(self, member: UUID, **fields: Any) -> BadgeRevoked:
        values: dict[str, Any] = {
            "badge_id": "helper", "badge_name": "Helper", "number": 1, "ended_at": NOON, "why": "expired",
            "notify": True, **fields,
        }  # fmt: skip
        return BadgeRevoked(community_id=self.id, member_id=member, **values)

    def adjusted(self, member: UUID, amount: int = 50, **fields: Any) -> PointsAdjusted:
        values: dict[str, Any] = {"transaction_id": uuid4(), "unit": "points", "reason": "for the talk", **fields}
        return PointsAdjusted(community_id=self.id, member_id=member, amount=amount, **values)


@dataclass(slots=True)
class Notify:
    """The running service; `place` is its first community, in English."""

    runtime: Runtime
    db: Database
    log: Log
    clock: ManualClock
    url: str
    place: Place = field(init=False)
    clients: list[httpx2.AsyncClient] = field(default_factory=list)
    _signing: Ed25519PrivateKey | None = None

    async def settle(self) -> None:
        await self.runtime.settle()

    async def hear(self, *events: Any, ids: list[UUID] | None = None) -> list[UUID]:
        """What another service announced, in order; returns the ids it went by when it was handled."""
        ids = await self.say(*events, ids=ids)
        await self.settle()
        return ids

    async def say(self, *events: Any, ids: list[UUID] | None = None) -> list[UUID]:
        """The same, without waiting. What follows each other on one topic arrives as one batch."""
        ids = ids or [uuid4() for _ in events]
        for topic, batch in groupby(zip(ids, events, strict=True), key=lambda one: contract_of(type(one[1])).topic):
            records = [
                Record(contract_of(type(said)).key(said).encode(), codec.encode(said, id=id, time=self.clock()))
                for id, said in batch
            ]
            await self.log.append(topic, records)
        return ids

    async def new_place(self, locale: str = "en", id: UUID | None = None) -> Place:
        id = id or uuid4()
        born = CommunityChanged(
            community_id=id, version=1, name="Hall", zone="UTC", day_start=0, locale=locale, state="active"
        )
        await self.hear(born)
        return Place(self, id, await self.key(id, "notify:read", "notify:write"))

    async def key(self, community_id: UUID, *scopes: str) -> httpx2.AsyncClient:
        """A client with a new API key."""
        secret, digest = new_key()
        values: dict[str, Any] = {
            "key_id": uuid4(), "version": 1, "name": "bot", "hash": digest, "kind": "bot", "mode": "live",
            "communities": (community_id,), "scopes": scopes, "expires_at": None, "revoked_at": None,
        }  # fmt: skip
        await self.hear(KeyChanged(**values))
        return self.client(secret)

    async def token(self, place: Place, member: UUID) -> httpx2.AsyncClient:
        """A client with a token of this member."""
        if self._signing is None:
            self._signing = Ed25519PrivateKey.generate()
            x = jwt.algorithms.OKPAlgorithm.to_jwk(self._signing.public_key(), as_dict=True)["x"]
            await self.hear(SigningKeyChanged(kid="k1", version=1, x=x, created_at=self.clock(), retired_at=None))
        now = self.clock()
        claims = {
            "sub": str(member), "community": str(place.id), "aud": AUDIENCE, "jti": str(uuid4()),
            "iat": int(now.timestamp()), "exp": int((now + timedelta(hours=1)).timestamp()),
        }  # fmt: skip
        return self.client(jwt.encode(claims, self._signing, algorithm="EdDSA", headers={"kid": "k1"}))

    async def revoke_tokens(self, place: Place, member: UUID) -> None:
        at = self.clock()
        await self.hear(MemberTokensRevoked(community_id=place.id, member_id=member, version=1, issued_before=at))

    def client(self, secret: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.clients.append(client_of(self.url, headers=headers, timeout=30))
        return self.clients[-1]

    async def rows(self, table: str) -> list[Any]:
        async with self.db.read() as tx:
            return await tx.all(select(self.db.table(table)))

    async def dead(self) -> list[str]:
        """Codes of the dead letters."""
        return [row.code for row in await self.rows("dead_letters")]

    async def pass_time(self, **by: float) -> None:
        """The clock goes on, and what is due by then is done."""
        self.clock.advance(timedelta(**by))
        await self.settle()


def asked(member: UUID, **fields: Any) -> dict[str, Any]:
    """The body that asks for a message about points."""
    variables = {"amount": 50, "unit": "points", "reason": "for the talk"}
    return {"member_id": str(member), "template": "points.adjusted", "variables": variables, **fields}


class InboxStream(Stream):
    """What comes over an inbox stream."""

    async def messages(self, count: int) -> list[Frame]:
        """The next messages; counts of unread ones are passed over."""
        out: list[Frame] = []
        while len(out) < count:
            if (frame := await self.next()).event == "message":
                out.append(frame)
        return out


@asynccontextmanager
async def stream(client: httpx2.AsyncClient, after: str = "", **params: str) -> AsyncIterator[InboxStream]:
    async with lines_of(client, "/v1/inbox/stream", after, **params) as lines:
        yield InboxStream(lines)


@asynccontextmanager
async def serving(db: Database, log: Log, clock: ManualClock, directory: Path) -> AsyncIterator[Notify]:
    """The service over a migrated database and a log, with consumers, relay and server running."""
    settings = load_settings({}, data_dir=directory, secret_key="s" * 40, private_channels=True)
    runtime = Runtime(
        [SERVICE], everyone=SERVICES, settings=settings, clock=clock, log=log, open_db=lambda _service, _publishes: db
    )
    await runtime.start(migrating=False)
    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(build_app(runtime), 5)
    answering = asyncio.create_task(http.serve(sockets=[listener]))
    one = Notify(runtime, db, log, clock, server.url_of(listener))
    try:
        one.place = await one.new_place()
        yield one
    finally:
        runtime.stopping.set()
        for client in one.clients:
            await client.aclose()
        http.should_exit = True
        await answering
        await runtime.stop()
        listener.close()
