"""Routes found by their first segments answer as the framework's own order would."""

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient

from kit.http.routing import BySegments, every_route


def made(router: APIRouter) -> AsyncClient:
    app = FastAPI()
    app.router.routes.insert(0, BySegments(router.routes))
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


def router() -> APIRouter:
    out = APIRouter()

    @out.get("/healthz")
    async def health() -> str:
        return "health"

    @out.get("/v1/things/first")
    async def first() -> str:
        return "first"

    @out.get("/v1/things/{thing}")
    async def one(thing: str) -> str:
        return f"one {thing}"

    @out.delete("/v1/things/{thing}")
    async def delete(thing: str) -> str:
        return f"deleted {thing}"

    @out.get("/v1/others")
    async def others() -> str:
        return "others"

    return out


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/healthz", 200, "health"),
        ("GET", "/v1/things/first", 200, "first"),
        ("GET", "/v1/things/7", 200, "one 7"),
        ("DELETE", "/v1/things/first", 200, "deleted first"),
        ("GET", "/v1/others", 200, "others"),
        ("POST", "/v1/things/7", 405, None),
        ("GET", "/v1/things/7/more", 404, None),
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1", 404, None),
        ("GET", "/", 404, None),
    ],
)
async def test_the_first_route_that_takes_path_and_method_answers(
    method: str, path: str, status: int, body: str | None
) -> None:
    async with made(router()) as client:
        reply = await client.request(method, path)
    assert reply.status_code == status
    assert body is None or reply.json() == body


async def test_a_slash_too_many_is_redirected() -> None:
    async with made(router()) as client:
        reply = await client.get("/v1/others/")
    assert (reply.status_code, reply.headers["location"]) == (307, "http://test/v1/others")


def test_a_route_whose_segments_are_not_fixed_is_refused() -> None:
    wrong = APIRouter()
    wrong.add_api_route("/v1/{anything}", lambda: None)
    with pytest.raises(ValueError, match="must be fixed"):
        BySegments(wrong.routes)


def test_every_route_stands_alone() -> None:
    app, one = FastAPI(openapi_url=None, docs_url=None, redoc_url=None), router()
    app.router.routes.insert(0, BySegments(one.routes))
    app.include_router(one)
    assert list(every_route(app.routes)) == [*one.routes, *one.routes]
