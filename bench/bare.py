"""The ceiling: a FastAPI application that decodes the body the product takes and answers 202, and nothing else.

The server's settings are the product's own (`services.server`). `python -m bench.bare` prints its address as JSON.
"""

import asyncio
import json
from datetime import datetime
from typing import Any

import msgspec
import uvloop
from fastapi import FastAPI, Request
from starlette.responses import Response

from services import server


class Event(msgspec.Struct):
    """A CloudEvent, its data decoded as the product decodes it: into plain objects."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | None = None


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
_one = msgspec.json.Decoder(Event).decode
_many = msgspec.json.Decoder(list[Event]).decode


@app.post("/v1/events", response_class=Response)
async def take(request: Request) -> Response:
    body = await request.body()
    if body[:1] == b"[":
        _many(body)
    else:
        _one(body)
    return Response(status_code=202)


async def main() -> None:
    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(app, 1)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(http.serve(sockets=[listener]))
    loop.add_signal_handler(15, lambda: setattr(http, "should_exit", True))
    while not http.started:
        await asyncio.sleep(0.01)
    server.tune_collector()
    print(json.dumps({"url": server.url_of(listener)}), flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main())
