"""`/v1/tokens`: short-lived tokens for one member, verified by every service with the published keys (K21)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse, Response

from kit.database import Tx
from kit.errors import NotFound
from kit.http import problems
from kit.http.secret_replies import once_with_secret
from kit.idempotency import Reply, once
from services.members.api.common import SOME_ID, SOME_TIME, Db, One, TokenMaker, identity_of, shown
from services.members.api.members import IdentityIn
from services.members.handlers import tokens as handlers
from services.members.store import credentials as store
from services.members.store import people

router = APIRouter(tags=["tokens"])

JWK = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "5f2b7c0d9e8a1b3c", "x": "11qYAYKxCrfVS…"}
JWKS_SECONDS = 10


class TokenIn(BaseModel):
    """For a member named by id, or by an identity; `ttl` in seconds."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"identity": {"platform": "telegram", "external_id": "42"}}}
    )

    member_id: UUID | None = None
    identity: IdentityIn | None = None
    ttl: int = Field(handlers.TOKEN_SECONDS, ge=10, le=handlers.TOKEN_SECONDS)

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
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"member_id": SOME_ID}})

    member_id: UUID


class RevocationOut(BaseModel):
    member_id: UUID
    issued_before: datetime


class RotatedOut(BaseModel):
    """The new key is published now and signs from `signs_from` on."""

    kid: str
    signs_from: datetime


class Jwk(BaseModel):
    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str


class Jwks(BaseModel):
    keys: list[Jwk]


@router.post(
    "/v1/tokens",
    summary="A token for a member",
    status_code=201,
    response_model=TokenOut,
    responses={
        **problems(400, 404, 409, 422),
        **shown(201, {"token": "eyJhbGciOiJFZERTQSJ9…", "member_id": SOME_ID, "expires_at": SOME_TIME}),
    },
)
async def make_token(request: Request, one: One, caller: TokenMaker, body: TokenIn) -> Response:
    """An Ed25519 JWT with `sub`, `community`, `aud`, `jti`, `iat`, `exp`. 409 `member_out` for who was put out."""
    asked = body.identity
    identity = identity_of(asked.platform, asked.external_id, "/identity") if asked else None

    async def effect(tx: Tx) -> Reply:
        member_id = body.member_id
        if identity is not None:
            row = await people.identity(tx, community_id=caller.community_id, identity=identity)
            member_id = row.member_id if row else None
        if member_id is None:
            raise NotFound("nobody is known under this identity", code="identity_unknown")
        token, expires = await handlers.make_token(
            tx,
            community_id=caller.community_id,
            member_id=member_id,
            seconds=body.ttl,
            secret_key=one.settings.secret_key,
        )
        return Reply(201, TokenOut(token=token, member_id=member_id, expires_at=expires))

    return await once_with_secret(request, one, caller, effect, "token")


@router.get(
    "/v1/tokens/keys",
    summary="The public keys of tokens (JWKS)",
    response_model=Jwks,
    responses={**problems(), **shown(200, {"keys": [JWK]})},
)
@router.get(
    "/.well-known/jwks.json",
    summary="The public keys of tokens (JWKS), where verifiers look for them",
    response_model=Jwks,
    responses={**problems(), **shown(200, {"keys": [JWK]})},
)
async def published_keys(one: One) -> Response:
    """No credential needed. A key is here before it signs and until its last token has ended."""
    async with one.db.read() as tx:
        rows = [r for r in await store.signing_keys(tx) if r.retired_at is None or r.retired_at > tx.now]
    keys: list[dict[str, Any]] = [{**JWK, "kid": row.kid, "x": row.x} for row in rows]
    return JSONResponse({"keys": keys}, headers={"Cache-Control": f"public, max-age={JWKS_SECONDS}"})


@router.post(
    "/v1/tokens/keys/rotate",
    summary="Sign with a new key",
    response_model=RotatedOut,
    responses={**problems(400, 409, 422), **shown(200, {"kid": JWK["kid"], "signs_from": SOME_TIME})},
)
async def rotate(request: Request, one: One, caller: TokenMaker) -> Response:
    """Tokens of the old key stay good until they end. Again while the new one does not sign yet: changes nothing."""

    async def effect(tx: Tx) -> Reply:
        row = await handlers.rotate_signing_key(tx, secret_key=one.settings.secret_key)
        return Reply(200, RotatedOut(kid=row.kid, signs_from=row.signs_from))

    return await once(request, one.db, caller, effect)


@router.post(
    "/v1/tokens/revocations",
    summary="Void a member's tokens",
    response_model=RevocationOut,
    responses={**problems(400, 404, 409, 422), **shown(200, {"member_id": SOME_ID, "issued_before": SOME_TIME})},
)
async def revoke(request: Request, db: Db, caller: TokenMaker, body: RevocationIn) -> Response:
    """All tokens issued until now; a new one may be made at once."""

    async def effect(tx: Tx) -> Reply:
        await handlers.revoke_tokens(tx, community_id=caller.community_id, member_id=body.member_id)
        return Reply(200, RevocationOut(member_id=body.member_id, issued_before=tx.now))

    return await once(request, db, caller, effect)
