"""The rewards service alone, behind its own HTTP application in this process, with a community of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth import AUDIENCE, new_key
from kit.contracts.members import KeyChanged, SigningKeyChanged
from kit.database import Database
from kit.http.app import build_app
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from kit.settings import load_settings
from services.compose import SERVICES
from services.rewards.service import SERVICE
from tests.rewards.guild import Guild, make_guild
from tests.support.clock import ManualClock

SECRET = "s" * 40


@dataclass(slots=True)
class Rewards:
    """`client` carries a key that reads and writes; `guild` is its community."""

    guild: Guild
    clock: ManualClock
    transport: httpx2.ASGITransport
    client: httpx2.AsyncClient = field(init=False)
    clients: list[httpx2.AsyncClient] = field(default_factory=list)
    _signing: Ed25519PrivateKey | None = None

    async def key(self, *scopes: str, guild: Guild | None = None) -> httpx2.AsyncClient:
        """A client with a new API key of a community, for these scopes."""
        secret, digest = new_key()
        place = guild or self.guild
        changed = KeyChanged(
            key_id=uuid4(),
            version=1,
            name="bot",
            hash=digest,
            kind="bot",
            mode="live",
            communities=(place.id,),
            scopes=scopes,
            expires_at=None,
            revoked_at=None,
        )
        await place.hear(changed)
        return self._client(secret)

    async def member(self, name: str) -> httpx2.AsyncClient:
        """A client with a token of this member."""
        if self._signing is None:
            self._signing = Ed25519PrivateKey.generate()
            x = jwt.algorithms.OKPAlgorithm.to_jwk(self._signing.public_key(), as_dict=True)["x"]
            await self.guild.hear(SigningKeyChanged(kid="k1", version=1, x=x, created_at=self.clock(), retired_at=None))
        now = self.clock()
        claims = {
            "sub": str(self.guild.member(name)),
            "community": str(self.guild.id),
            "aud": AUDIENCE,
            "jti": str(uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=1)).timestamp()),
        }
        return self._client(jwt.encode(claims, self._signing, algorithm="EdDSA", headers={"kid": "k1"}))

    def _client(self, secret: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {secret}"}
        self.clients.append(
            httpx2.AsyncClient(transport=self.transport, base_url="http://rewards.example", headers=headers)
        )
        return self.clients[-1]

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


@asynccontextmanager
async def serving(db: Database, clock: ManualClock, directory: Path) -> AsyncIterator[Rewards]:
    """No consumer, relay or loop runs; activities are scored by hand."""
    runtime = Runtime(
        [SERVICE],
        everyone=SERVICES,
        settings=load_settings({}, data_dir=directory, secret_key=SECRET),
        clock=clock,
        log=EmbeddedLog(directory / "log.sqlite", clock=clock),
        open_db=lambda _service, _publishes: db,
    )
    one = Rewards(await make_guild(db), clock, httpx2.ASGITransport(app=build_app(runtime)))
    one.client = await one.key("rewards:read", "rewards:write")
    try:
        yield one
    finally:
        for client in one.clients:
            await client.aclose()
