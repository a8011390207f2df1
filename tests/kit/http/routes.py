"""Routes that do what the tests of the HTTP side want to see."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.database import DatabaseUnavailable
from kit.errors import BadRequest, Conflict, FieldError, NotFound, TooManyRequests, Unauthorized, Unprocessable
from kit.http import PageOf, check_if_match, etag
from kit.log import LogUnavailable

router = APIRouter(prefix="/v1/scratch")

REFUSALS: dict[str, Exception] = {
    "bad": BadRequest("this is bad", code="scratch_bad"),
    "away": DatabaseUnavailable("the database is away", retry_after=3),
    "log": LogUnavailable("the broker at a-secret-host is away"),
    "unknown": NotFound("no such thing"),
    "conflict": Conflict("taken", code="scratch_taken", holder="somebody"),
    "many": TooManyRequests("slowly", retry_after=7),
    "who": Unauthorized("who are you"),
    "fields": Unprocessable(
        "two things", errors=[FieldError("/a/0", "too_small", "is small"), FieldError("", "x", "y")]
    ),
    "bug": RuntimeError("password=hunter2 in /somewhere/inside.py"),
}


@router.get("/refusals/{name}")
async def refuse(name: str) -> None:
    raise REFUSALS[name]


class Thing(BaseModel):
    name: str = Field(min_length=1, max_length=5)
    parts: list[int] = []


@router.post("/things")
async def make(thing: Thing, size: Annotated[int, Query(ge=1)] = 1) -> Thing:
    return thing


@router.post("/echo")
async def echo(request: Request) -> dict[str, Any]:
    body = await request.body()
    return {"bytes": len(body), "text": body[:100].decode("latin-1")}


@router.post("/unread")
async def unread() -> dict[str, bool]:
    return {"done": True}


@router.get("/pages")
async def pages(paging: PageOf) -> dict[str, Any]:
    return {"limit": paging.limit, "cursor": paging.cursor}


@router.put("/versioned/{version}")
async def versioned(request: Request, version: int) -> Response:
    check_if_match(request, version)
    return Response(status_code=204, headers={"ETag": etag(version + 1)})
