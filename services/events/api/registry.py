"""Event types and imports: what kinds of activity there are, what histories were posted."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from kit.errors import BadRequest, FieldError, NotFound, Unprocessable
from kit.http import Page, PageOf, Paging, encode_cursor, problems
from kit.idempotency import Reply, once
from services.events.api.common import Db, Reader, Text, Writer
from services.events.canonical import CANONICAL
from services.events.handlers import types as handlers
from services.events.store import keeping
from services.events.store import registry as store

router = APIRouter(tags=["event types"])


class TypeOut(BaseModel):
    """`problems` counts stored events whose data is not what the schema says; `mode` what is done with those."""

    type: str
    canonical: bool
    has_schema: bool
    mode: str
    seen: int
    problems: int
    last_at: datetime | None


class SchemaOut(BaseModel):
    type: str
    version: int
    mode: str
    json_schema: dict[str, Any]


Mode = Annotated[
    Literal["observe", "warn", "enforce"],
    Field(description="`observe` notes what does not fit, `warn` tells the sender as well, `enforce` refuses it."),
]


class ModeIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"mode": "warn"}})

    mode: Mode


class ModeOut(BaseModel):
    type: str
    mode: str


class TypeIn(BaseModel):
    """A type of the community's own, with the schema of its `data`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"type": "book.finished", "json_schema": {"properties": {"pages": {"type": "integer"}}}}
        },
    )

    type: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$")
    json_schema: dict[str, Any]
    mode: Mode | None = Field(None, description="From now on; left out: as it was, at first `observe`.")


class ImportOut(BaseModel):
    """`stored` counts each event once, however often it was posted."""

    name: str
    stored: int
    rejected: int
    last_at: datetime


class ImportProblem(BaseModel):
    id: str | None
    code: str
    pointer: str
    message: str
    at: datetime


class ImportDetail(ImportOut):
    problems: dict[str, int] = Field(description="Rejected items by code.")
    examples: list[ImportProblem] = Field(description="The first fifty of them.")


@router.get("/v1/event-types", summary="Canonical, published and merely seen types", responses=problems(400, 422))
async def list_types(db: Db, caller: Reader, paging: PageOf) -> Page[TypeOut]:
    async with db.read() as tx:
        names = await store.type_names(
            tx,
            community_id=caller.community_id,
            besides=CANONICAL,
            limit=paging.limit + 1,
            after=_after(paging) or "",
        )
        more, names = len(names) > paging.limit, names[: paging.limit]
        pairs = [(caller.community_id, name) for name in names]
        seen = {row.type: row for row in await store.seen_types(tx, types=pairs)}
        own = {row.type for row in await store.own_schemas(tx, types=pairs)}
        modes = await keeping.modes(tx, community_id=caller.community_id)
    items = [
        TypeOut(
            type=name,
            canonical=name in CANONICAL,
            has_schema=name in CANONICAL or name in own,
            mode=modes.get(name, handlers.MODES[0]),
            seen=seen[name].count if name in seen else 0,
            problems=seen[name].problems if name in seen else 0,
            last_at=seen[name].last_at if name in seen else None,
        )
        for name in names
    ]
    return Page[TypeOut](items=items, next=encode_cursor([names[-1]]) if more else None, prev=None)


def _after(paging: Paging) -> str | None:
    """The name a page begins behind."""
    match paging.cursor:
        case None:
            return None
        case [str(name)] if "\0" not in name:
            return name
    raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid")


@router.get("/v1/event-types/{type}", summary="The schema of a type", responses=problems(404, 422))
async def get_type(db: Db, caller: Reader, type: Text) -> SchemaOut:
    async with db.read() as tx:
        version, schema = await handlers.schema_of(tx, community_id=caller.community_id, name=type)
        mode = await handlers.mode_of(tx, community_id=caller.community_id, name=type)
    return SchemaOut(type=type, version=version, mode=mode, json_schema=schema)


@router.put(
    "/v1/event-types/{type}/mode", summary="What is done with data that does not fit", responses=problems(404, 422)
)
async def put_mode(db: Db, caller: Writer, type: Text, body: ModeIn) -> ModeOut:
    """Of a canonical type or one with a schema of the community's own. The door follows within two seconds."""
    async with db.begin() as tx:
        await handlers.set_mode(tx, community_id=caller.community_id, name=type, mode=body.mode, by=caller.actor)
    return ModeOut(type=type, mode=body.mode)


@router.post(
    "/v1/event-types", summary="Publish a type of your own", status_code=201, responses=problems(400, 409, 422)
)
async def publish_type(request: Request, db: Db, caller: Writer, body: TypeIn) -> SchemaOut:
    """A later version must take what earlier ones took (409 names what does not)."""
    if body.type.startswith("guildhall."):
        wrong = FieldError("/type", "type_reserved", "types under guildhall. are ours; choose another name")
        raise Unprocessable("this name is reserved", code="type_reserved", errors=[wrong])

    async def effect(tx: Any) -> Reply:
        version = await handlers.publish_type(
            tx, community_id=caller.community_id, name=body.type, schema=body.json_schema
        )
        if body.mode is not None:
            await handlers.set_mode(
                tx, community_id=caller.community_id, name=body.type, mode=body.mode, by=caller.actor
            )
        mode = await handlers.mode_of(tx, community_id=caller.community_id, name=body.type)
        return Reply(201, SchemaOut(type=body.type, version=version, mode=mode, json_schema=body.json_schema))

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/imports", summary="Histories posted, by name", responses=problems(400, 422), tags=["imports"])
async def list_imports(db: Db, caller: Reader, paging: PageOf) -> Page[ImportOut]:
    async with db.read() as tx:
        rows = await store.imports(tx, community_id=caller.community_id, limit=paging.limit + 1, after=_after(paging))
    items = [_import(row) for row in rows[: paging.limit]]
    following = encode_cursor([items[-1].name]) if len(rows) > paging.limit else None
    return Page[ImportOut](items=items, next=following, prev=None)


def _import(row: Any) -> ImportOut:
    return ImportOut(name=row.name, stored=row.stored, rejected=row.rejected, last_at=row.last_at)


@router.get(
    "/v1/imports/{name}", summary="Counts and problems of an import", responses=problems(404, 422), tags=["imports"]
)
async def get_import(db: Db, caller: Reader, name: Text) -> ImportDetail:
    """Counts follow acceptance by a moment: they are what is stored."""
    async with db.read() as tx:
        row = await store.one_import(tx, community_id=caller.community_id, name=name)
        if row is None:
            raise NotFound("nothing was stored under this import yet", code="import_unknown")
        counts = await store.problem_counts(tx, community_id=caller.community_id, name=name)
        rows = await store.problems(tx, community_id=caller.community_id, name=name, limit=50, after=None)
    examples = [ImportProblem(id=r.source_id, code=r.code, pointer=r.pointer, message=r.message, at=r.at) for r in rows]
    return ImportDetail(**_import(row).model_dump(), problems=counts, examples=examples)
