"""One idempotency rule for every POST that creates or moves something (K12).

With `Idempotency-Key` the effect and its reply commit in one transaction, so a crash leaves both or neither. The
same key and body get the stored reply with `Idempotent-Replayed: true`; another body 422; a twin still running 409.
Scope: credential and route. Refusals (raised errors) and 5xx are not stored: they changed nothing, try again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from pydantic import BaseModel
from sqlalchemy import delete, select
from starlette.requests import Request
from starlette.responses import Response

from kit.auth import Principal
from kit.database import Database, Tx, insert_many, try_lock
from kit.errors import BadRequest, Conflict, Unprocessable

MAX_KEY = 255
PURGE_STEP = 2000


@dataclass(frozen=True, slots=True)
class Reply:
    """What an effect answers: a status below 500 and a JSON body (None for an empty one)."""

    status: int
    body: BaseModel | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


Effect = Callable[[Tx], Awaitable[Reply]]


async def once(request: Request, db: Database, principal: Principal, effect: Effect) -> Response:
    """Run `effect` in a transaction, at most once per `Idempotency-Key`; without the header, every time."""
    key = request.headers.get("idempotency-key")
    if key is None:
        async with db.begin() as tx:
            reply = await effect(tx)
        return reply_of(reply)
    if not 0 < len(key) <= MAX_KEY:
        raise BadRequest(f"Idempotency-Key has 1 to {MAX_KEY} characters", code="idempotency_key_invalid")
    digest = hashlib.sha256(request.url.query.encode() + b"\n" + await request.body()).digest()
    scope = {"credential": f"{principal.kind}:{principal.id}"[:100], "route": _route(request), "key": key}
    async with db.begin() as tx:
        if not await try_lock(tx, "\n".join(("idempotency", *scope.values()))):
            raise Conflict(
                "a request with this Idempotency-Key is still running", code="idempotency_running", retry_after=1
            )
        table = tx.database.table("idempotency")
        kept = await tx.first(select(table).where(*(table.c[name] == value for name, value in scope.items())))
        if kept is not None:
            if kept.body_hash != digest:
                raise Unprocessable("this Idempotency-Key was used for another request", code="idempotency_key_reused")
            return _response(kept.status, kept.body, {**kept.headers, "Idempotent-Replayed": "true"})
        reply = await effect(tx)
        body = _encoded(reply.body)
        if reply.status < 500:
            row = {"body_hash": digest, "status": reply.status, "headers": reply.headers, "body": body}
            await insert_many(tx, table, [{**scope, **row, "created_at": tx.now}])
    return _response(reply.status, body, reply.headers)


def reply_of(reply: Reply) -> Response:
    """An effect's answer as it is sent."""
    return _response(reply.status, _encoded(reply.body), reply.headers)


def _route(request: Request) -> str:
    """Method and path as called: two resources under one template are two routes."""
    return f"{request.method} {request.url.path}"[:200]


def _encoded(body: BaseModel | dict[str, Any] | None) -> bytes:
    if body is None:
        return b""
    return body.model_dump_json().encode() if isinstance(body, BaseModel) else msgspec.json.encode(body)


def _response(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type="application/json" if body else None)


async def purge(db: Database, keep: timedelta) -> int:
    """Forget replies older than `keep`, in small steps; returns how many."""
    table = db.table("idempotency")
    total = 0
    while True:
        async with db.begin() as tx:
            old = select(table.c.credential, table.c.route, table.c.key).where(table.c.created_at < tx.now - keep)
            rows = await tx.all(old.limit(PURGE_STEP))
            for row in rows:
                same = (table.c.credential == row.credential, table.c.route == row.route, table.c.key == row.key)
                await tx.execute(delete(table).where(*same))
        total += len(rows)
        if len(rows) < PURGE_STEP:
            return total
