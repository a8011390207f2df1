"""`/v1/messages`: asking for a message, what became of it, and what would."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit import copies
from kit.auth import Principal
from kit.database import Tx
from kit.errors import FieldError, NotFound, Unprocessable
from kit.http import Instant, Page, PageOf, problems
from kit.idempotency import Reply, once
from services.notify.api.common import (
    SOME_ID,
    Db,
    Json,
    Locale,
    MessageOut,
    Reader,
    State,
    TemplateName,
    Text,
    Writer,
    message_out,
    page_out,
    place,
)
from services.notify.domain import Wish
from services.notify.handlers import sending
from services.notify.store import messages as store

router = APIRouter(tags=["notify: messages"])


class MessageIn(BaseModel):
    """With `not_before` it is held until then; with `expires_at` it is not sent any more from then on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "member_id": SOME_ID,
                "template": "points.adjusted",
                "variables": {"amount": 50, "unit": "points", "reason": "for the talk"},
            }
        },
    )

    member_id: UUID
    template: TemplateName
    variables: Json = Field(default={}, max_length=50)
    locale: Locale | None = Field(None, description="Instead of the member's own.")
    cause_id: UUID | None = None
    not_before: Instant | None = None
    expires_at: Instant | None = None


class StepOut(BaseModel):
    at: datetime
    step: str
    verdict: str
    detail: str


class TraceOut(BaseModel):
    """Every step of the resolution and every mark, in order (N1)."""

    message: MessageOut
    steps: list[StepOut]


class PreviewOut(BaseModel):
    """What would become of it now; nothing was sent."""

    state: State
    reason: str | None
    steps: list[StepOut]
    locale: str
    title: str
    body: str


def _wish(caller: Principal, body: MessageIn) -> Wish:
    if body.not_before is not None and body.expires_at is not None and body.expires_at <= body.not_before:
        wrong = FieldError("/expires_at", "too_early", "expires_at is after not_before")
        raise Unprocessable("the message would expire before it is due", code="times_contradict", errors=[wrong])
    return Wish(
        community_id=caller.community_id,
        member_id=body.member_id,
        template=body.template,
        variables=body.variables,
        actor=caller.actor,
        cause_id=body.cause_id,
        not_before=body.not_before,
        expires_at=body.expires_at,
        locale=body.locale,
    )


async def _check_member(tx: Tx, wish: Wish) -> None:
    if not await copies.known_members(tx, wish.community_id, [wish.member_id]):
        wrong = FieldError("/member_id", "member_unknown", "a member of this community; a new one is known in a moment")
        raise Unprocessable("no such member here", code="member_unknown", errors=[wrong])


def _steps(steps: Sequence[Any]) -> list[StepOut]:
    return [StepOut(**step) for step in steps]


@router.post(
    "/v1/messages", summary="Send a message to a member", status_code=201, responses=problems(400, 409, 422, 503)
)
async def send(request: Request, db: Db, caller: Writer, body: MessageIn) -> MessageOut:
    """Answers with what became of it: `delivered`, `held` until `not_before`, or `not_sent` with the reason."""
    wish = _wish(caller, body)

    async def effect(tx: Tx) -> Reply:
        await _check_member(tx, wish)
        (row,) = await sending.send(tx, [wish])
        return Reply(201, message_out(row), {"Location": f"/v1/messages/{row['id']}"})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.post("/v1/preview", summary="What would become of a message", responses=problems(400, 422, 503))
async def preview(db: Db, caller: Reader, body: MessageIn) -> PreviewOut:
    wish = _wish(caller, body)
    # A writing transaction: a shipped template may become the community's version 1 here.
    async with db.begin() as tx:
        await _check_member(tx, wish)
        context = await sending.context_of(tx, [wish])
        resolution, rendered, _ = sending.plan(tx, wish, context)
    return PreviewOut(
        state=resolution.state,  # type: ignore[arg-type]  # one of the states
        reason=resolution.reason,
        steps=_steps([step.as_json() for step in resolution.steps]),
        locale=rendered.locale,
        title=rendered.title,
        body=rendered.body,
    )


@router.get("/v1/messages", summary="Messages, newest first", responses=problems(400, 422))
async def list_messages(
    db: Db,
    caller: Reader,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="To whom.")] = None,
    state: State | None = None,
    template: Annotated[Text | None, Query(max_length=60)] = None,
    cause: Annotated[UUID | None, Query(description="About which activity or reward.")] = None,
) -> Page[MessageOut]:
    chosen, at = store.Filter(member, state, template, cause), place(paging.cursor, UUID)
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, chosen=chosen, place=at, limit=paging.limit + 1)
    return page_out(rows, paging.limit, at, "id")


@router.get("/v1/messages/{id}", summary="One message", responses=problems(404, 422))
async def get_message(db: Db, caller: Reader, id: UUID) -> MessageOut:
    return message_out(await _existing(db, caller, id))


async def _existing(db: Any, caller: Principal, id: UUID) -> Any:
    async with db.read() as tx:
        row = await store.one(tx, community_id=caller.community_id, message_id=id)
    if row is None:
        raise NotFound("no such message here", code="message_unknown")
    return row


@router.get("/v1/messages/{id}/trace", summary="Every step a message took", responses=problems(404, 422))
async def trace(db: Db, caller: Reader, id: UUID) -> TraceOut:
    row = await _existing(db, caller, id)
    steps = _steps(row.steps)
    for mark in ("seen", "read", "clicked", "acked"):
        at = getattr(row, f"{mark}_at")
        if at is not None:
            steps.append(StepOut(at=at, step=mark, verdict="passed", detail=""))
    return TraceOut(message=message_out(row), steps=steps)


@router.post("/v1/messages/{id}/cancel", summary="Take a message back", responses=problems(404, 409, 422))
async def cancel(request: Request, db: Db, caller: Writer, id: UUID) -> MessageOut:
    """Only before it left: what is in an inbox stays there."""

    async def effect(tx: Tx) -> Reply:
        return Reply(200, message_out(await sending.cancel(tx, caller.community_id, id, caller.actor)))

    answer: Response = await once(request, db, caller, effect)
    return answer  # type: ignore[return-value]  # a Response stands for the model
