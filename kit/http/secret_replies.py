"""Replies that show a secret once.

`Idempotency-Key` keeps a reply for a day, and a secret must not lie in a table as text: it is kept sealed, and opened
on the way out, for the first answer and for a replay alike.
"""

from dataclasses import replace

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from kit.auth import Principal
from kit.database import Tx
from kit.idempotency import Effect, Reply, once
from kit.sealing import Box
from kit.service import ServiceRuntime


async def once_with_secret(
    request: Request, one: ServiceRuntime, principal: Principal, effect: Effect, field: str
) -> Response:
    """`kit.idempotency.once` for an effect whose reply has a secret in `field`: a text, or an object of them."""
    box = Box(one.settings.secret_key, f"{one.service.name}: replies")

    async def sealed(tx: Tx) -> Reply:
        reply = await effect(tx)
        assert isinstance(reply.body, BaseModel)
        body = reply.body.model_dump(mode="json")
        return replace(reply, body={**body, field: box.seal(msgspec.json.encode(body[field])).decode()})

    response = await once(request, one.db, principal, sealed)
    body = msgspec.json.decode(response.body)
    body[field] = msgspec.json.decode(box.open(body[field].encode()))
    headers = {
        name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")
    }
    headers["Cache-Control"] = "no-store"
    return Response(msgspec.json.encode(body), response.status_code, headers, media_type="application/json")
