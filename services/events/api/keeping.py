"""What a community keeps, and how long: its wishes, the texts it keeps, the figures that stay."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kit.auth import Principal, requires
from kit.errors import BadRequest, FieldError, Forbidden, Unprocessable
from kit.http import Page, PageOf, behind, encode_cursor, problems
from services.events.api.common import SERVICE, Db, One, Reader, Text
from services.events.handlers import texts as handlers
from services.events.store import keeping as store
from services.events.store import retention
from services.events.store.retention import Figures

router = APIRouter(tags=["events: what is kept"])
logger = structlog.get_logger(__name__)

Owner = Annotated[Principal, Depends(requires(SERVICE, "communities:write"))]
TextReader = Annotated[Principal, Depends(requires(SERVICE, "events:text"))]
EraserOrMember = Annotated[Principal, Depends(requires(SERVICE, "members:write", member=True))]
LEAST_ACTIVITY_DAYS = 30


class WishesIn(BaseModel):
    """All of them: what is left out is as if nothing was ever said."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"keep_text_days": 30, "activity_days": 400}}
    )

    keep_text_days: int = Field(0, ge=0, le=365, description="How long what people write is kept; 0: not at all.")
    activity_days: int | None = Field(
        None, ge=0, le=36_500, description="How long activities are kept, 30 at least; 0: for ever; null: as set up."
    )


class WishesOut(BaseModel):
    """`activity_days_in_force`: what holds where `activity_days` is null; 0 is for ever. `raw_days`: how long the log
    keeps what was posted, the same for the whole installation. Daily figures are kept for ever."""

    keep_text_days: int
    activity_days: int | None
    activity_days_in_force: int
    raw_days: int
    changed_at: datetime | None
    changed_by: str | None


class TextOut(BaseModel):
    """`until`: when it goes, as the community's wishes are now."""

    event_id: UUID
    text: str
    until: datetime


class ReadingOut(BaseModel):
    """That somebody read a text; never the text. `actor_id`: whose it was, links not followed."""

    id: UUID
    event_id: UUID
    actor_id: UUID
    at: datetime
    by: str


class ErasedOut(BaseModel):
    """What there was to destroy; 0 when it was destroyed before."""

    keys: int
    texts: int


class DailyOut(BaseModel):
    """`group` is null for what happened in none."""

    day: date
    type: str
    group: str | None
    count: int


def _shown(one: Any, row: Any | None) -> WishesOut:
    days = row.activity_days if row is not None else None
    return WishesOut(
        keep_text_days=row.keep_text_days if row is not None else 0,
        activity_days=days,
        activity_days_in_force=one.settings.activity_days if days is None else days,
        raw_days=one.settings.log_retention_days,
        changed_at=row.changed_at if row is not None else None,
        changed_by=row.changed_by if row is not None else None,
    )


@router.get("/v1/events/settings", summary="What is kept how long", responses=problems(400))
async def get_settings(db: Db, one: One, caller: Reader) -> WishesOut:
    async with db.read() as tx:
        found = await store.wishes(tx, community_ids=[caller.community_id])
    return _shown(one, found.get(caller.community_id))


@router.put("/v1/events/settings", summary="Say what is to be kept how long", responses=problems(400, 422))
async def put_settings(db: Db, one: One, caller: Owner, body: WishesIn) -> WishesOut:
    """The door follows within two seconds. Keeping texts no longer (0) forgets those that are kept, and their keys."""
    if body.activity_days and body.activity_days < LEAST_ACTIVITY_DAYS:
        wrong = FieldError("/activity_days", "too_few_days", f"0, or at least {LEAST_ACTIVITY_DAYS}")
        message = f"activities are kept {LEAST_ACTIVITY_DAYS} days at least, or for ever (0)"
        raise Unprocessable(message, code="validation_failed", errors=[wrong])
    async with db.begin() as tx:
        said = {"changed_at": tx.now, "changed_by": caller.actor}
        await store.wish(tx, row={"community_id": caller.community_id, **body.model_dump(), **said})
        found = await store.wishes(tx, community_ids=[caller.community_id])
    logger.info("wishes.changed", community=str(caller.community_id), by=caller.actor, **body.model_dump())
    return _shown(one, found.get(caller.community_id))


@router.get("/v1/events/text-readings", summary="Who read texts, the latest first", responses=problems(400, 422))
async def list_readings(db: Db, caller: TextReader, paging: PageOf) -> Page[ReadingOut]:
    async with db.read() as tx:
        rows = await store.readings(tx, community_id=caller.community_id, before=behind(paging), limit=paging.limit + 1)
    items = [ReadingOut.model_validate(row, from_attributes=True) for row in rows[: paging.limit]]
    following = encode_cursor([str(items[-1].id)]) if len(rows) > paging.limit else None
    return Page[ReadingOut](items=items, next=following, prev=None)


@router.get("/v1/events/{id}/text", summary="What was written, where it is kept", responses=problems(400, 404, 422))
async def get_text(db: Db, one: One, caller: TextReader, id: UUID) -> TextOut:
    """That it was read is written down, with who read it."""
    async with db.begin() as tx:
        text, until = await handlers.read_text(tx, one, community_id=caller.community_id, event_id=id, by=caller.actor)
    return TextOut(event_id=id, text=text, until=until)


@router.delete(
    "/v1/events/members/{member_id}/text",
    summary="Destroy the key of a member's texts",
    responses=problems(400, 403, 422),
)
async def erase_texts(db: Db, one: One, caller: EraserOrMember, member_id: UUID) -> ErasedOut:
    """Under all identities of the member. What lies encrypted anywhere else, on the log too, nobody can read any more.
    Again it does nothing more."""
    if caller.member_id is not None and caller.member_id != member_id:
        raise Forbidden("a member may only do this for itself", code="not_yours")
    async with db.begin() as tx:
        keys, texts = await handlers.erase_texts(tx, one, community_id=caller.community_id, member_id=member_id)
    return ErasedOut(keys=keys, texts=texts)


@router.get("/v1/events/daily", summary="How much happened, day by day", responses=problems(400, 422))
async def list_daily(
    db: Db,
    caller: Reader,
    paging: PageOf,
    since: Annotated[date | None, Query(alias="from", description="The first day.")] = None,
    until: Annotated[date | None, Query(alias="to", description="The last day.")] = None,
    type: Annotated[Text | None, Query(max_length=200)] = None,
    group: Annotated[Text | None, Query(max_length=300, description="Empty: what happened in none.")] = None,
) -> Page[DailyOut]:
    """The community's days; they stay when the activities themselves are over their time."""
    chosen, after = Figures(type, group, since, until), _figure(paging.cursor)
    async with db.read() as tx:
        rows = await retention.page(
            tx, community_id=caller.community_id, chosen=chosen, after=after, limit=paging.limit + 1
        )
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    items = [DailyOut(day=r.day, type=r.type, group=r.group_ref or None, count=r.number) for r in rows]
    last = rows[-1] if more else None
    following = encode_cursor([last.day.isoformat(), last.type, last.group_ref]) if last is not None else None
    return Page[DailyOut](items=items, next=following, prev=None)


def _figure(cursor: list[Any] | None) -> tuple[date, str, str] | None:
    try:
        match cursor:
            case None:
                return None
            case [str(day), str(type), str(group)] if "\0" not in type + group:
                return date.fromisoformat(day), type, group
    except ValueError:
        pass
    raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid")
