"""`/v1/replays`: stored events sent once more, for consumers that lack them (E16)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kit.auth import Principal, requires
from kit.database import Tx
from kit.errors import FieldError, Unprocessable
from kit.http import Instant, Page, PageOf, behind, encode_cursor, problems
from kit.idempotency import Reply, once
from services.events.api.common import SERVICE, Db, Reader, Text
from services.events.handlers import replays as handlers
from services.events.store import replays as store

router = APIRouter(tags=["replays"])

Replayer = Annotated[Principal, Depends(requires(SERVICE, "events:replay"))]
MOST = 50
EXAMPLE: JsonDict = {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z", "types": [], "dry_run": True}


class ReplayIn(BaseModel):
    """`from` is inclusive, `to` exclusive, both effective times. Empty lists: all."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra={"example": EXAMPLE})

    since: Instant = Field(alias="from")
    until: Instant = Field(alias="to")
    types: list[Annotated[Text, Field(max_length=200)]] = Field([], max_length=MOST)
    members: list[UUID] = Field([], max_length=MOST, description="Who did it, under every identity of theirs.")
    groups: list[Annotated[Text, Field(max_length=300)]] = Field([], max_length=MOST)
    dry_run: bool = Field(False, description="Count only.")
    speed: int = Field(500, ge=1, le=5000, description="Events a second, at most.")


class ReplayOut(BaseModel):
    """`total` was counted when it began; `sent` is how many are on the log once more (a few more after a crash).
    `id` is null and `state` dry_run for one that only counted."""

    id: UUID | None
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    types: list[str]
    members: list[UUID]
    groups: list[str]
    speed: int
    state: Literal["dry_run", "running", "paused", "cancelled", "done"]
    total: int
    sent: int
    created_at: datetime
    created_by: str
    changed_at: datetime


def _out(row: Any) -> ReplayOut:
    values = row if isinstance(row, dict) else row._mapping
    return ReplayOut(**{name: values[name] for name in ReplayOut.model_fields})


@router.post(
    "/v1/replays",
    summary="Send stored events once more",
    status_code=201,
    response_model=ReplayOut,
    responses={**problems(400, 409, 422), 200: {"model": ReplayOut, "description": "A dry run: how many it would be"}},
)
async def create_replay(request: Request, db: Db, caller: Replayer, body: ReplayIn) -> Response:
    """With their ids and everything they had, and `replayid`. Nothing is stored, paid or told twice: who has them
    ignores them. One replay of a community at a time."""
    if body.since >= body.until:
        wrong = FieldError("/to", "times_contradict", "must be after `from`")
        raise Unprocessable("`to` must be after `from`", code="times_contradict", errors=[wrong])
    choice = {name: getattr(body, name) for name in ("since", "until", "types", "members", "groups", "speed")}
    row = {"community_id": caller.community_id, "created_by": caller.actor, **choice}

    async def effect(tx: Tx) -> Reply:
        if not body.dry_run:
            made = _out(await handlers.start(tx, row=row))
            return Reply(201, _by_alias(made), {"Location": f"/v1/replays/{made.id}"})
        picked = {name: value for name, value in choice.items() if name != "speed"}
        chosen = await handlers.chosen_of(tx, community_id=caller.community_id, **picked)
        counted = {"id": None, "state": "dry_run", "total": await store.count(tx, chosen=chosen), "sent": 0}
        return Reply(200, _by_alias(_out({**row, **counted, "created_at": tx.now, "changed_at": tx.now})))

    return await once(request, db, caller, effect)


def _by_alias(replay: ReplayOut) -> dict[str, Any]:
    return replay.model_dump(mode="json", by_alias=True)


@router.get("/v1/replays", summary="The community's replays, the latest first", responses=problems(400, 422))
async def list_replays(db: Db, caller: Reader, paging: PageOf) -> Page[ReplayOut]:
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, before=behind(paging), limit=paging.limit + 1)
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    following = encode_cursor([str(rows[-1].id)]) if more else None
    return Page[ReplayOut](items=[_out(row) for row in rows], next=following, prev=None)


@router.get("/v1/replays/{id}", summary="How far a replay is", responses=problems(404, 422))
async def get_replay(db: Db, caller: Reader, id: UUID) -> ReplayOut:
    async with db.read() as tx:
        return _out(await handlers.found(tx, community_id=caller.community_id, replay_id=id))


async def _turned(db: Any, caller: Principal, id: UUID, to: str) -> ReplayOut:
    async with db.begin() as tx:
        return _out(await handlers.turn(tx, community_id=caller.community_id, replay_id=id, to=to))


@router.post("/v1/replays/{id}/pause", summary="Pause a replay", responses=problems(404, 409, 422))
async def pause_replay(db: Db, caller: Replayer, id: UUID) -> ReplayOut:
    return await _turned(db, caller, id, store.PAUSED)


@router.post("/v1/replays/{id}/resume", summary="Go on where it stopped", responses=problems(404, 409, 422))
async def resume_replay(db: Db, caller: Replayer, id: UUID) -> ReplayOut:
    """A paused or cancelled one."""
    return await _turned(db, caller, id, store.RUNNING)


@router.post("/v1/replays/{id}/cancel", summary="Cancel a replay", responses=problems(404, 409, 422))
async def cancel_replay(db: Db, caller: Replayer, id: UUID) -> ReplayOut:
    """What was sent stays sent."""
    return await _turned(db, caller, id, store.CANCELLED)
