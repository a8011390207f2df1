"""Around every request, as one pure ASGI callable: request id, body limit, gzip, RED metrics, access log.

One layer instead of five: each costs a wrapped `send` per request, and FastAPI's own kind costs 60 % of throughput.
"""

import re
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.auth import RATE
from kit.clock import random_id
from kit.errors import BadRequest, GuildhallError, TooLarge, UnsupportedMediaType
from kit.http.problems import renderer_of
from kit.metrics import HTTP_REQUEST_SECONDS, HTTP_REQUESTS

logger = structlog.get_logger("kit.http.access")

_SANE_ID = re.compile(rb"^[A-Za-z0-9._:-]{1,100}$")

Endpoint = Callable[[Request], Awaitable[Response]]
Planned = Callable[[Request], Awaitable[Response | None]]

CLIENT_WENT = 499
"""The status a request is counted under when its caller hung up before the body was whole (nginx's number)."""


class Edge:
    """The outermost layer. `max_body` counts bytes after decompression; refusals are problem documents.

    `direct` are endpoints by method and path that are called at once, with nothing of the framework in between.
    `planned` answers reads in the same way; where it gives None the framework does.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body: int,
        planned: Planned,
        direct: Mapping[tuple[str, str], Endpoint] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._max_body = max_body
        self._planned = planned
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _SANE_ID.match(given) else random_id()
        scope["guildhall.request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 500
        began = False

        async def send_marked(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                began = True
                status = message["status"]
                taken = scope.get(RATE)
                rate = taken.headers if taken is not None else ()
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode()), *rate]
            await send(message)

        try:
            endpoint = self._direct.get((scope["method"], scope["path"]))
            limited = self._limited(headers, receive)
            reply: Response | None
            if endpoint is not None:
                scope["guildhall.route"] = scope["path"]
                reply = await endpoint(Request(scope, limited))
            else:
                reply = await self._planned(Request(scope, limited)) if scope["method"] == "GET" else None
            if reply is None:
                await self._app(scope, limited, send_marked)
            else:
                await reply(scope, receive, send_marked)
        except ClientDisconnect:
            # Nobody is left to answer, and it is no fault of ours: counted apart, told to nobody.
            status = CLIENT_WENT
        except Exception as error:
            # The outermost edge: whatever escaped is a bug, and the caller still gets a problem document.
            response = await renderer_of(error)(Request(scope), error)
            if not began:
                await response(scope, receive, send_marked)
            elif isinstance(error, GuildhallError):
                raise
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _limited(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"identity", b""):
            if not int_or_zero(headers.get(b"content-length", b"0")) > self._max_body and b"content-length" in headers:
                return receive
            return _Counted(receive, self._max_body)
        if encoding == b"gzip":
            return _Gunzipped(receive, self._max_body)
        name = encoding.decode("latin-1")
        return _refuse(
            UnsupportedMediaType(f"Content-Encoding {name} is not taken; use gzip or none", code="encoding_unsupported")
        )

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", None) or scope.get("guildhall.route") or "unmatched"
        method = scope["method"] if path != "unmatched" else "ANY"
        HTTP_REQUESTS.labels(method, path, str(status)).inc()
        HTTP_REQUEST_SECONDS.labels(method, path).observe(seconds)
        logger.info("request", method=scope["method"], path=path, status=status, seconds=round(seconds, 6))


def int_or_zero(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the body is over the limit of {limit} bytes; send less at once", code="body_too_large", limit=limit
    )


def _refuse(error: GuildhallError) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        raise error

    return receive


class _Counted:
    """Passes the body on until it is over the limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            raise too_large(self._limit)
        return message


class _Gunzipped:
    """Decompresses the body piece by piece, so that a bomb is refused before it is unpacked.

    A body may be several gzip members one after the other, as `cat a.gz b.gz` makes it: none is silently left out.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._inflate: Any = None
        self._came = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        packed = message.get("body", b"")
        self._came = self._came or bool(packed)
        out = bytearray()
        while packed:
            if self._inflate is None or self._inflate.eof:
                self._inflate = zlib.decompressobj(wbits=31)
            try:
                out += self._inflate.decompress(packed, self._limit - self._seen - len(out) + 1)
            except zlib.error as error:
                raise BadRequest("the body is not valid gzip", code="gzip_invalid") from error
            if self._seen + len(out) > self._limit:
                raise too_large(self._limit)
            packed = self._inflate.unused_data
        self._seen += len(out)
        more = message.get("more_body", False)
        if not more and self._came and not self._inflate.eof:
            raise BadRequest("the gzip body ends too early", code="gzip_invalid")
        return {"type": "http.request", "body": bytes(out), "more_body": more}
