"""`/v1/keys`: API keys of bots, frontends and ops (K20)."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kit.errors import BadRequest
from kit.http import Page, PageOf, encode_cursor, problems
from kit.idempotency import Reply, once
from services.members.api.common import Db, KeyMaker
from services.members.handlers import credentials as handlers
from services.members.store import credentials as store

router = APIRouter(tags=["keys"])


class KeyIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "QQ bot", "kind": "bot", "scopes": ["events:write"]}}
    )

    name: str = Field(min_length=1, max_length=100)
    kind: Literal["bot", "frontend", "ops"] = "bot"
    mode: Literal["live", "test"] = "live"
    scopes: list[str] = Field(min_length=1, max_length=50)
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
    """`secret` is shown this once; only its hash is kept."""

    secret: str


class RotationIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_seconds": 86400}})

    overlap_seconds: int = Field(86400, ge=0, le=30 * 86400, description="How long the old secret still works.")


def _fields(row: Any) -> dict[str, Any]:
    values = row if isinstance(row, dict) else row._mapping
    return {name: values[name] for name in KeyOut.model_fields}


@router.get("/v1/keys", summary="The community's keys, oldest first", responses=problems(400, 422))
async def list_keys(db: Db, caller: KeyMaker, paging: PageOf) -> Page[KeyOut]:
    try:
        after = (datetime.fromisoformat(paging.cursor[0]), UUID(paging.cursor[1])) if paging.cursor else None
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of ours; begin without it", code="cursor_invalid") from error
    async with db.read() as tx:
        rows = await store.page_of_keys(tx, community_id=caller.community_id, limit=paging.limit + 1, after=after)
    items = [KeyOut(**_fields(row)) for row in rows[: paging.limit]]
    more = len(rows) > paging.limit
    following = encode_cursor([items[-1].created_at.isoformat(), str(items[-1].id)]) if more else None
    return Page[KeyOut](items=items, next=following, prev=None)


@router.post("/v1/keys", summary="Make a key", status_code=201, responses=problems(400, 409, 422))
async def create_key(request: Request, db: Db, caller: KeyMaker, body: KeyIn) -> NewKeyOut:
    """Known to every service within about a second."""

    async def effect(tx: Any) -> Reply:
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
        )
        return Reply(201, NewKeyOut(**_fields(row), secret=secret), {"Location": f"/v1/keys/{row['id']}"})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/keys/{id}", summary="One key", responses=problems(404, 422))
async def get_key(db: Db, caller: KeyMaker, id: UUID) -> KeyOut:
    async with db.read() as tx:
        return KeyOut(**_fields(await handlers.existing_key(tx, caller.community_id, id)))


@router.post(
    "/v1/keys/{id}/rotate", summary="A successor for a key", status_code=201, responses=problems(400, 404, 409, 422)
)
async def rotate_key(request: Request, db: Db, caller: KeyMaker, id: UUID, body: RotationIn) -> NewKeyOut:
    """Both secrets work during the overlap."""

    async def effect(tx: Any) -> Reply:
        overlap = timedelta(seconds=body.overlap_seconds)
        row, secret = await handlers.rotate_key(
            tx, community_id=caller.community_id, key_id=id, overlap=overlap, principal=caller
        )
        return Reply(201, NewKeyOut(**_fields(row), secret=secret), {"Location": f"/v1/keys/{row['id']}"})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.delete("/v1/keys/{id}", summary="Revoke a key", responses=problems(404, 422))
async def revoke_key(db: Db, caller: KeyMaker, id: UUID) -> KeyOut:
    """Refused everywhere within seconds. Revoking twice changes nothing."""
    async with db.begin() as tx:
        row = await handlers.existing_key(tx, caller.community_id, id, lock=True)
        if row["revoked_at"] is None or row["revoked_at"] > tx.now:
            row = await handlers.end_key(tx, row, tx.now)
    return KeyOut(**_fields(row))
