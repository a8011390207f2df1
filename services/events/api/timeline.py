"""Reading what happened: the timeline, one activity and what became of it, the live tail."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from kit import copies
from kit.auth import may_still
from kit.contracts import activity_event_id
from kit.database import Tx
from kit.errors import BadRequest, NotFound
from kit.http import Instant, Page, PageOf, encode_cursor, problems, sse
from kit.http.sse import Item
from kit.service import ServiceRuntime
from services.events.api.common import Db, One, Reader, Text
from services.events.handlers.storing import STREAM
from services.events.handlers.tracing import ADJUSTED, BOARD, LEVEL, MESSAGE, SCORED
from services.events.store import activities as store
from services.events.store.activities import Filter, Place

router = APIRouter(tags=["events"])

TAIL_STEP = 200
LOOK_SECONDS = 1.0


class ActivityOut(BaseModel):
    """`event_id` is ours; `source` and `id` are the sender's. `flags` may hold late, clamped, stale,
    throttled."""

    event_id: UUID
    source: str
    id: str
    type: str
    subject: str | None
    actor: str | None
    actor_id: UUID | None = Field(description="The member, links followed.")
    author: str | None
    author_id: UUID | None
    group: str | None
    occurred_at: datetime
    received_at: datetime
    effective_at: datetime
    import_name: str | None
    replay_id: str | None
    connection_id: UUID | None = Field(description="The connection it came through; null for what was posted.")
    flags: list[str]
    problem: str | None = Field(description="Where the data is not what its type's schema says.")
    data: dict[str, Any]


class Step(BaseModel):
    """A consequence: `kind` is scored, level, board, adjusted or message; `body` the event that told of it."""

    kind: str
    at: datetime
    body: dict[str, Any]


class TraceOut(BaseModel):
    """Everything that became of an activity, as far as it has become known here (a second or so)."""

    stored: ActivityOut
    decisions: list[dict[str, Any]]
    entries: list[dict[str, Any]] = Field(description="Decisions that paid, then what was taken back of them.")
    levels: list[dict[str, Any]] = Field(description="Levels that were reached by it.")
    boards: list[dict[str, Any]] = Field(description="Periods of boards that somebody came to lead by it.")
    messages: list[dict[str, Any]] = Field(description="Every state a message about it came into.")
    steps: list[Step]


_SAME = [name for name in ActivityOut.model_fields if name not in ("id", "group", "actor_id", "author_id")]


async def activities_out(tx: Tx, rows: Sequence[Any]) -> list[ActivityOut]:
    """Rows as shown: people under their member's id, links followed."""
    people = [(row.community_id, id) for row in rows for id in (row.actor_id, row.author_id) if id is not None]
    members = await copies.resolve_members(tx, people)
    return [
        ActivityOut(
            **{name: getattr(row, name) for name in _SAME},
            id=row.source_id,
            group=row.group_ref,
            actor_id=members.get((row.community_id, row.actor_id)),
            author_id=members.get((row.community_id, row.author_id)),
        )
        for row in rows
    ]


def _position(cursor: list[Any] | None) -> Place | None:
    """Where a page lies; BadRequest for what is no cursor of this list."""
    if cursor is None:
        return None
    try:
        direction, text, id = cursor
        at = datetime.fromisoformat(text)
        if direction not in ("next", "prev") or at.tzinfo is None or not 1970 <= at.year < 9000:
            raise ValueError("not a place on a timeline")
        return Place(at.astimezone(UTC), UUID(id), direction == "prev")
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid") from error


@router.get("/v1/events", summary="The timeline, newest first", responses=problems(400, 422))
async def timeline(
    db: Db,
    caller: Reader,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="Who did it.")] = None,
    type: Annotated[Text | None, Query(max_length=200)] = None,
    group: Annotated[Text | None, Query(max_length=300)] = None,
    connection: Annotated[UUID | None, Query(description="What came through this connection.")] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Effective at or after.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Effective before.")] = None,
) -> Page[ActivityOut]:
    place = _position(paging.cursor)
    async with db.read() as tx:
        ids = await store.ids_of(tx, community_id=caller.community_id, member_id=member) if member else ()
        rows = await store.page(
            tx,
            community_id=caller.community_id,
            chosen=Filter(ids, type, group, connection, since, until),
            limit=paging.limit + 1,
            place=place,
        )
        more = len(rows) > paging.limit
        items = await activities_out(tx, rows[: paging.limit])
    backwards = place is not None and place.backwards
    if backwards:
        items.reverse()
    newer, older = (more, True) if backwards else (place is not None, more)
    return Page[ActivityOut](
        items=items,
        next=_cursor_at("next", items[-1]) if items and older else None,
        prev=_cursor_at("prev", items[0]) if items and newer else None,
    )


def _cursor_at(direction: str, item: ActivityOut) -> str:
    return encode_cursor([direction, item.effective_at.isoformat(), str(item.event_id)])


@router.get("/v1/events/by-key", summary="The one activity of a source and id", responses=problems(400, 404, 422))
async def by_key(
    db: Db, caller: Reader, source: Annotated[str, Query(max_length=1024)], id: Annotated[str, Query(max_length=512)]
) -> ActivityOut:
    return await _one(db, caller.community_id, activity_event_id(caller.community_id, source, id))


async def _one(db: Any, community_id: UUID, event_id: UUID) -> ActivityOut:
    async with db.read() as tx:
        row = await store.one(tx, community_id=community_id, event_id=event_id)
        found = await activities_out(tx, [row] if row is not None else [])
    if not found:
        raise NotFound("no such event here (yet: storing follows acceptance by a moment)", code="event_unknown")
    return found[0]


@router.get(
    "/v1/events/stream",
    summary="The live tail (server-sent events)",
    response_class=StreamingResponse,
    responses={**problems(400), 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    request: Request,
    one: One,
    caller: Reader,
    connection: Annotated[UUID | None, Query(description="Only what came through this connection.")] = None,
) -> StreamingResponse:
    """`activity` when one was stored, `scored` with the decisions on it. `Last-Event-ID` resumes without a gap.

    With `connection` a decision that became known before its activity was stored is not shown; the trace has it.
    """
    cursor = _cursor(request.headers.get("last-event-id", ""))
    if cursor is None:
        # Before the answer begins: who has seen its first byte misses nothing that is stored from then on.
        async with one.db.read() as tx:
            cursor = {name: await store.tails(tx, stream=name) for name in (STREAM, SCORED)}
    return sse(_tail(one, request, caller.community_id, connection, cursor), one.stopping)


_PLACE = re.compile(r"^([as])(\d{1,6}):(\d{1,18})$", re.ASCII)
_STREAMS = {"a": STREAM, "s": SCORED}


def _cursor(text: str) -> dict[str, dict[int, int]] | None:
    """`a0:17,s0:4`: next offsets per stream and partition. BadRequest for anything else."""
    if not text:
        return None
    out: dict[str, dict[int, int]] = {STREAM: {}, SCORED: {}}
    for part in text.split(","):
        match = _PLACE.match(part)
        if match is None:
            raise BadRequest("this Last-Event-ID is not one of ours", code="cursor_invalid")
        out[_STREAMS[match[1]]][int(match[2])] = int(match[3])
    return out


def _text(cursor: Mapping[str, Mapping[int, int]]) -> str:
    places = [f"{name[0]}{p}:{n}" for name in (STREAM, SCORED) for p, n in sorted(cursor[name].items())]
    return ",".join(places)


async def _tail(
    one: ServiceRuntime,
    request: Request,
    community_id: UUID,
    connection_id: UUID | None,
    cursor: dict[str, dict[int, int]],
) -> AsyncGenerator[Item, None]:
    while await may_still(one, request, "events:read"):
        async with one.db.read() as tx:
            ends = {name: await store.tails(tx, stream=name) for name in (STREAM, SCORED)}
            for name in (STREAM, SCORED):
                # A place beyond the end is one on a log that this one took the place of.
                cursor[name] = {p: at for p, at in cursor[name].items() if at <= ends[name].get(p, 0)}
                # A partition that came into use since begins at its first record.
                for partition in ends[name]:
                    cursor[name].setdefault(partition, 0)
            stored = await store.tail_of_activities(
                tx, community_id=community_id, connection_id=connection_id, cursor=cursor[STREAM], limit=TAIL_STEP
            )
            scored = await store.tail_of_consequences(
                tx,
                community_id=community_id,
                connection_id=connection_id,
                kind=SCORED,
                cursor=cursor[SCORED],
                limit=TAIL_STEP,
            )
            shown = await activities_out(tx, stored)
        for row, item in zip(stored, shown, strict=True):
            cursor[STREAM][row.log_partition] = row.log_offset + 1
            yield _text(cursor), "activity", item.model_dump(mode="json")
        for row in scored:
            cursor[SCORED][row.log_partition] = row.log_offset + 1
            yield _text(cursor), "scored", row.body
        if len(stored) < TAIL_STEP and len(scored) < TAIL_STEP:
            # Nothing of ours is left before the ends: without this a quiet community would look through
            # everything the others did since its last event, every second.
            for name in (STREAM, SCORED):
                for partition, following in ends[name].items():
                    cursor[name][partition] = max(cursor[name][partition], following)
            await one.wake.wait(LOOK_SECONDS)


@router.get("/v1/events/{id}", summary="One activity", responses=problems(404, 422))
async def get_activity(db: Db, caller: Reader, id: UUID) -> ActivityOut:
    return await _one(db, caller.community_id, id)


@router.get("/v1/events/{id}/trace", summary="What became of an activity", responses=problems(404, 422))
async def trace(db: Db, caller: Reader, id: UUID) -> TraceOut:
    stored = await _one(db, caller.community_id, id)
    async with db.read() as tx:
        rows = await store.consequences_of(tx, community_id=caller.community_id, event_id=id)
    told: dict[str, list[dict[str, Any]]] = {kind: [] for kind in (SCORED, LEVEL, BOARD, ADJUSTED, MESSAGE)}
    for row in rows:
        told[row.kind].append(row.body)
    decisions = [d for body in told[SCORED] for d in body["decisions"]]
    return TraceOut(
        stored=stored,
        decisions=decisions,
        entries=[d for d in decisions if d.get("transaction_id")] + told[ADJUSTED],
        levels=told[LEVEL],
        boards=told[BOARD],
        messages=told[MESSAGE],
        steps=[Step(kind=row.kind, at=row.at, body=row.body) for row in rows],
    )
