"""`/v1/tokens`: short-lived tokens for one member, verified by every service with the published keys (K21)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kit.errors import NotFound
from kit.http import problems
from kit.idempotency import Reply, once
from services.members.api.common import Db, One, TokenMaker
from services.members.api.people import IdentityIn, _identity
from services.members.handlers import credentials as handlers
from services.members.store import credentials as store
from services.members.store import people

router = APIRouter(tags=["tokens"])


class TokenIn(BaseModel):
    """For a member named by id, or by an identity."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"identity": {"platform": "telegram", "external_id": "42"}}}
    )

    member_id: UUID | None = None
    identity: IdentityIn | None = None
    seconds: int = Field(handlers.TOKEN_SECONDS, ge=10, le=handlers.TOKEN_SECONDS)

    @model_validator(mode="after")
    def _one_of(self) -> "TokenIn":
        if (self.member_id is None) == (self.identity is None):
            raise ValueError("name the member by member_id or by identity, one of them")
        return self


class TokenOut(BaseModel):
    token: str
    member_id: UUID
    expires_at: datetime


class RevocationIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"member_id": "01939e2c-7000-7000-8000-000000000000"}}
    )

    member_id: UUID


class RevocationOut(BaseModel):
    member_id: UUID
    issued_before: datetime


class RotatedOut(BaseModel):
    kid: str


@router.post("/v1/tokens", summary="A token for a member", status_code=201, responses=problems(400, 404, 409, 422))
async def make_token(one: One, caller: TokenMaker, body: TokenIn) -> TokenOut:
    async with one.db.begin() as tx:
        member_id = body.member_id
        if body.identity is not None:
            identity = _identity(body.identity.platform, body.identity.external_id, "/identity")
            row = await people.identity(tx, community_id=caller.community_id, identity=identity)
            member_id = row.member_id if row else None
        if member_id is None:
            raise NotFound("nobody is known under this identity", code="identity_unknown")
        token, expires = await handlers.make_token(
            tx,
            community_id=caller.community_id,
            member_id=member_id,
            seconds=body.seconds,
            secret_key=one.settings.secret_key,
        )
    return TokenOut(token=token, member_id=member_id, expires_at=expires)


@router.get("/v1/tokens/keys", summary="The public keys of tokens (JWKS)", responses=problems())
@router.get("/.well-known/jwks.json", summary="The public keys of tokens (JWKS)", responses=problems())
async def published_keys(one: One) -> dict[str, Any]:
    """No credential needed."""
    async with one.db.read() as tx:
        rows = [r for r in await store.signing_keys(tx) if r.retired_at is None or r.retired_at > tx.now]
    return {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": r.kid, "x": r.x} for r in rows]
    }


@router.post("/v1/tokens/keys/rotate", summary="Sign with a new key", responses=problems(400, 409, 422))
async def rotate(request: Request, one: One, caller: TokenMaker) -> RotatedOut:
    """Tokens of the old key stay good until they end."""

    async def effect(tx: Any) -> Reply:
        return Reply(200, RotatedOut(kid=await handlers.rotate_signing_key(tx, secret_key=one.settings.secret_key)))

    return await once(request, one.db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.post("/v1/tokens/revocations", summary="Void a member's tokens", responses=problems(400, 404, 409, 422))
async def revoke(request: Request, db: Db, caller: TokenMaker, body: RevocationIn) -> RevocationOut:
    """All tokens issued until now; a new one may be made at once."""

    async def effect(tx: Any) -> Reply:
        await handlers.revoke_tokens(tx, community_id=caller.community_id, member_id=body.member_id)
        return Reply(200, RevocationOut(member_id=body.member_id, issued_before=tx.now))

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model
