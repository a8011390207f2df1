"""The HTTP server of one process: started after the runtime, stopped before it."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kit.runtime import Runtime


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the platform decides the order of stopping, and Ctrl-C is no failure."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


HELD_BYTES = 64 * 1024


class OneWrite:
    """A connection's transport that sends what is written in one turn of the event loop at once.

    The server writes the head of an answer and its body one after the other; each write by itself is a system call
    and a packet, which was a tenth of what a small request costs. Everything else is the transport's own.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes >= HELD_BYTES:
            # Only the transport says when its reader is slow: a long answer must not pile up here.
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._bytes = self._held, [], 0
        if held:
            self._transport.write(b"".join(held))

    def close(self) -> None:
        self._flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(OneWrite(transport, self.loop))  # type: ignore[arg-type]  # what uvicorn uses of one


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: ASGIApp, stop_seconds: float, max_frame: int = 1 << 20) -> Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="websockets-sansio",
        ws_max_size=max_frame,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(stop_seconds)),
        # Longer than a gateway keeps a connection it does not use: else we may close it as a request is sent over it.
        timeout_keep_alive=75,
        backlog=2048,
    )
    return Server(config)


def tune_collector() -> None:
    """Long-lived objects out of the collector's way: a full collection was the 40 ms at p99 (TECH.md section 2b). None
    runs before: a start leaves next to nothing behind in circles, and looking for it took a quarter of a second."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def serve(runtime: Runtime, app: ASGIApp, listener: socket.socket, ready: Callable[[], Awaitable[None]]) -> None:
    """Serve until SIGINT or SIGTERM, call `ready` once requests are answered, then drain: HTTP first, runtime after."""
    server = make_server(app, runtime.settings.stop_seconds, runtime.settings.max_body_bytes)

    async def stop() -> None:
        # Streams end and consumers finish what is in hand while open requests are still answered.
        await runtime.stopping.wait()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, runtime.stopping.set)
    stopper = asyncio.create_task(stop())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if not serving.done():
        tune_collector()
        await ready()
    try:
        await serving
    finally:
        stopper.cancel()
