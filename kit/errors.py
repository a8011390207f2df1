"""One small hierarchy of expected failures, each with an HTTP status and a stable code.

A raised `GuildhallError` is an answer, not a bug: `kit.http` renders it as RFC 9457 problem+json.
Anything else that escapes a route is a bug and becomes a 500 without internals.
`BadMessage` is the consumer's counterpart: a message that will never succeed and becomes a dead letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the input; `pointer` is an RFC 6901 JSON pointer into the body ("" is the whole)."""

    pointer: str
    code: str
    message: str


class GuildhallError(Exception):
    """An expected failure. `code` is stable for programs; `message` tells a person what to do."""

    status = 500
    default_code = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        **details: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.headers = headers or {}
        self.details = details


class BadRequest(GuildhallError):
    status = 400
    default_code = "bad_request"


class Unauthorized(GuildhallError):
    status = 401
    default_code = "unauthorized"


class Forbidden(GuildhallError):
    status = 403
    default_code = "forbidden"


class NotFound(GuildhallError):
    status = 404
    default_code = "not_found"


class Conflict(GuildhallError):
    status = 409
    default_code = "conflict"


class PreconditionFailed(GuildhallError):
    status = 412
    default_code = "precondition_failed"


class TooLarge(GuildhallError):
    status = 413
    default_code = "too_large"


class UnsupportedMediaType(GuildhallError):
    status = 415
    default_code = "unsupported_media_type"


class Unprocessable(GuildhallError):
    status = 422
    default_code = "validation_failed"


class TooManyRequests(GuildhallError):
    status = 429
    default_code = "rate_limited"


class Unavailable(GuildhallError):
    """Trouble with the infrastructure: the caller may retry after `retry_after` seconds."""

    status = 503
    default_code = "unavailable"


class BadMessage(Exception):
    """A message no retry can help: the consumer writes it to `dead_letters` with this code and goes on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
