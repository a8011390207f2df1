"""`/v1/communities`: the charter, zone and day of a community."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.responses import Response

from kit.auth import COOKIE, ROLES, Principal, check_scopes
from kit.auth import caller as caller_of
from kit.database import Tx
from kit.errors import Forbidden, NotFound
from kit.http import Page, PageOf, check_if_match, etag, problems
from kit.idempotency import Reply, once
from kit.service import ServiceRuntime
from services.members.api.common import (
    SOME_ID,
    SOME_TIME,
    CommunityWriter,
    DayStart,
    Db,
    Locale,
    Name,
    One,
    Prose,
    Reader,
    Zone,
    shown,
)
from services.members.api.paging import page_of, seek
from services.members.domain import day_start_minutes, day_start_text
from services.members.handlers import places, sessions
from services.members.store import places as store

router = APIRouter(tags=["communities"])

EXAMPLE: dict[str, JsonValue] = {
    "name": "Night Readers",
    "zone": "Asia/Shanghai",
    "day_start": "04:00",
    "locale": "zh-CN",
    "purpose": "Read.",
    "audience": "Who reads at night.",
    "gives": "A page of notes a week.",
    "gets": "Company.",
}
SHOWN: dict[str, JsonValue] = {
    **EXAMPLE,
    "id": SOME_ID,
    "version": 1,
    "next_day": None,
    "state": "active",
    "created_at": SOME_TIME,
    "changed_at": SOME_TIME,
}


class CommunityIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": dict(EXAMPLE)})

    name: Name
    zone: Zone = "UTC"
    day_start: DayStart = "00:00"
    locale: Locale = "en"
    purpose: Prose = ""
    audience: Prose = ""
    gives: Prose = ""
    gets: Prose = ""


class CommunityPatch(BaseModel):
    """Only what is sent changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"day_start": "04:00"}})

    name: Name | None = None
    zone: Zone | None = None
    day_start: DayStart | None = None
    locale: Locale | None = None
    purpose: Prose | None = None
    audience: Prose | None = None
    gives: Prose | None = None
    gets: Prose | None = None


class NextDay(BaseModel):
    """What will hold from the beginning of the community's next day."""

    zone: str
    day_start: str
    begins: datetime


class CommunityOut(BaseModel):
    """`next_day` is null unless a change of zone or day start is on its way."""

    id: UUID
    version: int
    name: str
    zone: str
    day_start: str
    next_day: NextDay | None
    locale: str
    state: str
    purpose: str
    audience: str
    gives: str
    gets: str
    created_at: datetime
    changed_at: datetime


def _out(row: Any) -> CommunityOut:
    fields = {name: getattr(row, name) for name in ("id", "version", "name", "zone", "locale", "state")}
    charter = {name: row.charter.get(name, "") for name in places.CHARTER_FIELDS}
    times = {"created_at": row.created_at, "changed_at": row.changed_at}
    following = None
    if row.next_from is not None:
        following = NextDay(zone=row.next_zone, day_start=day_start_text(row.next_day_start), begins=row.next_from)
    return CommunityOut(**fields, **charter, **times, day_start=day_start_text(row.day_start), next_day=following)


async def _session(tx: Tx, request: Request) -> Any:
    return await sessions.session_of(tx, secret=request.cookies.get(COOKIE, ""))


async def _reach(one: ServiceRuntime, request: Request) -> list[UUID]:
    """The communities a credential sees; empty means all.

    An operator of several need not name one to learn which there are.
    """
    if request.headers.get("authorization") or COOKIE not in request.cookies:
        principal = await caller_of(one, request)
        check_scopes(principal, ("members:read",))
        return [principal.community_id]
    async with one.db.read() as tx:
        session = await _session(tx, request)
    if "members:read" not in ROLES.get(session.role, ()):
        raise Forbidden("this role does not read members", code="scope_missing", scope="members:read")
    return [UUID(c) for c in session.communities]


@router.get(
    "/v1/communities",
    summary="The communities of this credential, oldest first",
    responses={**problems(400, 404, 422), **shown(200, {"items": [SHOWN], "next": None, "prev": None})},
)
async def list_communities(request: Request, one: One, paging: PageOf) -> Page[CommunityOut]:
    """The one the credential is for (or that `Guildhall-Community` names); an operator sees all of theirs."""
    place = seek(paging, datetime, UUID)
    ids = await _reach(one, request)
    async with one.db.read() as tx:
        found = await store.page_of_communities(tx, ids=ids, limit=paging.limit, seek=place)
    return page_of([_out(row) for row in found.rows], found, "created_at", "id")


@router.post(
    "/v1/communities",
    summary="Found a community",
    status_code=201,
    response_model=CommunityOut,
    responses={**problems(400, 404, 409, 422), **shown(201, SHOWN)},
)
async def create_community(request: Request, db: Db, caller: CommunityWriter, body: CommunityIn) -> Response:
    """Only an operator of the whole installation founds one: keys and other operators belong to theirs."""

    async def effect(tx: Tx) -> Reply:
        if caller.kind != "operator" or (await _session(tx, request)).communities:
            raise Forbidden("only an operator of all communities founds one: sign in", code="operator_required")
        charter = {name: getattr(body, name) for name in places.CHARTER_FIELDS}
        row = await places.create_community(
            tx,
            name=body.name,
            zone=body.zone,
            day_start=day_start_minutes(body.day_start),
            locale=body.locale,
            charter=charter,
        )
        return Reply(201, _out(row), {"ETag": etag(row.version), "Location": f"/v1/communities/{row.id}"})

    return await once(request, db, caller, effect)


def _own(principal: Principal, id: UUID) -> UUID:
    if id != principal.community_id:
        raise NotFound("no such community", code="community_unknown")
    return id


@router.get("/v1/communities/{id}", summary="One community", responses={**problems(400, 404, 422), **shown(200, SHOWN)})
async def get_community(db: Db, caller: Reader, id: UUID, response: Response) -> CommunityOut:
    async with db.read() as tx:
        row = await places.existing_community(tx, _own(caller, id))
    response.headers["ETag"] = etag(row.version)
    return _out(row)


@router.patch(
    "/v1/communities/{id}",
    summary="Change a community",
    responses={**problems(400, 404, 409, 412, 422), **shown(200, {**SHOWN, "version": 2})},
)
async def change_community(
    request: Request, db: Db, caller: CommunityWriter, id: UUID, body: CommunityPatch, response: Response
) -> CommunityOut:
    """Another zone or day start holds from the community's next day on and stands in `next_day` until then. That may be
    corrected or taken back; once it holds, the next one is refused for seven days (`possible_from` says until when)."""
    changes = body.model_dump(exclude_none=True)
    if "day_start" in changes:
        changes["day_start"] = day_start_minutes(changes["day_start"])
    async with db.begin() as tx:
        row = await places.change_community(
            tx,
            community_id=_own(caller, id),
            changes=changes,
            if_match=lambda version: check_if_match(request, version),
        )
    response.headers["ETag"] = etag(row.version)
    return _out(row)
