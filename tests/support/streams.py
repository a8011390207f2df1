"""Reading an event stream in tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec


@dataclass(slots=True)
class Frame:
    id: str
    event: str
    data: dict[str, Any]


@dataclass(slots=True)
class Stream:
    """What comes over one open stream."""

    lines: AsyncIterator[str]

    async def next(self) -> Frame:
        """The next event, comments skipped; StopAsyncIteration when the stream ended."""
        return await asyncio.wait_for(self._frame(), 30)

    async def _frame(self) -> Frame:
        fields: dict[str, str] = {}
        while True:
            line = await anext(self.lines)
            name, _, value = line.partition(": ")
            if line == "" and "data" in fields:
                return Frame(fields["id"], fields["event"], msgspec.json.decode(fields["data"]))
            if name in ("id", "event", "data"):
                fields[name] = value


@asynccontextmanager
async def lines_of(
    client: httpx2.AsyncClient, path: str, after: str = "", **params: str
) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream behind its first one; `after` is sent as Last-Event-ID."""
    headers = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", path, headers=headers, params=params) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        yield lines
