"""ETags: with If-Match a lost update answers 412 (K16), with If-None-Match who has an answer already is not sent it
again."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from kit.errors import PreconditionFailed


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def check_if_match(request: Request, version: int) -> None:
    """PreconditionFailed when the caller names another version than the present one; nothing without the header."""
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return
    if etag(version) not in [tag.strip() for tag in wanted.split(",")]:
        raise PreconditionFailed(
            "somebody changed this meanwhile; read it again", code="version_changed", current=etag(version)
        )


def unless_had(request: Request, body: bytes) -> Response:
    """JSON with the strong tag of its bytes; 304 without a body for a caller who names that tag. Read anew in any case:
    what is spared is sending it."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    had = request.headers.get("if-none-match")
    # A gateway that compresses makes a weak tag of it; whether it was compressed is nothing to this comparison.
    if had is not None and (had.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in had.split(",")]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
