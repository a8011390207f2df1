"""`/v1/keys`: API keys of bots, frontends and ops (K20)."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit.database import Tx
from kit.http import Page, PageOf, problems
from kit.http.secret_replies import once_with_secret
from kit.idempotency import Reply
from services.members.api.common import SOME_ID, SOME_TIME, Db, KeyMaker, Name, One, shown
from services.members.api.paging import page_of, seek
from services.members.handlers import credentials as handlers
from services.members.store import credentials as store

router = APIRouter(tags=["keys"])

A_DAY = 86400

SHOWN: dict[str, JsonValue] = {
    "id": SOME_ID,
    "name": "QQ bot",
    "hint": "gh_live_Qx7a",
    "kind": "bot",
    "mode": "live",
    "scopes": ["events:write"],
    "expires_at": None,
    "revoked_at": None,
    "successor_of": None,
    "last_used_at": None,
    "created_by": "operator:owner",
    "created_at": SOME_TIME,
}


class KeyIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "QQ bot", "kind": "bot", "scopes": ["events:write"]}}
    )

    name: Name
    kind: Literal["bot", "frontend", "ops"] = "bot"
    mode: Literal["live", "test"] = "live"
    scopes: list[Annotated[str, Field(max_length=50)]] = Field(min_length=1, max_length=50)
    expires_at: AwareDatetime | None = None


class KeyOut(BaseModel):
    """`hint` is the beginning of the secret, to tell keys apart."""

    id: UUID
    name: str
    hint: str
    kind: str
    mode: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    successor_of: UUID | None
    last_used_at: datetime | None
    created_by: str
    created_at: datetime


class NewKeyOut(KeyOut):
    """`secret` is shown this once (and to a replay of this very request); only its hash is kept."""

    secret: str


class RotationIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_seconds": 86400}})

    overlap_seconds: int = Field(A_DAY, ge=0, le=30 * A_DAY, description="How long the old secret still works.")


def _fields(row: Any) -> dict[str, Any]:
    values = row if isinstance(row, dict) else row._mapping
    return {name: values[name] for name in KeyOut.model_fields}


def _made(row: dict[str, Any], secret: str) -> Reply:
    return Reply(201, NewKeyOut(**_fields(row), secret=secret), {"Location": f"/v1/keys/{row['id']}"})


@router.get(
    "/v1/keys",
    summary="The community's keys, oldest first",
    responses={**problems(400, 422), **shown(200, {"items": [SHOWN], "next": None, "prev": None})},
)
async def list_keys(
    db: Db,
    caller: KeyMaker,
    paging: PageOf,
    ended: Annotated[bool, Query(description="Also those that expired or were revoked.")] = False,
) -> Page[KeyOut]:
    place = seek(paging, datetime, UUID)
    async with db.read() as tx:
        found = await store.page_of_keys(
            tx, community_id=caller.community_id, ended=ended, limit=paging.limit, seek=place
        )
    return page_of([KeyOut(**_fields(row)) for row in found.rows], found, "created_at", "id")


@router.post(
    "/v1/keys",
    summary="Make a key",
    status_code=201,
    response_model=NewKeyOut,
    responses={**problems(400, 409, 422), **shown(201, {**SHOWN, "secret": "gh_live_…"})},
)
async def create_key(request: Request, one: One, caller: KeyMaker, body: KeyIn) -> Response:
    """Of this community, and with no scope that the caller lacks. Known to every service within about a second."""

    async def effect(tx: Tx) -> Reply:
        row, secret = await handlers.create_key(
            tx,
            community_id=caller.community_id,
            name=body.name,
            kind=body.kind,
            mode=body.mode,
            scopes=body.scopes,
            expires_at=body.expires_at,
            created_by=caller.actor,
            held=caller.scopes,
            maker_mode=caller.mode,
        )
        return _made(row, secret)

    return await once_with_secret(request, one, caller, effect, "secret")


@router.get("/v1/keys/{id}", summary="One key", responses={**problems(400, 404, 422), **shown(200, SHOWN)})
async def get_key(db: Db, caller: KeyMaker, id: UUID) -> KeyOut:
    async with db.read() as tx:
        return KeyOut(**_fields(await handlers.existing_key(tx, caller.community_id, id)))


@router.post(
    "/v1/keys/{id}/rotate",
    summary="A successor for a key",
    status_code=201,
    response_model=NewKeyOut,
    responses={**problems(400, 404, 409, 422), **shown(201, {**SHOWN, "successor_of": SOME_ID, "secret": "gh_live_…"})},
)
async def rotate_key(
    request: Request, one: One, caller: KeyMaker, id: UUID, body: RotationIn | None = None
) -> Response:
    """The same rights under a new secret; both work during the overlap (a day, when nothing is sent)."""
    overlap = timedelta(seconds=body.overlap_seconds if body else A_DAY)

    async def effect(tx: Tx) -> Reply:
        row, secret = await handlers.rotate_key(
            tx, community_id=caller.community_id, key_id=id, overlap=overlap, principal=caller
        )
        return _made(row, secret)

    return await once_with_secret(request, one, caller, effect, "secret")


@router.delete("/v1/keys/{id}", summary="Revoke a key", responses={**problems(400, 404, 422), **shown(200, SHOWN)})
async def revoke_key(db: Db, caller: KeyMaker, id: UUID) -> KeyOut:
    """Refused everywhere within seconds. Revoking twice changes nothing."""
    async with db.begin() as tx:
        row = await handlers.existing_key(tx, caller.community_id, id, lock=True)
        if row["revoked_at"] is None or row["revoked_at"] > tx.now:
            row = await handlers.end_key(tx, row, tx.now)
    return KeyOut(**_fields(row))
