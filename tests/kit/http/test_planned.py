"""Reads that are planned ahead answer what the framework would, and whatever is wrong is said by the framework."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.routing import APIRoute
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel
from starlette.responses import Response as Answer

from kit.errors import Forbidden
from kit.http import Instant, Page, PageOf, etag
from kit.http.middleware import Edge
from kit.http.planned import plan_of
from kit.http.problems import RENDERERS
from kit.http.routing import BySegments
from services.compose import SERVICES

router = APIRouter()
asked: list[str] = []


async def somebody(request: Request) -> str:
    asked.append("somebody")
    name = request.headers.get("x-name", "nobody")
    if name == "banned":
        raise Forbidden("not you", code="banned")
    return name


async def somebody_else(name: Annotated[str, Depends(somebody)], loud: bool = False) -> str:
    return name.upper() if loud else name


Name = Annotated[str, Depends(somebody)]


class Seen(BaseModel):
    id: int
    at: datetime | None = None
    words: list[str] = []


@router.get("/v1/things/fixed")
async def fixed() -> Seen:
    return Seen(id=0)


@router.get("/v1/things/{id}", responses={404: {}})
async def one(
    id: int,
    name: Name,
    other: Annotated[str, Depends(somebody_else)],
    kind: Literal["a", "b"] = "a",
    at: Annotated[Instant | None, Query(alias="from")] = None,
    day: date | None = None,
    whose: UUID | None = None,
    size: Annotated[int, Query(ge=1, le=9)] = 3,
) -> Seen:
    return Seen(id=id, at=at, words=[name, other, kind, str(day), str(whose), str(size)])


@router.get("/v1/pages")
async def pages(paging: PageOf, q: str) -> Page[Seen]:
    return Page(items=[Seen(id=paging.limit, words=[q])], next=str(paging.cursor), prev=None)


@router.get("/v1/versions/{version}", status_code=203)
async def versions(version: int, response: Answer) -> Seen:
    response.headers["ETag"] = etag(version)
    if version > 5:
        response.status_code = 202 if version < 8 else 204
    return Seen(id=version)


@router.get("/v1/raw", response_model=Seen)
async def raw(text: str = "é") -> Answer:
    return Answer(text, 206, {"X-Own": "1"}, media_type="text/plain")


@router.get("/v1/wrong")
async def wrong() -> Seen:
    return {"id": "no number"}  # type: ignore[return-value]  # what a bug would do


@router.post("/v1/things/{id}")
async def post(id: int) -> Seen:
    return Seen(id=id)


def framework() -> FastAPI:
    """The routes behind the framework alone, with the platform's own renderers."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.router.routes.insert(0, BySegments(router.routes))
    for cls, renderer in RENDERERS.items():
        app.add_exception_handler(cls, renderer)
    return app


def told(reply: Response) -> tuple[Any, ...]:
    own = {"x-request-id", "date"}
    problem = reply.headers.get("content-type", "").startswith("application/problem")
    body = {**json.loads(reply.content or "{}"), "request_id": ""} if problem else reply.content
    if problem:
        own.add("content-length")
    return reply.status_code, body, [(n, v) for n, v in reply.headers.multi_items() if n not in own]


Ask = Callable[..., Any]


@pytest.fixture
async def both() -> AsyncIterator[Ask]:
    """Asks the framework alone, and the edge that plans; the two must answer the same."""
    alone = framework()
    edge = Edge(alone, max_body=1000, planned=BySegments(router.routes).planned)
    clients = [
        AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test")
        for app in (alone, edge)
    ]

    async def ask(path: str, method: str = "GET", **headers: str) -> Response:
        asked.clear()
        first = await clients[0].request(method, path, headers=headers)
        calls = list(asked)
        asked.clear()
        second = await clients[1].request(method, path, headers=headers)
        assert told(second) == told(first)
        assert asked == calls
        return second

    yield ask
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/things/fixed", 200),
        ("/v1/things/7", 200),
        ("/v1/things/7?kind=b&from=2026-11-28T01:02:03.5%2B08:00&day=2026-11-28&size=9&loud=yes", 200),
        ("/v1/things/7?whose=01939e2c-7000-7000-8000-000000000000&unknown=1", 200),
        ("/v1/things/7?kind=a&kind=b", 200),
        ("/v1/things/7?kind=c&size=0&from=2026-11-28T01:02:03", 422),
        ("/v1/things/7?kind=", 422),
        ("/v1/things/seven", 422),
        ("/v1/things/7?loud=perhaps", 422),
        ("/v1/things/7/", 307),
        ("/v1/things/7/more", 404),
        ("/v1/pages?q=", 200),
        ("/v1/pages?q=%C3%A9%00&limit=200", 200),
        ("/v1/pages", 422),
        ("/v1/pages?q=x&cursor=bm8", 400),
        ("/v1/versions/3", 203),
        ("/v1/versions/6", 202),
        ("/v1/versions/9", 204),
        ("/v1/raw?text=+a%20b", 206),
    ],
)
async def test_a_planned_read_answers_what_the_framework_answers(both: Ask, path: str, status: int) -> None:
    assert (await both(path)).status_code == status


@settings(max_examples=60, deadline=None)
@given(
    path=st.sampled_from(["/v1/things/7", "/v1/things/x", "/v1/pages", "/v1/versions/4"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(["kind", "from", "day", "whose", "size", "loud", "q", "limit", "cursor", "at", ""]),
            st.sampled_from(
                ["a", "", "1", "0", "-3", "9" * 30, "true", "2026-11-28", "2026-11-28T00:00:00Z", "WyJuIl0"]
            )
            | st.text(max_size=4),
        ),
        max_size=4,
    ),
    name=st.sampled_from(["", "x", "banned"]),
)
async def test_whatever_is_asked_the_two_agree(path: str, query: list[tuple[str, str]], name: str) -> None:
    alone = framework()
    edge = Edge(alone, max_body=1000, planned=BySegments(router.routes).planned)
    replies = []
    for app in (alone, edge):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            url = f"{path}?{urlencode(query)}"
            replies.append(told(await client.get(url, headers={"x-name": name} if name else {})))
    assert replies[0] == replies[1]


async def test_who_may_not_ask_hears_that_and_nothing_of_what_else_is_wrong(both: Ask) -> None:
    reply = await both("/v1/things/7?kind=c", **{"x-name": "banned"})
    assert (reply.status_code, reply.json()["code"]) == (403, "banned")


async def test_what_several_ask_for_is_found_out_once(both: Ask) -> None:
    reply = await both("/v1/things/7?loud=1", **{"x-name": "ann"})
    assert (asked, reply.json()["words"][:2]) == (["somebody"], ["ann", "ANN"])


async def test_another_method_is_the_frameworks(both: Ask) -> None:
    assert (await both("/v1/things/7", "POST")).status_code == 200
    assert (await both("/v1/things/7", "HEAD")).status_code == 405
    assert (await both("/v1/pages", "DELETE")).status_code == 405


async def test_an_answer_that_is_not_what_was_promised_is_a_bug_and_not_sent() -> None:
    edge = Edge(framework(), max_body=1000, planned=BySegments(router.routes).planned)
    async with AsyncClient(transport=ASGITransport(edge), base_url="http://test") as client:
        reply = await client.get("/v1/wrong")
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")


async def test_a_planned_read_is_counted_under_its_template() -> None:
    labels = {"method": "GET", "route": "/v1/things/{id}", "status": "200"}
    before = REGISTRY.get_sample_value("guildhall_http_requests_total", labels) or 0
    edge = Edge(framework(), max_body=1000, planned=BySegments(router.routes).planned)
    async with AsyncClient(transport=ASGITransport(edge), base_url="http://test") as client:
        await client.get("/v1/things/7")
    assert REGISTRY.get_sample_value("guildhall_http_requests_total", labels) == before + 1


async def test_below_another_root_the_framework_finds_the_route() -> None:
    edge = Edge(framework(), max_body=1000, planned=BySegments(router.routes).planned)
    async with AsyncClient(transport=ASGITransport(edge, root_path="/v1"), base_url="http://test") as client:
        assert (await client.get("/v1/things/7")).status_code == 404


def test_what_only_the_framework_does_has_no_plan() -> None:
    others = APIRouter()

    @others.get("/v1/lists")
    async def lists(words: Annotated[list[str], Query()]) -> list[str]:
        return words

    @others.get("/v1/headers")
    async def headers(word: Annotated[str, Header()]) -> str:
        return word

    @others.get("/v1/threads")
    def threads() -> str:
        return "in a thread"

    async def opened() -> AsyncIterator[int]:
        yield 1

    @others.get("/v1/opened")
    async def with_clean_up(number: Annotated[int, Depends(opened)]) -> int:
        return number

    @others.get("/v1/short", response_model_exclude_none=True)
    async def short() -> Seen:
        return Seen(id=1)

    @others.get("/v1/models")
    async def models(seen: Annotated[Seen, Query()]) -> Seen:
        return seen

    @others.get("/v1/nothing")
    async def nothing() -> None:
        return None

    assert [plan_of(route) for route in others.routes] == [None] * 7


def test_every_read_of_the_platform_is_planned() -> None:
    """One that is not costs half a millisecond more: said here, so that it does not come unseen."""
    reads = [
        route
        for service in SERVICES
        for part in service.routers
        for route in part.routes
        if isinstance(route, APIRoute) and route.methods == {"GET"}
    ]
    assert len(reads) > 90
    assert [route.path for route in reads if plan_of(route) is None] == []


def test_an_instant_of_a_request_is_handed_on_in_utc() -> None:
    (route,) = (r for r in router.routes if getattr(r, "endpoint", None) is one)
    plan = plan_of(route)
    assert plan is not None
    found = plan._arguments(b"from=2026-11-28T08:00:00%2B08:00", {"id": "7"})
    assert found is not None
    assert found[-1]["at"] == datetime(2026, 11, 28, tzinfo=UTC)
