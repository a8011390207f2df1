"""Errors as RFC 9457 problem documents: the one renderer, and how routes describe them in OpenAPI (K11)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from kit.errors import FieldError, GuildhallError
from kit.http.routing import every_route
from kit.log import LogUnavailable

logger = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable"}


class FieldProblem(BaseModel):
    """One thing wrong with the input."""

    pointer: str = Field(description="JSON pointer into the body; empty for the whole.")
    code: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str = Field(description="Stable; for programs.")
    detail: str = Field(description="For a person; says what to do.")
    request_id: str
    errors: list[FieldProblem] = []


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer these statuses with a problem; 401, 403, 413, 429 and 503 as well."""
    out: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 401, 403, 413, 429, 503}):
        title = HTTPStatus(status).phrase
        example = {
            "type": "/problems/example",
            "title": title,
            "status": status,
            "code": "example",
            "detail": "What went wrong, and what to do.",
            "request_id": "01939e2c-7000-7000-8000-000000000000",
        }
        schema = {"$ref": "#/components/schemas/Problem"}
        out[status] = {"description": title, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
    return out


def problem_response(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
    **more: object,
) -> Response:
    """A problem document as a response."""
    body: dict[str, object] = {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
        **more,
    }
    if errors:
        body["errors"] = [{"pointer": e.pointer, "code": e.code, "message": e.message} for e in errors]
    return Response(msgspec.json.encode(body), status, headers, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("guildhall.request_id", ""))


def pointer_of(location: Iterable[object]) -> str:
    """A pydantic location as JSON pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


async def render_expected(request: Request, error: Exception) -> Response:
    """A refusal that a handler raised."""
    assert isinstance(error, GuildhallError)
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return problem_response(
        request_id_of(request),
        error.status,
        error.code,
        error.message,
        errors=error.errors,
        headers=headers,
        **error.details,
    )


async def render_log_trouble(request: Request, error: Exception) -> Response:
    """Nothing could be made durable: nothing was accepted (K36)."""
    logger.warning("log.unavailable", error=str(error))
    detail = "nothing could be made durable just now, nothing was accepted; send it again"
    return problem_response(request_id_of(request), 503, "log_unavailable", detail, headers={"Retry-After": "1"})


async def render_validation(request: Request, error: Exception) -> Response:
    """Input that does not fit its model: 422 with the places; 400 for a body that is no JSON, 415 for another form."""
    assert isinstance(error, RequestValidationError)
    if any(item["loc"] == ("body",) and item["type"] in _NO_OBJECT for item in error.errors()) and not _is_json(
        request
    ):
        detail = "send the body as JSON, with Content-Type: application/json"
        return problem_response(request_id_of(request), 415, "media_type_unsupported", detail)
    errors = []
    malformed = False
    for item in error.errors():
        place, *rest = item["loc"]
        malformed = malformed or item["type"] == "json_invalid"
        if item["type"] == "json_invalid":
            errors.append(
                FieldError("", "json_invalid", f"not JSON: {item['ctx']['error']} at {rest[0] if rest else 0}")
            )
        else:
            where = pointer_of(rest) if place == "body" else f"/{place}{pointer_of(rest)}"
            message = _SENTENCES.get((item["type"], bool(where))) or str(item["msg"]).removeprefix("Value error, ")
            errors.append(FieldError(where, str(item["type"]), message))
    if malformed:
        return problem_response(request_id_of(request), 400, "json_invalid", "the body is not JSON", errors=errors)
    return problem_response(
        request_id_of(request), 422, "validation_failed", "the request does not fit; see errors", errors=errors
    )


_NO_OBJECT = {"model_attributes_type", "model_type", "dict_type"}
# The validator speaks to programmers; (type of the error, whether it has a place) → what to do instead.
_SENTENCES = {
    ("model_attributes_type", False): "a JSON object is expected",
    ("model_attributes_type", True): "an object is expected",
    ("missing", False): "a JSON body is required",
    ("extra_forbidden", True): "there is no such field; is it misspelt?",
}


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def render_http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, wrong method, a body it could not read."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, GuildhallError):
        # The framework turns whatever reading the body raised into its own 400; the cause knows better (413).
        return await render_expected(request, error.__cause__)
    code = _CODES.get(error.status_code, "http_error")
    detail = str(error.detail) if error.detail else HTTPStatus(error.status_code).phrase
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = f"nothing is at {request.url.path}; see /docs"
    elif error.status_code == 405:
        methods = _methods_at(request)
        headers["Allow"] = ", ".join(methods)
        detail = f"{request.method} is not possible at {request.url.path}; use {' or '.join(methods)}"
    elif isinstance(error.__cause__, UnicodeDecodeError):
        code, detail = "json_invalid", "the body is not JSON: it is not UTF-8"
    elif isinstance(error.__cause__, RecursionError):
        code, detail = "too_deep", "the body is nested too deep; send flatter JSON"
    return problem_response(request_id_of(request), error.status_code, code, detail, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """What is possible at this address. The framework names the methods of the first route that has the path only."""
    found: set[str] = set()
    for route in every_route(request.app.routes):
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


async def render_bug(request: Request, error: Exception) -> Response:
    """Something nobody expected: the log has it under the request id, the caller gets only that."""
    logger.error("request.failed", path=request.url.path, exc_info=error)
    detail = "an error on our side; quote the request id when you report it"
    return problem_response(request_id_of(request), 500, "internal", detail)


RENDERERS: Mapping[type, Callable[[Request, Exception], Awaitable[Response]]] = {
    GuildhallError: render_expected,
    LogUnavailable: render_log_trouble,
    RequestValidationError: render_validation,
    HTTPException: render_http,
}


def renderer_of(error: Exception) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What renders this kind of error; whatever nobody expected is a bug."""
    return next((RENDERERS[cls] for cls in type(error).__mro__ if cls in RENDERERS), render_bug)
