"""`/v1/rules`: what gives points. Published versions never change; a new one holds for events from then on."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.errors import GuildhallError
from kit.http import Page, PageOf, check_if_match, encode_cursor, etag, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, Reader, Text, Writer, position
from services.rewards.handlers import rules as handlers
from services.rewards.starter_rules import STARTER
from services.rewards.store import rules as store

router = APIRouter(tags=["rewards: rules"])

EXAMPLE: Any = {
    "note": "longer texts count",
    "rules": [
        {
            "id": "long-message",
            "name": "Long message",
            "on": ["message.created"],
            "when": "has(event.data.length) && event.data.length >= 100",
            "give": [{"to": "actor", "unit": "xp", "amount": 3}],
            "caps": [{"scope": "member", "per": "day", "limit": 15}],
            "cooldown_seconds": 60,
        }
    ],
}


class RulesIn(BaseModel):
    """A whole rule set; `GET /v1/rules/schema` has the form of its parts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})

    rules: list[dict[str, Any]] = Field(max_length=500)
    unit_caps: list[dict[str, Any]] = Field(default=[], max_length=50)
    note: Annotated[Text, Field(max_length=500)] = ""


class RulesOut(BaseModel):
    version: int
    rules: list[dict[str, Any]]
    unit_caps: list[dict[str, Any]]
    actor: str
    note: str
    created_at: datetime


class VersionOut(BaseModel):
    version: int
    actor: str
    note: str
    created_at: datetime


class CheckOut(BaseModel):
    """`errors` carry pointers into the rule set, and line, column and hint for expressions."""

    ok: bool
    errors: list[dict[str, str]]


def _out(row: Any) -> RulesOut:
    return RulesOut(
        version=row.version,
        rules=row.body["rules"],
        unit_caps=row.body["unit_caps"],
        actor=row.actor,
        note=row.note,
        created_at=row.created_at,
    )


@router.get("/v1/rules", summary="The rules in force", responses=problems(404))
async def get_rules(db: Db, caller: Reader, response: Response) -> RulesOut:
    async with db.read() as tx:
        row = await handlers.existing(tx, caller.community_id)
    response.headers["ETag"] = etag(row.version)
    return _out(row)


@router.post("/v1/rules", summary="Publish a version", status_code=201, responses=problems(400, 409, 412, 422))
async def publish(request: Request, db: Db, caller: Writer, body: RulesIn) -> RulesOut:
    """Checked whole before it is taken. With `If-Match` a version published meanwhile answers 412."""
    rules = handlers.parse({"rules": body.rules, "unit_caps": body.unit_caps})

    async def effect(tx: Tx) -> Reply:
        current = (await store.active(tx, community_ids=[caller.community_id])).get(caller.community_id, 0)
        check_if_match(request, current)
        row = await handlers.publish(
            tx, community_id=caller.community_id, rules=rules, actor=caller.actor, note=body.note, expected=current
        )
        return Reply(201, _out(row), {"ETag": etag(row.version)})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.post("/v1/rules/check", summary="Check a rule set without publishing it", responses=problems(400, 422))
async def check(db: Db, caller: Reader, body: RulesIn) -> CheckOut:
    try:
        rules = handlers.parse({"rules": body.rules, "unit_caps": body.unit_caps})
        async with db.read() as tx:
            await handlers.checked(tx, community_id=caller.community_id, rules=rules)
    except GuildhallError as error:
        errors = [{"pointer": e.pointer, "code": e.code, "message": e.message} for e in error.errors]
        return CheckOut(ok=False, errors=errors)
    return CheckOut(ok=True, errors=[])


@router.get("/v1/rules/schema", summary="The JSON Schema of a rule set", responses=problems())
async def get_schema(caller: Reader) -> dict[str, Any]:
    return handlers.schema()


@router.get("/v1/rules/starter", summary="The starter rules", responses=problems())
async def get_starter(caller: Reader) -> dict[str, Any]:
    """What a new community gets, to go back to or to build on."""
    starter: dict[str, Any] = msgspec.to_builtins(STARTER)
    return starter


@router.get("/v1/rules/versions", summary="Published versions, newest first", responses=problems(400, 422))
async def list_versions(db: Db, caller: Reader, paging: PageOf) -> Page[VersionOut]:
    at = position(paging.cursor, int)
    # Beyond what the column can hold there is nothing to compare with.
    before = min(max(at[1][0], 0), 2**31 - 1) if at else None
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, limit=paging.limit + 1, before=before)
    items = [VersionOut(**row._mapping) for row in rows[: paging.limit]]
    following = encode_cursor(["n", items[-1].version]) if len(rows) > paging.limit else None
    return Page[VersionOut](items=items, next=following, prev=None)


@router.get("/v1/rules/versions/{version}", summary="One version", responses=problems(404, 422))
async def get_version(db: Db, caller: Reader, version: int) -> RulesOut:
    if not 0 < version < 2**31:
        version = 0
    async with db.read() as tx:
        return _out(await handlers.existing(tx, caller.community_id, version))
