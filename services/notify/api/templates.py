"""`/v1/templates`: what messages say. Versions never change; the newest is in force."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from kit.database import Tx
from kit.errors import NotFound
from kit.http import problems
from kit.idempotency import Reply, once
from services.notify.api.common import Db, Json, Locale, Reader, TemplateName, Text, Writer
from services.notify.handlers import templates as handlers

router = APIRouter(tags=["notify: templates"])

Name = Annotated[Text, Path(max_length=60)]


class TextIn(BaseModel):
    """Jinja in a sandbox; variables are those declared, and `locale`."""

    model_config = ConfigDict(extra="forbid")

    title: Text = Field(min_length=1, max_length=500)
    body: Text = Field(min_length=1, max_length=4000)


class TemplateIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "category": "general",
                "variables": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
                "texts": {"en": {"title": "Hello {{ name }}", "body": "Good to see you, {{ name }}."}},
            }
        },
    )

    category: str = Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")
    variables: Json = Field(description="JSON Schema of the variables.")
    texts: dict[Locale, TextIn] = Field(min_length=1, max_length=30)


class TextOut(BaseModel):
    title: str
    body: str


class TemplateOut(BaseModel):
    name: str
    version: int
    category: str
    variables: dict[str, Any]
    texts: dict[str, TextOut]
    actor: str
    created_at: datetime


class TemplatesOut(BaseModel):
    items: list[TemplateOut]


def _out(row: Any) -> TemplateOut:
    values = row if isinstance(row, dict) else row._mapping
    return TemplateOut(**{name: values[name] for name in TemplateOut.model_fields})


@router.get("/v1/templates", summary="The templates in force", responses=problems())
async def list_templates(db: Db, caller: Reader) -> TemplatesOut:
    async with db.read() as tx:
        return TemplatesOut(items=[_out(row) for row in await handlers.all_of(tx, caller.community_id)])


@router.get("/v1/templates/{name}", summary="One template", responses=problems(404, 422))
async def get_template(db: Db, caller: Reader, name: Name) -> TemplateOut:
    async with db.read() as tx:
        return _out((await handlers.existing(tx, caller.community_id, name))[0])


@router.post("/v1/templates/{name}", summary="Publish a version", status_code=201, responses=problems(400, 409, 422))
async def publish(request: Request, db: Db, caller: Writer, name: TemplateName, body: TemplateIn) -> TemplateOut:
    async def effect(tx: Tx) -> Reply:
        row = await handlers.publish(
            tx,
            community_id=caller.community_id,
            name=name,
            category=body.category,
            variables=body.variables,
            texts={locale: text.model_dump() for locale, text in body.texts.items()},
            actor=caller.actor,
        )
        return Reply(201, _out(row))

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/templates/{name}/versions", summary="Every version, newest first", responses=problems(404, 422))
async def list_versions(db: Db, caller: Reader, name: Name) -> TemplatesOut:
    async with db.read() as tx:
        return TemplatesOut(items=[_out(row) for row in await handlers.existing(tx, caller.community_id, name)])


@router.get("/v1/templates/{name}/versions/{version}", summary="One version", responses=problems(404, 422))
async def get_version(db: Db, caller: Reader, name: Name, version: int) -> TemplateOut:
    async with db.read() as tx:
        for row in await handlers.existing(tx, caller.community_id, name):
            found = _out(row)
            if found.version == version:
                return found
    raise NotFound("no such version; see GET /v1/templates/{name}/versions", code="version_unknown")
