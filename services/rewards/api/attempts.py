"""Check-ins that a series did not take as they came: what they lacked, who confirms them, an operator's word."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.auth import Principal
from kit.database import Tx
from kit.errors import FieldError, Unprocessable
from kit.http import Page, PageOf, problems
from kit.idempotency import Reply, once
from services.rewards.api.checkins import Day
from services.rewards.api.common import (
    Db,
    ReaderOrMember,
    SeriesPath,
    Text,
    Writer,
    WriterOrMember,
    check_known,
    check_own,
)
from services.rewards.api.paging import by_id, page_of, place_of
from services.rewards.domain.checkins import Series
from services.rewards.domain.proofs import PENDING, Missing, State
from services.rewards.handlers import approving, checkins
from services.rewards.handlers.earning import score_again
from services.rewards.handlers.series_days import today_of
from services.rewards.store import attempts as store

router = APIRouter(tags=["rewards: check-ins"])

MOST = 100


class AttemptOut(BaseModel):
    event_id: UUID
    member_id: UUID
    day: date = Field(description="Of which it is, or would have been, the check-in.")
    effective_at: datetime
    state: State = Field(
        description="`refused`: it lacked what `missing` says. `pending`: it waits. `approved`: it counts. `declined`: "
        "it does not. `undone`: an inverse event came while it waited."
    )
    missing: list[Missing]
    confirmed_by: list[UUID]
    due_at: datetime | None = Field(description="When one that waits is decided by itself.")
    decided_at: datetime | None
    decided_by: str | None = Field(description="The operator or key; null: members, or nobody in time.")
    reason: str
    created_at: datetime


def _out(row: Any, confirmed: Mapping[UUID, Sequence[UUID]]) -> AttemptOut:
    others = [member_id for member_id in confirmed.get(row.thing, ()) if member_id != row.member_id]
    renamed = {"effective_at": row.at, "confirmed_by": others}
    return AttemptOut(
        **{name: getattr(row, name) for name in AttemptOut.model_fields if name not in renamed}, **renamed
    )


@router.get(
    "/v1/checkins/{series_id}/attempts",
    responses=problems(400, 403, 404, 422),
    summary="Check-ins that were not taken as they came, the latest first",
)
async def list_attempts(
    series_id: SeriesPath,
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    state: State | None = None,
    member: Annotated[UUID | None, Query(description="Of this member; a member token's own unless given.")] = None,
) -> Page[AttemptOut]:
    """Kept as long as decisions are. A member token reads its own, and what waits for its member's word."""
    place = place_of(paging, UUID)
    after, before = place.ids()
    async with db.read() as tx:
        series = (await checkins.existing(tx, caller.community_id, series_id)).terms.present
        whose = member
        if not _may_read_all(series, state, caller):
            whose = member if member is not None else caller.member_id
            check_own(caller, whose)  # type: ignore[arg-type]  # a member token has a member
        if whose is not None:
            await check_known(tx, caller, whose)
        rows = await store.page(
            tx,
            caller.community_id,
            series_id,
            state=state,
            member_id=whose,
            limit=paging.limit + 1,
            after=after,
            before=before,
        )
        confirmed = await store.confirmed(tx, {row.thing for row in rows if row.thing is not None})
    return page_of(rows, paging, place, by_id, lambda row: _out(row, confirmed))


def _may_read_all(series: Series, state: str | None, caller: Principal) -> bool:
    if caller.member_id is None:
        return True
    return state == PENDING and series.approval is not None and series.approval.may_confirm(caller.member_id)


class VerdictsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event_ids: list[UUID] = Field(min_length=1, max_length=MOST)
    verdict: Literal["approve", "decline"]
    reason: Annotated[Text, Field(min_length=1, max_length=500)] = Field(examples=["That is last week's photo"])


class VerdictOut(BaseModel):
    """`decided` by this request; `conflict`: it does not wait, and stays what it is; `unknown`."""

    event_id: UUID
    status: Literal["decided", "conflict", "unknown"]


class VerdictsOut(BaseModel):
    items: list[VerdictOut]


@router.post(
    "/v1/checkins/{series_id}/attempts/verdicts",
    response_model=VerdictsOut,
    responses=problems(400, 404, 409, 422),
    summary="Let up to 100 check-ins that wait through, or not; each is answered for",
)
async def decide(request: Request, series_id: SeriesPath, body: VerdictsIn, db: Db, caller: Writer) -> Response:
    """One that is approved fills its own day, however late, and earns what it would have; one that is declined is as if
    it had never been made."""

    async def effect(tx: Tx) -> Reply:
        outcomes, acts = await approving.decide(
            tx,
            caller.community_id,
            series_id,
            body.event_ids,
            approve=body.verdict == "approve",
            by=caller.actor,
            reason=body.reason,
        )
        if acts:
            await score_again(tx, acts)
        return Reply(200, VerdictsOut(items=[_verdict(one) for one in outcomes]))

    return await once(request, db, caller, effect)


def _verdict(one: approving.Outcome) -> VerdictOut:
    return VerdictOut(
        event_id=one.event_id, status="decided" if one.decided else "conflict" if one.there else "unknown"
    )


class ConfirmationIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    member_id: UUID | None = Field(None, description="Whose word it is; a member token's own.")


@router.post(
    "/v1/checkins/{series_id}/attempts/{event_id}/confirmations",
    response_model=AttemptOut,
    responses=problems(400, 403, 404, 409, 422),
    summary="A member confirms another's check-in",
)
async def confirm(
    request: Request, series_id: SeriesPath, event_id: UUID, body: ConfirmationIn, db: Db, caller: WriterOrMember
) -> Response:
    """Twice is once. The word that was still missing lets it through."""
    member_id = body.member_id if body.member_id is not None else caller.member_id
    if member_id is None:
        wrong = FieldError("/member_id", "missing", "say whose word it is")
        raise Unprocessable("a key says whose word it is", code="validation_failed", errors=[wrong])
    check_own(caller, member_id)

    async def effect(tx: Tx) -> Reply:
        await check_known(tx, caller, member_id)
        acts = await approving.confirm(tx, caller.community_id, series_id, event_id, member_id)
        if acts:
            await score_again(tx, acts)
        key = caller.community_id, series_id, event_id
        row = (await store.among(tx, [key]))[key]
        return Reply(200, _out(row, await store.confirmed(tx, [row.thing])))

    return await once(request, db, caller, effect)


class CodeWordOut(BaseModel):
    day: date
    word: str = Field(examples=["maple47"])


@router.get(
    "/v1/checkins/{series_id}/code-word",
    responses=problems(400, 404, 409, 422),
    summary="The code word of a day, to be announced",
)
async def get_code_word(
    series_id: SeriesPath,
    db: Db,
    caller: Writer,
    day: Annotated[Day | None, Query(description="The community's today unless given.")] = None,
) -> CodeWordOut:
    """The same for as long as the installation's secret is."""
    async with db.read() as tx:
        held = await checkins.existing(tx, caller.community_id, series_id)
        chosen = day if day is not None else await today_of(tx, held)
        return CodeWordOut(day=chosen, word=checkins.word_of(tx, held, chosen))
