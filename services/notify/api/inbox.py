"""`/v1/inbox`: what a member has to read, live; a member token is for one's own, a key names the member."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from kit.auth import may_still
from kit.errors import BadRequest
from kit.http import Page, PageOf, problems, sse
from kit.http.sse import Item
from kit.service import ServiceRuntime
from services.notify.api.common import (
    SOME_ID,
    Db,
    MessageOut,
    One,
    ReaderOrMember,
    WriterOrMember,
    message_out,
    page_out,
    place,
    whose,
)
from services.notify.handlers import reading
from services.notify.store import inboxes
from services.notify.store import messages as store

router = APIRouter(tags=["notify: inbox"])

STREAM_STEP = 100
LOOK_SECONDS = 1.0

Member = Annotated[UUID | None, Query(description="Whose inbox; not needed with a member token.")]
Mark = Literal["seen", "read", "clicked", "acked"]


class Unread(BaseModel):
    unread: int = Field(description="Messages not read yet.")


class ReadAllIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"up_to": SOME_ID}})

    up_to: UUID | None = Field(None, description="The newest message the reader had on the screen; null: all.")


class ReadAllOut(BaseModel):
    read: int = Field(description="How many were unread before.")
    unread: int = Field(description="How many still are.")


@router.get("/v1/inbox", summary="Messages of an inbox, newest first", responses=problems(400, 404, 422))
async def inbox(
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    member: Member = None,
    unread: Annotated[bool, Query(description="Only those not read yet.")] = False,
) -> Page[MessageOut]:
    at = place(paging.cursor, int)
    async with db.read() as tx:
        member_id = await whose(tx, caller, member)
        rows = await store.inbox(
            tx,
            community_id=caller.community_id,
            member_id=member_id,
            unread=unread,
            place=at,
            limit=paging.limit + 1,
        )
    return page_out(rows, paging.limit, at, "position")


@router.get("/v1/inbox/unread", summary="How many are not read yet", responses=problems(400, 404, 422))
async def unread_count(db: Db, caller: ReaderOrMember, member: Member = None) -> Unread:
    async with db.read() as tx:
        member_id = await whose(tx, caller, member)
        found = await inboxes.one(tx, community_id=caller.community_id, member_id=member_id)
    return Unread(unread=found.unread)


@router.post("/v1/inbox/read-all", summary="Mark everything read", responses=problems(400, 404, 422))
async def read_all(db: Db, caller: WriterOrMember, body: ReadAllIn, member: Member = None) -> ReadAllOut:
    """With `up_to` only what is as old or older: a message that came meanwhile stays unread."""
    async with db.begin() as tx:
        member_id = await whose(tx, caller, member)
        read, left = await reading.read_all(tx, community_id=caller.community_id, member_id=member_id, up_to=body.up_to)
    return ReadAllOut(read=read, unread=left)


@router.get(
    "/v1/inbox/stream",
    summary="What comes in, live (server-sent events)",
    response_class=StreamingResponse,
    responses={**problems(400, 404, 422), 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(request: Request, one: One, caller: ReaderOrMember, member: Member = None) -> StreamingResponse:
    """`message` for each that arrives, `unread` with the count whenever it changes. `Last-Event-ID` resumes."""
    after = _last_seen(request.headers.get("last-event-id", ""))
    # Before the answer begins: who has seen its first byte misses nothing that arrives from then on.
    async with one.db.read() as tx:
        member_id = await whose(tx, caller, member)
        found = await inboxes.one(tx, community_id=caller.community_id, member_id=member_id)
    after = found.last if after is None else after
    return sse(_arrivals(one, request, caller.community_id, member_id, after), one.stopping)


def _last_seen(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest("this Last-Event-ID is not one of ours", code="cursor_invalid")
    return int(text)


async def _arrivals(
    one: ServiceRuntime, request: Request, community_id: UUID, member_id: UUID, after: int
) -> AsyncGenerator[Item, None]:
    changes = -1
    while await may_still(one, request, "notify:read", member=True):
        async with one.db.read() as tx:
            found = await inboxes.one(tx, community_id=community_id, member_id=member_id)
            rows = (
                await store.arrived(tx, community_id=community_id, member_id=member_id, after=after, limit=STREAM_STEP)
                if found.last > after
                else []
            )
        for row in rows:
            after = row.position
            yield str(after), "message", message_out(row).model_dump(mode="json")
        if found.changes != changes:
            changes = found.changes
            yield str(after), "unread", {"unread": found.unread}
        if len(rows) < STREAM_STEP:
            await one.wake.wait(LOOK_SECONDS)


@router.post("/v1/inbox/{id}/{mark}", summary="Seen, read, clicked, acknowledged", responses=problems(404, 422))
async def engage(db: Db, caller: WriterOrMember, id: UUID, mark: Mark) -> MessageOut:
    """Each mark is set once, with those it implies (who acknowledges has read), and never taken back."""
    async with db.begin() as tx:
        row = await reading.engage(
            tx, community_id=caller.community_id, member_id=caller.member_id, message_id=id, mark=mark
        )
    return message_out(row)
