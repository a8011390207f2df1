"""`/v1/segments`: members put together by hand."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit.database import Tx
from kit.http import Page, PageOf, check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.members import domain
from services.members.api.common import SOME_ID, SOME_TIME, Db, Name, Prose, Reader, Reason, Writer, shown
from services.members.api.paging import page_of, seek
from services.members.handlers import segments as handlers
from services.members.handlers.people import existing
from services.members.store import segments as store

router = APIRouter(tags=["segments"])

SEGMENT_ID = r"^[a-z0-9][a-z0-9-]{0,59}$"

SEGMENT: dict[str, JsonValue] = {
    "id": "staff",
    "version": 1,
    "name": "Staff",
    "description": "Who runs the community.",
    "size": 3,
    "created_at": SOME_TIME,
    "changed_at": SOME_TIME,
}
INSIDE: dict[str, JsonValue] = {
    "member_id": SOME_ID,
    "display_name": "Ada",
    "reason": "hosts on Mondays",
    "actor": f"operator:{SOME_ID}",
    "since": SOME_TIME,
}
CHANGE: dict[str, JsonValue] = {
    "member_id": SOME_ID,
    "change": "entered",
    "reason": "hosts on Mondays",
    "actor": f"operator:{SOME_ID}",
    "created_at": SOME_TIME,
}

SegmentPath = Annotated[str, Path(pattern=SEGMENT_ID)]


def _readable(text: str) -> str:
    if not text.strip() or not domain.printable(text, lines=True):
        raise ValueError("something readable is needed, without control characters")
    return text


Why = Annotated[str, Query(min_length=1, max_length=1000, description="Why."), AfterValidator(_readable)]


class SegmentIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Hosts", "description": "Who opens the evenings."}}
    )

    name: Name
    description: Prose = ""


class SegmentOut(BaseModel):
    """`size`: how many members are in it."""

    id: str
    version: int
    name: str
    description: str
    size: int
    created_at: datetime
    changed_at: datetime


class InsideIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "hosts on Mondays"}})

    reason: Reason


class InsideManyIn(BaseModel):
    """A member that is named twice counts once."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"members": [SOME_ID], "reason": "the first cohort"}}
    )

    members: list[UUID] = Field(min_length=1, max_length=handlers.AT_ONCE_MOST)
    reason: Reason


class EnteredOut(BaseModel):
    """How many came in, and how many were in before, with the reason of then."""

    entered: int
    there_before: int


class InsideOut(BaseModel):
    member_id: UUID
    display_name: str
    reason: str
    actor: str
    since: datetime


class ChangeOut(BaseModel):
    """`change` is entered or left."""

    member_id: UUID
    change: str
    reason: str
    actor: str
    created_at: datetime


async def _shown(tx: Tx, rows: list[Any]) -> list[SegmentOut]:
    if not rows:
        return []
    sizes = await store.sizes(tx, community_id=rows[0].community_id, segment_ids=[row.id for row in rows])
    names = [name for name in SegmentOut.model_fields if name != "size"]
    return [SegmentOut(**{n: getattr(row, n) for n in names}, size=sizes.get(row.id, 0)) for row in rows]


@router.get(
    "/v1/segments",
    summary="Segments",
    responses={**problems(400, 422), **shown(200, {"items": [SEGMENT], "next": None, "prev": None})},
)
async def list_segments(db: Db, caller: Reader, paging: PageOf) -> Page[SegmentOut]:
    """Oldest first."""
    place = seek(paging, datetime, str)
    async with db.read() as tx:
        found = await store.page_of_segments(tx, community_id=caller.community_id, limit=paging.limit, seek=place)
        return page_of(await _shown(tx, found.rows), found, "created_at", "id")


@router.get(
    "/v1/segments/{segment_id}",
    summary="One segment",
    responses={**problems(400, 404, 422), **shown(200, SEGMENT)},
)
async def get_segment(db: Db, caller: Reader, segment_id: SegmentPath, response: Response) -> SegmentOut:
    async with db.read() as tx:
        [out] = await _shown(tx, [await handlers.existing_segment(tx, caller.community_id, segment_id)])
    response.headers["ETag"] = etag(out.version)
    return out


@router.put(
    "/v1/segments/{segment_id}",
    summary="Make a segment, or change its name and description",
    responses={
        201: {"model": SegmentOut, "description": "It is new"},
        **problems(400, 404, 412, 422),
        **shown(200, SEGMENT),
    },
)
async def put_segment(
    request: Request, db: Db, caller: Writer, segment_id: SegmentPath, body: SegmentIn, response: Response
) -> SegmentOut:
    """201 where it is new, with nobody in it. A community has at most 200."""
    async with db.begin() as tx:
        row, new = await handlers.put_segment(
            tx,
            community_id=caller.community_id,
            segment_id=segment_id,
            name=body.name,
            description=body.description,
            if_match=lambda version: check_if_match(request, version),
        )
        [out] = await _shown(tx, [row])
    response.status_code = 201 if new else 200
    response.headers["ETag"] = etag(out.version)
    return out


@router.delete(
    "/v1/segments/{segment_id}",
    status_code=204,
    summary="Delete a segment",
    responses=problems(400, 404, 409, 422),
)
async def delete_segment(db: Db, caller: Writer, segment_id: SegmentPath) -> None:
    """Everybody is taken out of it; who came and went stays readable. 409 `segment_permanent` for `staff`."""
    async with db.begin() as tx:
        await handlers.delete_segment(tx, community_id=caller.community_id, segment_id=segment_id, actor=caller.actor)


@router.get(
    "/v1/segments/{segment_id}/members",
    summary="Who is in a segment, and why",
    responses={**problems(400, 404, 422), **shown(200, {"items": [INSIDE], "next": None, "prev": None})},
)
async def list_inside(db: Db, caller: Reader, segment_id: SegmentPath, paging: PageOf) -> Page[InsideOut]:
    """Who came first first."""
    place = seek(paging, datetime, UUID)
    async with db.read() as tx:
        await handlers.existing_segment(tx, caller.community_id, segment_id)
        found = await store.page_of_inside(
            tx, community_id=caller.community_id, segment_id=segment_id, limit=paging.limit, seek=place
        )
    items = [InsideOut(**{n: getattr(row, n) for n in InsideOut.model_fields}) for row in found.rows]
    return page_of(items, found, "since", "member_id")


@router.post(
    "/v1/segments/{segment_id}/members",
    summary="Put members into a segment",
    response_model=EnteredOut,
    responses={**problems(400, 404, 409, 422), **shown(200, {"entered": 3, "there_before": 0})},
)
async def include_many(
    request: Request, db: Db, caller: Writer, segment_id: SegmentPath, body: InsideManyIn
) -> Response:
    """Up to 500, all of them or nobody: 422 `segment_refused` says in `errors` who cannot be put in."""
    wanted = body.members

    async def effect(tx: Tx) -> Reply:
        entered = await handlers.include(
            tx,
            community_id=caller.community_id,
            segment_id=segment_id,
            member_ids=wanted,
            reason=body.reason,
            actor=caller.actor,
            at="/members/{}",
        )
        return Reply(200, EnteredOut(entered=entered, there_before=len(set(wanted)) - entered))

    return await once(request, db, caller, effect)


@router.put(
    "/v1/segments/{segment_id}/members/{member_id}",
    status_code=204,
    summary="Put a member into a segment",
    responses=problems(400, 404, 422),
)
async def include(db: Db, caller: Writer, segment_id: SegmentPath, member_id: UUID, body: InsideIn) -> None:
    """Who is in it already stays, with the reason of then. A member is in at most 50."""
    async with db.begin() as tx:
        await existing(tx, caller.community_id, member_id)
        await handlers.include(
            tx,
            community_id=caller.community_id,
            segment_id=segment_id,
            member_ids=[member_id],
            reason=body.reason,
            actor=caller.actor,
            at="/path/member_id",
        )


@router.delete(
    "/v1/segments/{segment_id}/members/{member_id}",
    status_code=204,
    summary="Take a member out of a segment",
    responses=problems(400, 404, 422),
)
async def exclude(db: Db, caller: Writer, segment_id: SegmentPath, member_id: UUID, reason: Why) -> None:
    """Who is not in it: nothing happens."""
    async with db.begin() as tx:
        await handlers.exclude(
            tx,
            community_id=caller.community_id,
            segment_id=segment_id,
            member_id=member_id,
            reason=reason,
            actor=caller.actor,
        )


@router.get(
    "/v1/segments/{segment_id}/changes",
    summary="Who came into a segment and went out of it, newest first",
    responses={**problems(400, 404, 422), **shown(200, {"items": [CHANGE], "next": None, "prev": None})},
)
async def list_changes(
    db: Db,
    caller: Reader,
    segment_id: SegmentPath,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="Of this member only.")] = None,
) -> Page[ChangeOut]:
    """Of a segment that was deleted too, and of all that ever had this id; empty for an id there never was."""
    place = seek(paging, int)
    async with db.read() as tx:
        found = await store.page_of_changes(
            tx,
            community_id=caller.community_id,
            segment_id=segment_id,
            member_id=member,
            limit=paging.limit,
            seek=place,
        )
    items = [ChangeOut(**{n: getattr(row, n) for n in ChangeOut.model_fields}) for row in found.rows]
    return page_of(items, found, "seq")
