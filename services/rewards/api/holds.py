"""Holds: points set aside for something, then given away or back."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from kit.database import Tx
from kit.errors import NotFound
from kit.http import Page, PageOf, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, Reader, Text, UnitId, Writer, check_known, whom
from services.rewards.api.paging import by_id, page_of, place_of
from services.rewards.domain.ledger import MOST
from services.rewards.handlers import holds as handlers
from services.rewards.store import holds as store

router = APIRouter(tags=["rewards: ledger"])


class NewHold(BaseModel):
    """Whom it concerns is a `member_id` or an `identity`, one of the two."""

    model_config = ConfigDict(extra="forbid")

    member_id: UUID | None = None
    identity: Annotated[Text, Field(max_length=300, examples=["discord:8123"])] | None = None
    unit: UnitId = "points"
    amount: int = Field(gt=0, le=MOST, description="Whole minor units.", examples=[50])
    reason: Annotated[Text, Field(min_length=1, max_length=1000)] = Field(examples=["Deposit of the reading challenge"])
    timeout_seconds: int = Field(
        ge=1, le=handlers.MOST_SECONDS, description="After so long it goes back by itself.", examples=[86400]
    )
    idempotency_key: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The same key holds once, whoever sends it; it is one of entries' keys."
    )

    @model_validator(mode="after")
    def _one_member(self) -> "NewHold":
        if (self.member_id is None) == (self.identity is None):
            raise ValueError("give member_id or identity, one of the two")
        return self


class Capture(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int | None = Field(None, gt=0, description="How much of it; what is left goes back. Default all.")


class HoldOut(BaseModel):
    """`id` is the entry's too that took the points from the balance."""

    id: UUID
    state: Literal["open", "captured", "released", "expired"]
    member_id: UUID
    unit: str
    amount: int
    captured: int = Field(description="How much of it was given away; the rest went back when it ended.")
    reason: str
    actor: str
    expires_at: datetime = Field(description="From then on it cannot be captured; it goes back within a minute.")
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None = Field(description="Who captured or released it; null: nobody, its time was over.")
    capture_id: UUID | None = Field(description="The entry that gave it away; reversing that gives it back.")


def _out(row: Any) -> HoldOut:
    return HoldOut(**{name: getattr(row, name) for name in HoldOut.model_fields})


@router.post(
    "/v1/entries/holds",
    status_code=201,
    response_model=HoldOut,
    responses={200: {"model": HoldOut, "description": "There already: the first one"}, **problems(400, 404, 409, 422)},
    summary="Hold points ready for something",
)
async def post_hold(request: Request, body: NewHold, db: Db, caller: Writer) -> Response:
    """They leave the balance at once, as if spent. A hold ends once: captured, released, or by itself."""

    async def effect(tx: Tx) -> Reply:
        ((member_id, computed),) = await whom(tx, caller.community_id, [(body.member_id, body.identity)], "")
        wanted = handlers.Wanted(
            member_id=member_id,
            unit=body.unit,
            amount=body.amount,
            reason=body.reason,
            timeout_seconds=body.timeout_seconds,
            idempotency_key=body.idempotency_key,
            computed=computed,
        )
        row, new = await handlers.hold(tx, caller.community_id, wanted, caller.actor)
        return Reply(201 if new else 200, _out(row))

    return await once(request, db, caller, effect)


@router.get("/v1/entries/holds", responses=problems(400, 404, 422), summary="Holds, latest first")
async def list_holds(
    db: Db,
    caller: Reader,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="One member's; without it everybody's.")] = None,
    state: Literal["open", "captured", "released", "expired"] | None = None,
) -> Page[HoldOut]:
    place = place_of(paging, UUID)
    after, before = place.ids()
    async with db.read() as tx:
        if member is not None:
            await check_known(tx, caller, member)
        rows = await store.page(
            tx,
            caller.community_id,
            member_id=member,
            state=state,
            limit=paging.limit + 1,
            after=after,
            before=before,
        )
    return page_of(rows, paging, place, by_id, _out)


@router.get("/v1/entries/holds/{hold_id}", responses=problems(400, 404, 422), summary="One hold")
async def get_hold(hold_id: UUID, db: Db, caller: Reader) -> HoldOut:
    async with db.read() as tx:
        row = await store.one(tx, caller.community_id, hold_id)
    if row is None:
        raise NotFound("no such hold", code="hold_unknown")
    return _out(row)


@router.post(
    "/v1/entries/holds/{hold_id}/capture",
    response_model=HoldOut,
    responses=problems(400, 404, 409, 422),
    summary="Give away what is held, or a part of it",
)
async def capture(request: Request, hold_id: UUID, body: Capture, db: Db, caller: Writer) -> Response:
    """It is burnt, as what is spent is; what is left goes back. A hold that ended already: 409 `hold_ended`."""

    async def effect(tx: Tx) -> Reply:
        row = await handlers.capture(tx, caller.community_id, hold_id, amount=body.amount, actor=caller.actor)
        return Reply(200, _out(row))

    return await once(request, db, caller, effect)


@router.post(
    "/v1/entries/holds/{hold_id}/release",
    response_model=HoldOut,
    responses=problems(400, 404, 409, 422),
    summary="Give back what is held",
)
async def release(request: Request, hold_id: UUID, db: Db, caller: Writer) -> Response:
    """A hold that ended already: 409 `hold_ended`."""

    async def effect(tx: Tx) -> Reply:
        return Reply(200, _out(await handlers.release(tx, caller.community_id, hold_id, actor=caller.actor)))

    return await once(request, db, caller, effect)
