"""Event streams: what is sent, the heartbeat, and that they end with the client or the platform."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import pytest
from starlette.responses import StreamingResponse

from kit.http import sse as sse_module
from kit.http.sse import Item, frame, sse

PATIENCE = 30.0


class Source:
    """Items that a test gives one by one; `ended` is set when the stream has let go of it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Item | None] = asyncio.Queue()
        self.ended = asyncio.Event()

    async def items(self) -> AsyncGenerator[Item, None]:
        try:
            while (item := await self.queue.get()) is not None:
                yield item
        finally:
            self.ended.set()


@pytest.fixture
def source() -> Source:
    return Source()


def body_of(response: StreamingResponse) -> AsyncGenerator[bytes, None]:
    return response.body_iterator  # type: ignore[return-value]  # it is the generator that was given


async def test_an_item_is_a_frame_of_id_event_and_data(source: Source) -> None:
    async with asyncio.timeout(PATIENCE), aclosing(body_of(sse(source.items(), asyncio.Event()))) as body:
        assert (await anext(body)).startswith(b"retry: ")
        for number in range(3):
            source.queue.put_nowait((str(number), "entry", {"text": "打卡\nsecond line", "n": number}))
            lines = (await anext(body)).decode().split("\n")
            assert lines[0] == f"id: {number}"
            assert lines[1] == "event: entry"
            assert msgspec.json.decode(lines[2].removeprefix("data: ")) == {"text": "打卡\nsecond line", "n": number}
            assert lines[3:] == ["", ""]
        source.queue.put_nowait(None)
        with pytest.raises(StopAsyncIteration):
            await anext(body)
    assert source.ended.is_set()


async def test_a_stream_is_neither_cached_nor_buffered(source: Source) -> None:
    response = sse(source.items(), asyncio.Event())
    assert response.media_type == "text/event-stream"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")


async def test_a_quiet_stream_sends_heartbeats_and_loses_nothing(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sse_module.__globals__, "HEARTBEAT_SECONDS", 0.01)
    async with asyncio.timeout(PATIENCE), aclosing(body_of(sse(source.items(), asyncio.Event()))) as body:
        await anext(body)
        assert {await anext(body) for _ in range(3)} == {b": heartbeat\n\n"}
        source.queue.put_nowait(("1", "entry", 1))
        got = await anext(body)
        while got.startswith(b":"):
            got = await anext(body)
        assert got == frame(("1", "entry", 1))


async def test_a_stream_ends_when_the_platform_stops(source: Source) -> None:
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE), aclosing(body_of(sse(source.items(), stopping))) as body:
        await anext(body)
        waiting = asyncio.ensure_future(anext(body))
        await asyncio.sleep(0)
        stopping.set()
        assert await waiting == b": heartbeat\n\n"
        with pytest.raises(StopAsyncIteration):
            await anext(body)
    assert source.ended.is_set()


async def test_a_client_that_goes_away_ends_what_the_route_had_open(source: Source) -> None:
    async with asyncio.timeout(PATIENCE):
        async with aclosing(body_of(sse(source.items(), asyncio.Event()))) as body:
            await anext(body)
            source.queue.put_nowait(("1", "entry", 1))
            await anext(body)
        await source.ended.wait()
