"""The application of one process: the routers of its services, and what every process answers."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from pydantic import BaseModel
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from kit.http import dead_letters
from kit.http.middleware import Edge
from kit.http.paging import DEFAULT_LIMIT, MAX_LIMIT
from kit.http.problems import RENDERERS, Problem
from kit.http.routing import BySegments, Direct, every_route
from kit.idempotency import MAX_KEY
from kit.runtime import Runtime, describe
from kit.service import Service

router = APIRouter(tags=["platform"])


class Alive(BaseModel):
    status: str


class CheckLine(BaseModel):
    name: str
    ok: bool
    detail: str


class Ready(BaseModel):
    ready: bool
    checks: list[CheckLine]


class Limits(BaseModel):
    """Every limit in force; bytes, counts, seconds as the names say."""

    body_bytes: int
    event_bytes: int
    events_per_request: int
    page_default: int
    page_max: int
    idempotency_key_characters: int
    idempotency_seconds: int
    requests_per_second: float
    requests_at_once: int
    content_encodings: list[str]
    event_media_types: list[str]


@router.get("/healthz", summary="The process answers")
async def healthz() -> Alive:
    return Alive(status="ok")


@router.get("/readyz", summary="Databases, log and consumers are fit to work", responses={503: {"model": Ready}})
async def readyz(request: Request) -> Response:
    """Lag per consumer stands under `lag:<group>`."""
    body = describe(await request.app.state.runtime.readiness())
    return JSONResponse(body, 200 if body["ready"] else 503)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics() -> Response:
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/limits", summary="Every limit in force")
async def limits(request: Request) -> Limits:
    settings = request.app.state.runtime.settings
    return Limits(
        body_bytes=settings.max_body_bytes,
        event_bytes=settings.max_event_bytes,
        events_per_request=settings.max_events_per_request,
        page_default=DEFAULT_LIMIT,
        page_max=MAX_LIMIT,
        idempotency_key_characters=MAX_KEY,
        idempotency_seconds=settings.idempotency_hours * 3600,
        requests_per_second=settings.rate_per_second,
        requests_at_once=settings.rate_burst,
        content_encodings=["gzip", "identity"],
        event_media_types=[
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "application/x-ndjson",
            "application/json",
        ],
    )


@router.get("/docs", summary="This API, readable", response_class=HTMLResponse, include_in_schema=False)
async def docs() -> HTMLResponse:
    page = (files("kit.http") / "docs.html").read_text()
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


class Application(FastAPI):
    """FastAPI behind our edge, which does what its own outer layers would do (unexpected errors, body limit)."""

    def build_middleware_stack(self) -> ASGIApp:
        inner = ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=self.exception_handlers)
        direct = {
            (method, route.path): route.endpoint
            for route in every_route(self.routes)
            if isinstance(route, Direct)
            for method in route.methods or ()
        }
        settings = self.state.runtime.settings
        return Edge(inner, max_body=settings.max_body_bytes, planned=self.state.by_segments.planned, direct=direct)


def build_app(runtime: Runtime, described: Iterable[Service] = ()) -> FastAPI:
    """The FastAPI application over a runtime. Its lifespan is the caller's: start the runtime first, stop it after.

    `described` are the services its document tells of, looked at when the document is first asked for; those of this
    process where none are given."""
    app = Application(
        title="Guildhall",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # Metrics and request ids are the edge's; asked on every request whether it should trace, the framework says no.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.runtime = runtime
    routers = [router, dead_letters.router, *(r for one in runtime.services.values() for r in one.service.routers)]
    app.state.by_segments = BySegments(route for part in routers for route in part.routes)
    app.router.routes.insert(0, app.state.by_segments)
    for cls, renderer in RENDERERS.items():
        app.add_exception_handler(cls, renderer)
    app.openapi = lambda: _openapi(app, described or [one.service for one in runtime.services.values()])  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _openapi(app: FastAPI, services: Iterable[Service]) -> dict[str, Any]:
    """One document for all services, with the problem schema and the ways to authenticate. It describes the product:
    a process that runs one service tells of the others too, so that nobody has to merge what four of them say."""
    if app.openapi_schema is None:
        routers = [router, dead_letters.router, *(r for service in services for r in service.routers)]
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary="Communities in chat groups: activity in, points and messages out.",
            routes=[route for part in routers for route in every_route(part.routes)],
        )
        components = document.setdefault("components", {})
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {}).update(schema.pop("$defs", {}))
        components["schemas"]["Problem"] = schema
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key (gh_live_…) or a member token."},
            "session": {"type": "apiKey", "in": "cookie", "name": "guildhall_session"},
        }
        document["security"] = [{"bearer": []}, {"session": []}]
        _mark_validation_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _mark_validation_errors(document: dict[str, Any]) -> None:
    """FastAPI describes its own 422 form; ours is the problem document."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document.get("paths", {}).values():
        for operation in path.values():
            replies = operation.get("responses", {})
            told = replies.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
            # A route that answers 422 with a form of its own (POST /v1/events) keeps it.
            if told.get("$ref", "").endswith("/HTTPValidationError"):
                replies["422"] = {"description": "The request does not fit", "content": problem}
            if "requestBody" in operation or operation.get("parameters"):
                replies.setdefault("400", {"description": "Bad Request", "content": problem})
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
