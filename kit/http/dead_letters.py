"""`/v1/dead-letters`: events given up on, per service (K33). A community's credential sees its own only."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from kit import dead_letters
from kit.auth import Principal, caller, check_scopes
from kit.dead_letters import DeadLetter
from kit.errors import BadRequest, NotFound
from kit.http.paging import Page, PageOf, encode_cursor
from kit.http.problems import problems
from kit.service import ServiceRuntime

router = APIRouter(tags=["dead letters"])

_CODE = r"^[ -~]*$"


class DeadLetterOut(BaseModel):
    """`body` is the event as it was read, as text; `stack_digest` groups failures of one cause."""

    id: UUID
    event_id: UUID | None
    consumer: str
    topic: str
    code: str
    message: str
    stack_digest: str
    attempts: int
    state: str
    reason: str | None
    created_at: datetime
    body: str


class EditIn(BaseModel):
    body: str = Field(max_length=1_000_000, description="The mended event; its id and community stay.")


class DiscardIn(BaseModel):
    reason: str = Field(min_length=1, max_length=1000)


class BulkIn(BaseModel):
    action: Literal["retry", "discard"]
    code: str = Field(max_length=100, pattern=_CODE, description="Only letters with this error code.")
    reason: str = Field("", max_length=1000)


class BulkOut(BaseModel):
    """How many letters are now in which state."""

    retried: int
    discarded: int
    still_dead: int


ServiceName = Annotated[str, Query(description="members, events, rewards or notify.", max_length=20)]


async def _of(request: Request, service: ServiceName) -> ServiceRuntime:
    services: dict[str, ServiceRuntime] = request.app.state.runtime.services
    if service not in services:
        raise NotFound(f"no service {service!r} here; one of {', '.join(services)}", code="service_unknown")
    return services[service]


One = Annotated[ServiceRuntime, Depends(_of)]


def _allowed(scope: str) -> Callable[[Request, ServiceRuntime], Awaitable[Principal]]:
    """A dependency, so that who may not is told so before what they sent is looked at."""

    async def dependency(request: Request, one: One) -> Principal:
        principal = await caller(one, request)
        check_scopes(principal, (scope,))
        return principal

    return dependency


Reader = Annotated[Principal, Depends(_allowed("ops:read"))]
Writer = Annotated[Principal, Depends(_allowed("ops:write"))]


def _position(cursor: list[Any] | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, id = datetime.fromisoformat(cursor[0]), UUID(cursor[1])
        if at.tzinfo is None or not 1970 <= at.year < 9000:
            raise ValueError("no time of ours")
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid") from error
    return at.astimezone(UTC), id


def _out(letter: DeadLetter) -> DeadLetterOut:
    shown = {name: getattr(letter, name) for name in DeadLetterOut.model_fields if name != "body"}
    return DeadLetterOut(**shown, body=letter.body.decode("utf-8", "replace"))


@router.get("/v1/dead-letters", summary="Events given up on, newest first", responses=problems(400, 404, 422))
async def list_letters(
    one: One,
    principal: Reader,
    paging: PageOf,
    code: Annotated[str | None, Query(max_length=100, pattern=_CODE)] = None,
    state: Literal["dead", "retried", "discarded"] = "dead",
) -> Page[DeadLetterOut]:
    before = _position(paging.cursor)
    async with one.db.read() as tx:
        letters = await dead_letters.list_dead(
            tx, community_id=principal.community_id, code=code, state=state, limit=paging.limit + 1, before=before
        )
    more = len(letters) > paging.limit
    letters = letters[: paging.limit]
    following = encode_cursor([letters[-1].created_at.isoformat(), str(letters[-1].id)]) if more else None
    return Page[DeadLetterOut](items=[_out(letter) for letter in letters], next=following, prev=None)


@router.post(
    "/v1/dead-letters/bulk", summary="Retry or discard all that failed with one code", responses=problems(404, 422)
)
async def bulk(one: One, principal: Writer, body: BulkIn) -> BulkOut:
    """Up to 500 letters; call again while some are left."""
    async with one.db.begin() as tx:
        done = await dead_letters.bulk(
            tx,
            one.handlers,
            code=body.code,
            action=body.action,
            reason=body.reason,
            community_id=principal.community_id,
        )
    states = [letter.state for letter in done]
    return BulkOut(
        retried=states.count("retried"), discarded=states.count("discarded"), still_dead=states.count("dead")
    )


@router.post("/v1/dead-letters/{id}/retry", summary="Handle one again", responses=problems(404, 409, 422))
async def retry(one: One, principal: Writer, id: UUID) -> DeadLetterOut:
    """`state` tells the outcome: `retried`, or `dead` with the new error."""
    async with one.db.begin() as tx:
        return _out(await dead_letters.retry(tx, one.handlers, id, community_id=principal.community_id))


@router.post(
    "/v1/dead-letters/{id}/edit-and-retry", summary="Mend one and handle it", responses=problems(404, 409, 422)
)
async def edit_and_retry(one: One, principal: Writer, id: UUID, body: EditIn) -> DeadLetterOut:
    async with one.db.begin() as tx:
        letter = await dead_letters.retry(
            tx, one.handlers, id, body=body.body.encode(), community_id=principal.community_id
        )
    return _out(letter)


@router.post("/v1/dead-letters/{id}/discard", summary="Close one without effect", responses=problems(404, 409, 422))
async def discard(one: One, principal: Writer, id: UUID, body: DiscardIn) -> DeadLetterOut:
    async with one.db.begin() as tx:
        return _out(await dead_letters.discard(tx, id, body.reason, community_id=principal.community_id))
