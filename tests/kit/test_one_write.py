"""What a server writes in one turn goes out at once, whole and in order, however large it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services import server
from tests.support.http import client_of

BODY = bytes(range(256)) * 8192
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: object, send: Send) -> None:
    """`/whole` in one piece, `/pieces` in many, some of them after a pause."""
    headers = [(b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/whole":
        await send({"type": "http.response.body", "body": BODY})
        return
    for start in range(0, len(BODY), 65_536):
        if start % 262_144 == 0:
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": BODY[start : start + 65_536], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
async def test_an_answer_arrives_whole_and_its_connection_can_be_used_again(path: str) -> None:
    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(app, 5)  # type: ignore[arg-type]  # plain dictionaries, as ASGI has them
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    async with client_of(server.url_of(listener)) as client:
        for _ in range(3):
            assert (await client.get(path)).content == BODY
        closing = await client.get(path, headers={"Connection": "close"})
        assert closing.content == BODY
    http.should_exit = True
    await serving


async def test_an_answer_longer_than_its_reader_takes_waits_for_the_reader() -> None:
    sent = 0

    async def endless(scope: dict[str, Any], receive: object, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            sent += 1

    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(endless, 1)  # type: ignore[arg-type]  # plain dictionaries, as ASGI has them
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2], limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readline()
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.2)
    assert sent < 1000
    writer.close()
    http.should_exit = True
    await serving
