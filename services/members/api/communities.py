"""`/v1/communities`: the charter, zone and day of a community."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit import copies
from kit.days import zone_named
from kit.errors import Forbidden, NotFound
from kit.http import Page, PageOf, check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.members.api.common import CommunityWriter, Db, Reader
from services.members.domain import day_start_minutes, day_start_text
from services.members.handlers import places

router = APIRouter(tags=["communities"])


def _zone(name: str) -> str:
    zone_named(name)
    return name


def _day_start(text: str) -> str:
    day_start_minutes(text)
    return text


Zone = Annotated[str, Field(max_length=64, description="IANA zone."), AfterValidator(_zone)]
DayStart = Annotated[str, Field(max_length=5, description="When the day begins, HH:MM."), AfterValidator(_day_start)]
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="BCP 47.")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Prose = Annotated[str, Field(max_length=4000)]

EXAMPLE: dict[str, JsonValue] = {
    "name": "Night Readers",
    "zone": "Asia/Shanghai",
    "day_start": "04:00",
    "locale": "zh-CN",
    "purpose": "Read.",
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


class CommunityOut(BaseModel):
    id: UUID
    version: int
    name: str
    zone: str
    day_start: str
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
    return CommunityOut(**fields, **charter, **times, day_start=day_start_text(row.day_start))


@router.get("/v1/communities", summary="The communities of this credential", responses=problems(400, 422))
async def list_communities(db: Db, caller: Reader, paging: PageOf) -> Page[CommunityOut]:
    """The one the credential is for, or that `Guildhall-Community` names; an operator of all sees all."""
    async with db.read() as tx:
        ids = [caller.community_id]
        if caller.kind == "operator":
            ids = [i for i in await copies.all_known_communities(tx) if await _may_see(tx, caller, i)]
        rows = [await places.existing_community(tx, i) for i in ids]
    return Page[CommunityOut](items=[_out(row) for row in rows][: paging.limit], next=None, prev=None)


async def _may_see(tx: Any, caller: Any, community_id: UUID) -> bool:
    operator = await places.operator_communities(tx, caller.id)
    return not operator or str(community_id) in operator


@router.post("/v1/communities", summary="Found a community", status_code=201, responses=problems(400, 409, 422))
async def create_community(request: Request, db: Db, caller: CommunityWriter, body: CommunityIn) -> CommunityOut:
    """Only an operator founds one: a key belongs to its community."""
    if caller.kind != "operator":
        raise Forbidden("only an operator founds a community: sign in", code="operator_required")

    async def effect(tx: Any) -> Reply:
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

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/communities/{id}", summary="One community", responses=problems(404, 422))
async def get_community(db: Db, caller: Reader, id: UUID, response: Response) -> CommunityOut:
    async with db.read() as tx:
        row = await _own(tx, caller, id)
    response.headers["ETag"] = etag(row.version)
    return _out(row)


async def _own(tx: Any, caller: Any, id: UUID, *, lock: bool = False) -> Any:
    if id != caller.community_id:
        raise NotFound("no such community", code="community_unknown")
    return await places.existing_community(tx, id, lock=lock)


@router.patch("/v1/communities/{id}", summary="Change a community", responses=problems(400, 404, 412, 422))
async def change_community(
    request: Request, db: Db, caller: CommunityWriter, id: UUID, body: CommunityPatch, response: Response
) -> CommunityOut:
    """A new zone or day start counts from the change on; days that were counted stay as they were."""
    changes = body.model_dump(exclude_none=True)
    if "day_start" in changes:
        changes["day_start"] = day_start_minutes(changes["day_start"])
    async with db.begin() as tx:
        row = await _own(tx, caller, id, lock=True)
        check_if_match(request, row.version)
        row = await places.change_community(tx, row, changes)
    response.headers["ETag"] = etag(row.version)
    return _out(row)
