"""ETag and If-Match on mutable resources: a lost update answers 412 (K16)."""

from starlette.requests import Request

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
