"""`/v1/events/rejected`: what the door refused, kept for a week without what people wrote, tried again (E17)."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kit.auth import Principal, check_scopes
from kit.days import local_day
from kit.errors import NotFound
from kit.http import Page, PageOf, behind, encode_cursor, problems
from services.events import redaction
from services.events.api.common import Db, One, Reader, Text, Writer
from services.events.handlers import rejected as handlers
from services.events.store import rejected as store

router = APIRouter(tags=["rejected events"])

Code = Annotated[Text, Field(max_length=100)]
AT_ONCE = 200


class RejectedOut(BaseModel):
    """`form`: an event, a platform's payload, or bytes (nothing but `size` and `digest`, their SHA-256, is known).
    `marked` strings that trying again would need were left out; `retryable`: it can be tried again without being
    mended. `code`, `pointer` and `message` are those of the last attempt; `event_ids` the activities that came of it.
    """

    id: UUID
    connection_id: UUID | None
    import_name: str | None
    form: Literal["event", "payload", "bytes"]
    code: str
    pointer: str
    message: str
    source_id: str | None = Field(description="The event's own id, where it has one that may be shown.")
    size: int
    digest: str | None
    marked: int
    retryable: bool
    state: Literal["rejected", "retried"]
    attempts: int
    event_ids: list[UUID]
    changed_by: str | None
    at: datetime
    changed_at: datetime


class RejectedDetail(RejectedOut):
    kept: dict[str, Any] | None = Field(description="What was kept of it: its structure, without what people wrote.")


class RejectedCount(BaseModel):
    """Of a day (UTC): how many were refused with a code, and how many of those were kept."""

    day: date
    code: str
    rejected: int
    kept: int


class CountsOut(BaseModel):
    days: list[RejectedCount]


class RetryIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"event": None}})

    event: dict[str, JsonValue] | None = Field(None, description="The mended event; absent: as it was kept.")


class BulkRetryIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"code": "time_in_future"}})

    code: Code


class BulkRetryOut(BaseModel):
    """`rejected` were refused again; `skipped` came through connections that are no longer there."""

    retried: int
    rejected: int
    skipped: int


def _out(row: Any) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in RejectedOut.model_fields if name != "retryable"}
    return {**same, "retryable": row.form != redaction.BYTES and not row.marked and row.state == store.REJECTED}


@router.get("/v1/events/rejected", summary="What the door refused, the latest first", responses=problems(400, 422))
async def list_rejected(
    db: Db,
    caller: Reader,
    paging: PageOf,
    code: Annotated[Text | None, Query(max_length=100)] = None,
    connection: Annotated[UUID | None, Query(description="Through which it came.")] = None,
    state: Literal["rejected", "retried"] | None = None,
) -> Page[RejectedOut]:
    async with db.read() as tx:
        rows = await store.page(
            tx,
            community_id=caller.community_id,
            code=code,
            connection_id=connection,
            state=state,
            before=behind(paging),
            limit=paging.limit + 1,
        )
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    items = [RejectedOut(**_out(row)) for row in rows]
    return Page[RejectedOut](items=items, next=encode_cursor([str(rows[-1].id)]) if more else None, prev=None)


@router.get("/v1/events/rejected/counts", summary="How many were refused, by day and code", responses=problems(422))
async def count_rejected(db: Db, caller: Reader) -> CountsOut:
    """Of the last seven days and today; also of what came over the limit of a day and was not kept."""
    async with db.read() as tx:
        since = local_day(tx.now - handlers.KEPT, "UTC", 0)
        rows = await store.days(tx, community_id=caller.community_id, since=since)
    days = [RejectedCount(day=r.day, code=r.code, rejected=r.rejected, kept=r.kept) for r in rows]
    return CountsOut(days=days)


@router.get("/v1/events/rejected/{id}", summary="One of them, with what was kept", responses=problems(404, 422))
async def get_rejected(db: Db, caller: Reader, id: UUID) -> RejectedDetail:
    row = await _found(db, caller, id)
    return RejectedDetail(**_out(row), kept=row.kept)


async def _found(db: Any, caller: Principal, id: UUID) -> Any:
    async with db.read() as tx:
        row = await store.one(tx, community_id=caller.community_id, rejection_id=id)
    if row is None:
        raise NotFound("nothing refused has this id; it is kept for seven days", code="rejected_unknown")
    return row


@router.post(
    "/v1/events/rejected/retry", summary="Try again all that failed with one code", responses=problems(403, 422)
)
async def retry_all(request: Request, db: Db, one: One, caller: Writer, body: BulkRetryIn) -> BulkRetryOut:
    """Up to 200 that need not be mended, the least often tried first; call again while some are left. An event has its
    source and id for its idempotency: no Idempotency-Key is looked at, here and below."""
    async with db.read() as tx:
        rows = await store.to_retry(tx, community_id=caller.community_id, code=body.code, limit=AT_ONCE)
    attempts, skipped = [], 0
    for row in rows:
        _may(caller, row)
        try:
            attempts.append(await handlers.attempt(one, row, None, _request_id(request)))
        except NotFound:
            skipped += 1
    await handlers.carry_out(one, attempts, request_id=_request_id(request), by=caller.actor)
    refused = sum(attempt.wrong is not None for attempt in attempts)
    return BulkRetryOut(retried=len(attempts) - refused, rejected=refused, skipped=skipped)


@router.post("/v1/events/rejected/{id}/retry", summary="Try one again", responses=problems(403, 404, 409, 422))
async def retry(request: Request, db: Db, one: One, caller: Writer, id: UUID, body: RetryIn) -> RejectedDetail:
    """Through the same door, as received when it came first; a platform's payload is read by its receiver as it is now.
    `state` tells the outcome: `retried`, or `rejected` with the new reason."""
    row = await _found(db, caller, id)
    _may(caller, row)
    attempt = await handlers.attempt(one, row, body.event, _request_id(request))
    await handlers.carry_out(one, [attempt], request_id=_request_id(request), by=caller.actor)
    return await get_rejected(db, caller, id)


def _may(caller: Principal, row: Any) -> None:
    if row.import_name is not None:
        check_scopes(caller, ("events:import",))


def _request_id(request: Request) -> str:
    return str(request.scope.get("guildhall.request_id", ""))


@router.delete("/v1/events/rejected/{id}", summary="Forget one", status_code=204, responses=problems(404, 422))
async def forget(db: Db, caller: Writer, id: UUID) -> Response:
    async with db.begin() as tx:
        gone = await store.remove(tx, community_id=caller.community_id, rejection_id=id)
    if not gone:
        raise NotFound("nothing refused has this id; it is kept for seven days", code="rejected_unknown")
    return Response(status_code=204)
