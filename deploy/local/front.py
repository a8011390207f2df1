"""One address before four local processes, for `make up-split` where no gateway is installed. Not for production.

Routes come from `Service.prefixes`, the same table the real gateways are generated from. Bodies and replies are
streamed, so event streams pass; a service that is away answers 502 as a problem document.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping

import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def routes_of(prefixes: Mapping[str, Iterable[str]]) -> list[tuple[re.Pattern[str], str]]:
    """(pattern, service), sub-resources (`events/*/decisions`) before the segments they stand under."""
    patterns = [(prefix, service) for service, those in prefixes.items() for prefix in those]
    patterns.sort(key=lambda p: (-p[0].count("/"), p[0]))
    return [
        (re.compile("^/v1/" + re.escape(prefix).replace(r"\*", "[^/]+") + "(/|$)"), service)
        for prefix, service in patterns
    ]


def make_front(prefixes: Mapping[str, Iterable[str]], targets: Mapping[str, str], default: str) -> Starlette:
    """`targets` maps a service to its address; paths of no service (`/`, `/docs`, …) go to `default`."""
    table = routes_of(prefixes)
    client = httpx2.AsyncClient(timeout=httpx2.Timeout(60, read=None), limits=httpx2.Limits(max_connections=200))

    def target(request: Request) -> str:
        # The one route of the kit that is asked for by service: /v1/dead-letters?service=rewards
        named = request.query_params.get("service", "")
        if request.url.path.startswith("/v1/dead-letters") and named in targets:
            return targets[named]
        return next(
            (targets[service] for pattern, service in table if pattern.match(request.url.path)), targets[default]
        )

    async def forward(request: Request) -> Response:
        headers = [(k, v) for k, v in request.headers.raw if k.decode().lower() not in HOP_BY_HOP]
        url = target(request) + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        outgoing = client.build_request(request.method, url, headers=headers, content=request.stream())
        try:
            reply = await client.send(outgoing, stream=True)
        except httpx2.TransportError as error:
            body = {"type": "/problems/bad_gateway", "title": "Bad Gateway", "status": 502, "code": "bad_gateway"}
            return JSONResponse({**body, "detail": f"the service behind this path is away: {error}"}, 502)

        async def body_of() -> AsyncIterator[bytes]:
            async for chunk in reply.aiter_raw():
                yield chunk

        kept = {k: v for k, v in reply.headers.items() if k.lower() not in HOP_BY_HOP}
        return StreamingResponse(body_of(), reply.status_code, kept, background=BackgroundTask(reply.aclose))

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])
