"""Server-sent events: a stream that ends when the client goes or the platform stops, with a heartbeat between."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from starlette.responses import StreamingResponse

HEARTBEAT_SECONDS = 15.0

Item = tuple[str, str, object]
"""(event id for Last-Event-ID, event name, data as JSON)."""


def sse(items: AsyncGenerator[Item, None], stopping: asyncio.Event) -> StreamingResponse:
    """Stream `items`; proxies are asked not to buffer."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(items, stopping), media_type="text/event-stream", headers=headers)


async def _stream(items: AsyncGenerator[Item, None], stopping: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    stop = asyncio.ensure_future(stopping.wait())
    waiting: asyncio.Task[Item] | None = None
    try:
        while not stopping.is_set():
            waiting = waiting or asyncio.create_task(_next(items))
            await asyncio.wait({waiting, stop}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set() or not waiting.done():
                yield b": heartbeat\n\n"
                continue
            try:
                item = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield frame(item)
    finally:
        stop.cancel()
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        # The route's generator ends here, and with it whatever it had open.
        await items.aclose()


async def _next(items: AsyncGenerator[Item, None]) -> Item:
    return await anext(items)


def frame(item: Item) -> bytes:
    """One event as it goes over the wire."""
    event_id, name, data = item
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event_id.encode(), name.encode(), msgspec.json.encode(data))
