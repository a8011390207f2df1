"""A stand-in for one replica of a service: it tells what reached it, and is as ready or broken as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from services import server


@dataclass
class Replica:
    """`heard` is every request that was not a health check: method, path, headers, bytes of the body."""

    name: str
    ready: bool = True
    breaks: bool = False
    """Ends the connection instead of answering, after the whole request was read."""
    holds: asyncio.Event | None = None
    """Answers once this is set."""
    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ("/readyz", "/healthz"):
            good = self.ready or scope["path"] == "/healthz"
            await self._answer(send, 200 if good else 503, {})
            return
        size = 0
        more = True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.heard.append({"method": scope["method"], "path": scope["path"], "headers": headers, "bytes": size})
        self.came.set()
        if self.breaks:
            raise ConnectionError("broken on purpose")
        if self.holds is not None:
            await self.holds.wait()
        await self._answer(send, 200, {"replica": self.name, **self.heard[-1]})

    async def _answer(self, send: Send, status: int, body: dict[str, Any]) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


@asynccontextmanager
async def served(replica: Replica, port: int = 0) -> AsyncIterator[Replica]:
    """Behind a real HTTP server. What breaks is closed without a word, as a process that dies would."""
    listener = server.bind("127.0.0.1", port)
    replica.url = server.url_of(listener)
    web = server.make_server(_Silent(replica), 1)
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        yield replica
    finally:
        web.should_exit = True
        await serving
        listener.close()


class _Silent:
    """uvicorn answers 500 when an application raises; this closes the connection instead."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._replica(scope, receive, send)
        except ConnectionError:
            send.__self__.transport.abort()  # type: ignore[attr-defined]  # uvicorn's request cycle owns the connection
