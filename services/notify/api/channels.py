"""`/v1/channels`: the ways out for what a connection says; `/v1/suppressions`: who wants to hear nothing."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit.auth import Principal, requires
from kit.database import Tx
from kit.errors import NotFound
from kit.http import Page, PageOf, behind, encode_cursor, problems
from kit.idempotency import Reply, once
from services.notify.api.common import SERVICE, SOME_ID, Db, Json, One, Reader, Writer
from services.notify.handlers import channels as handlers
from services.notify.store import channels as store
from services.notify.store import replies

router = APIRouter(tags=["notify: channels"])

Maker = Annotated[Principal, Depends(requires(SERVICE, "channels:write"))]
Settings = Annotated[Json, Field(max_length=20)]
Secrets = dict[str, Annotated[str, Field(max_length=500)]]


class ChannelIn(BaseModel):
    """`telegram`: secrets `token`, settings `base_url` (a Bot API server of one's own). `onebot`: settings `url` (where
    the bot's HTTP API listens), secrets `token`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"connection_id": SOME_ID, "kind": "telegram", "settings": {}, "secrets": {"token": "1:a"}}
        },
    )

    connection_id: UUID
    kind: str = Field(max_length=20)
    settings: Settings = Field(default={})
    secrets: Secrets = Field(default={}, max_length=20)


class ChannelChange(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"active": False}})

    active: bool | None = Field(None, description="Switched off it says nothing.")
    settings: Settings | None = None
    secrets: Secrets | None = Field(None, max_length=20)


class ChannelOut(BaseModel):
    """`failures`: troubles of the provider in a row; `paused_until`: nothing is sent before. Secrets are never
    shown."""

    id: UUID
    connection_id: UUID
    kind: str
    settings: dict[str, JsonValue]
    active: bool
    failures: int
    paused_until: datetime | None
    created_at: datetime
    created_by: str


class SuppressionOut(BaseModel):
    """`channel` is a family of channels: `chat`. `reason`: `stopped` (said `/stop`) or `blocked` (the bot)."""

    id: UUID
    member_id: UUID
    channel: str
    reason: str
    since: datetime


def _out(row: Any) -> ChannelOut:
    values = row if isinstance(row, dict) else row._mapping
    return ChannelOut(**{name: values[name] for name in ChannelOut.model_fields})


def _next(rows: list[Any], limit: int) -> str | None:
    return encode_cursor([str(rows[limit - 1].id)]) if len(rows) > limit else None


@router.post("/v1/channels", summary="Set up a way out", status_code=201, responses=problems(400, 409, 422))
async def create_channel(request: Request, db: Db, one: One, caller: Maker, body: ChannelIn) -> ChannelOut:
    """What the connection's commands are answered with goes this way from now on."""

    async def effect(tx: Tx) -> Reply:
        row = await handlers.create(
            tx,
            one,
            community_id=caller.community_id,
            connection_id=body.connection_id,
            kind=body.kind,
            settings=body.settings,
            secrets=body.secrets,
            by=caller.actor,
        )
        return Reply(201, _out(row), {"Location": f"/v1/channels/{row['id']}"})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/channels", summary="The community's ways out, oldest first", responses=problems(400, 422))
async def list_channels(db: Db, caller: Reader, paging: PageOf) -> Page[ChannelOut]:
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, after=behind(paging), limit=paging.limit + 1)
    items = [_out(row) for row in rows[: paging.limit]]
    return Page[ChannelOut](items=items, next=_next(rows, paging.limit), prev=None)


@router.get("/v1/channels/{id}", summary="One way out and how it is", responses=problems(404, 422))
async def get_channel(db: Db, caller: Reader, id: UUID) -> ChannelOut:
    async with db.read() as tx:
        return _out(await handlers.found(tx, community_id=caller.community_id, channel_id=id))


@router.patch("/v1/channels/{id}", summary="Switch on or off, set, replace secrets", responses=problems(400, 404, 422))
async def change_channel(db: Db, one: One, caller: Maker, id: UUID, body: ChannelChange) -> ChannelOut:
    """Secrets are replaced as a whole, and so are settings."""
    async with db.begin() as tx:
        row = await handlers.found(tx, community_id=caller.community_id, channel_id=id, lock=True)
        changed = await handlers.change(
            tx, one, row=row, active=body.active, settings=body.settings, secrets=body.secrets
        )
    return _out(changed)


@router.delete("/v1/channels/{id}", summary="Take a way out down", status_code=204, responses=problems(404, 422))
async def remove_channel(db: Db, caller: Maker, id: UUID) -> Response:
    """What still waits for it expires; the connection's bot is spoken through again, where it stands at our door."""
    async with db.begin() as tx:
        row = await handlers.found(tx, community_id=caller.community_id, channel_id=id, lock=True)
        await store.remove(tx, channel_id=row.id)
    return Response(status_code=204)


@router.get("/v1/suppressions", summary="Who wants to hear nothing, newest first", responses=problems(400, 422))
async def list_suppressions(
    db: Db,
    caller: Reader,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="Only of this member.")] = None,
) -> Page[SuppressionOut]:
    async with db.read() as tx:
        rows = await replies.suppressions(
            tx,
            community_id=caller.community_id,
            member_id=member,
            after=behind(paging),
            limit=paging.limit + 1,
        )
    items = [
        SuppressionOut(**{name: row._mapping[name] for name in SuppressionOut.model_fields})
        for row in rows[: paging.limit]
    ]
    return Page[SuppressionOut](items=items, next=_next(rows, paging.limit), prev=None)


@router.delete(
    "/v1/suppressions/{id}", summary="Let a member hear from us again", status_code=204, responses=problems(404, 422)
)
async def lift_suppression(db: Db, caller: Writer, id: UUID) -> Response:
    """Only where the member asked for it: nothing else takes back what a member said."""
    async with db.begin() as tx:
        if not await replies.lift(tx, community_id=caller.community_id, suppression_id=id):
            raise NotFound("no such suppression", code="suppression_unknown")
    return Response(status_code=204)
