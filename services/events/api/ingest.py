"""`POST /v1/events`: the only door for activity. Answers when the log has it durably, not when it is counted."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from kit import codec
from kit.auth import Principal, caller, check_scopes
from kit.clock import uuid7
from kit.contracts import ACTIVITY_TOPIC, contract_of
from kit.contracts.events import ImportItemsRejected, RejectedItem
from kit.errors import BadRequest, FieldError, TooLarge, Unprocessable, UnsupportedMediaType
from kit.http import problems
from kit.http.routing import Direct
from kit.log import LogUnavailable, Record
from kit.metrics import EVENTS_INGESTED, EVENTS_REJECTED, LOG_APPEND_FAILURES
from kit.service import ServiceRuntime
from services.events import domain, wire
from services.events.api.common import SERVICE
from services.events.handlers import refusing
from services.events.handlers.door import at_door
from services.events.handlers.limiting import floods_of, forgetting
from services.events.handlers.reading import pieces_of
from services.events.wire import Arrival, Checked

router = APIRouter(tags=["events"], route_class=Direct)

EXAMPLE = {
    "specversion": "1.0",
    "id": "msg:2108901",
    "source": "/bots/qq-main",
    "type": "message.created",
    "time": "2026-10-16T19:08:43Z",
    "subject": "2108901",
    "datacontenttype": "application/json",
    "data": {"actor": "qq:2627274551", "group": "qq:342561735", "reply_to": "2108877", "length": 11, "kind": "text"},
}
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": domain.MAX_ID},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1, "maxLength": domain.MAX_SOURCE},
        "type": {"type": "string", "minLength": 1, "maxLength": domain.MAX_TYPE},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": "string"},
        "data": {"type": "object"},
    },
}
RESULTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["batch_id", "accepted", "rejected", "results"],
    "properties": {
        "batch_id": {"type": "string", "format": "uuid"},
        "accepted": {"type": "integer"},
        "rejected": {"type": "integer"},
        "results": {"type": "array", "items": {"type": "object"}},
    },
}
DOCS: dict[str, Any] = {
    "parameters": [
        {
            "name": "atomic",
            "in": "query",
            "description": "All or nothing: one refused item refuses all (422).",
            "schema": {"type": "boolean", "default": False},
        },
        {
            "name": "Guildhall-Import",
            "in": "header",
            "description": "Post as history under this name (scope events:import): taken at its own times.",
            "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            wire.STRUCTURED: {"schema": EVENT_SCHEMA, "example": EXAMPLE},
            wire.BATCHED: {"schema": {"type": "array", "items": EVENT_SCHEMA}, "example": [EXAMPLE]},
            wire.LINES: {"schema": {"type": "string"}},
            wire.JSON: {"schema": {"type": "object"}, "example": {"actor": "qq:2627274551"}},
        },
    },
    "responses": {
        "200": {
            "description": "One answer per item, in input order",
            "content": {"application/json": {"schema": RESULTS_SCHEMA}},
        },
        "422": {
            "description": "`atomic` was asked for and an item was refused (or it is no boolean); nothing was accepted",
            "content": {
                "application/json": {"schema": RESULTS_SCHEMA},
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            },
        },
    },
}


class _Error(msgspec.Struct):
    code: str
    pointer: str
    message: str


class _Result(msgspec.Struct, omit_defaults=True):
    index: int
    id: str | None
    status: str
    retryable: bool | None = None
    error: _Error | None = None
    warning: _Error | None = None


class _Reply(msgspec.Struct):
    batch_id: UUID
    accepted: int
    rejected: int
    results: list[_Result]


_counting_failures = LOG_APPEND_FAILURES.labels(SERVICE).count_exceptions(LogUnavailable)
_encode = msgspec.json.Encoder().encode


@router.post(
    "/v1/events",
    summary="Post activity: one event, a batch, lines, or a binary-mode event",
    response_class=Response,
    responses=problems(400, 415),
    openapi_extra=DOCS,
)
async def ingest(request: Request) -> Response:
    """The mode is chosen by `Content-Type`; what was accepted is durable and never counted twice.

    Every item gets its answer, under 200 also when some are refused. 503 means nothing was accepted: send it again.
    """
    one: ServiceRuntime = request.app.state.runtime.services[SERVICE]
    principal = await caller(one, request)
    arrival = _arrival(request, one, principal)
    atomic = _atomic(request)
    body = await request.body()
    try:
        items, alone = _items(request, body)
    except (BadRequest, UnsupportedMediaType) as error:
        await refusing.keep_body(one, arrival, body, error.code, error.message)
        raise
    most = one.settings.max_events_per_request
    if len(items) > most:
        raise TooLarge(f"at most {most} events in one request", code="too_many_events", limit=most)
    checked = wire.check_all(items, body, arrival)
    if alone and checked.wrong:
        # One event alone: what cannot be parsed at all is the request's fault, not an item's.
        try:
            wire.must_parse(body)
        except BadRequest as error:
            await refusing.keep_body(one, arrival, body, error.code, error.message)
            raise
    checked = await at_door(one, arrival, items, checked)
    return await _append(one, arrival, items, checked, atomic=atomic)


def _atomic(request: Request) -> bool:
    if not request.scope["query_string"]:
        return False
    text = request.query_params.get("atomic", "false")
    if text not in ("true", "false", "1", "0"):
        wrong = FieldError("/query/atomic", "boolean_expected", "true or false")
        raise Unprocessable("atomic is true or false", code="validation_failed", errors=[wrong])
    return text in ("true", "1")


def _arrival(request: Request, one: ServiceRuntime, principal: Principal) -> Arrival:
    check_scopes(principal, ("events:write",))
    name = request.headers.get("guildhall-import")
    if name is not None:
        check_scopes(principal, ("events:import",))
        try:
            name = domain.import_name(name)
        except ValueError as error:
            raise BadRequest(str(error), code="import_name_invalid") from error
    request_id = str(request.scope.get("guildhall.request_id", ""))
    return Arrival(
        principal.community_id,
        one.clock(),
        name,
        request_id,
        one.settings.max_event_bytes,
        floods=floods_of(one) if name is None else None,
        pieces=pieces_of(one, principal.community_id),
    )


def _items(request: Request, body: bytes) -> tuple[list[Any], bool]:
    """The items, and whether the body is one structured event alone."""
    content_type = request.headers.get("content-type", "")
    if not content_type and "ce-specversion" in request.headers:
        # SDKs leave it out in binary mode when the event says no datacontenttype; the specification means JSON then.
        content_type = wire.JSON
    media_type = wire.media_type_of(content_type)
    if media_type == wire.JSON:
        return [wire.binary_item(dict(request.headers), body)], False
    if media_type == wire.STRUCTURED and not body.strip():
        raise BadRequest("the body is empty; send an event", code="json_invalid")
    return wire.split(media_type, body), media_type == wire.STRUCTURED


async def _append(
    one: ServiceRuntime, arrival: Arrival, items: list[Any], checked: Checked, *, atomic: bool
) -> Response:
    refused = atomic and bool(checked.wrong)
    accepted = [] if refused else checked.records
    records = accepted
    if checked.wrong:
        records = [*accepted, *refusing.of_items(one, arrival, items, checked)]
        if arrival.import_name:
            records += _rejections(arrival, checked)
    if records and not (accepted or arrival.import_name):
        await refusing.append(one, records)
    elif records:
        with _counting_failures, forgetting(arrival.floods):
            await one.log.append(ACTIVITY_TOPIC, records)
    EVENTS_INGESTED.inc(len(accepted))
    for wrong in checked.wrong.values():
        EVENTS_REJECTED.labels(wrong.code).inc()
    body = (
        _plain_reply(arrival, checked)
        if not checked.wrong and not checked.warnings
        else _reply(arrival, checked, refused)
    )
    return Response(body, 422 if refused else 200, media_type="application/json")


def _plain_reply(arrival: Arrival, checked: Checked) -> bytes:
    """The answer when every item was accepted, which is nearly always: the same bytes as `_reply` makes, in fewer
    steps."""
    count = len(checked.ids)
    while len(_BEFORE) < count:
        _BEFORE.append(b'","status":"accepted"},{"index":%d,"id":"' % len(_BEFORE))
    # Quotes inside an id are escaped, so that `","` stands between two of them only.
    ids = _encode(checked.ids)[2:-2].split(b'","')
    parts = [part for pair in zip(_BEFORE, ids, strict=False) for part in pair]
    head = b'{"batch_id":"%s","accepted":%d,"rejected":0,"results":[' % (
        str(uuid7(arrival.received_at)).encode(),
        count,
    )
    if not count:
        return head + b"]}"
    parts[0] = head + b'{"index":0,"id":"'
    parts.append(b'","status":"accepted"}]}')
    return b"".join(parts)


_BEFORE: list[bytes] = []
"""What stands between the ids of an answer, by index; grows to the most items a request ever had."""


def _reply(arrival: Arrival, checked: Checked, refused: bool) -> bytes:
    accepted = 0 if refused else len(checked.records)
    rejected = len(checked.ids) - accepted
    return _encode(_Reply(uuid7(arrival.received_at), accepted, rejected, _answers(checked, refused)))


def _answers(checked: Checked, refused: bool) -> list[_Result]:
    other = _Error("atomic", "", "another item of the request was refused")
    out = []
    for index, id in enumerate(checked.ids):
        wrong = checked.wrong.get(index)
        if wrong is not None:
            out.append(_Result(index, id, "rejected", False, _Error(wrong.code, wrong.pointer, wrong.message)))
        elif refused:
            out.append(_Result(index, id, "rejected", True, other))
        else:
            out.append(_Result(index, id, "accepted", warning=_warning(checked, index)))
    return out


def _warning(checked: Checked, index: int) -> _Error | None:
    found = checked.warnings.get(index)
    return _Error(found.code, found.pointer, found.message) if found is not None else None


def _rejections(arrival: Arrival, checked: Checked) -> list[Record]:
    """The refused items of an import, for `GET /v1/imports/{name}`; on the log, because the database may be away."""
    assert arrival.import_name is not None
    items = tuple(
        RejectedItem(id=_shown(checked.ids[index]), code=wrong.code, pointer=wrong.pointer, message=wrong.message)
        for index, wrong in checked.wrong.items()
    )
    event = ImportItemsRejected(community_id=arrival.community_id, import_name=arrival.import_name, items=items)
    at: datetime = arrival.received_at
    key = contract_of(ImportItemsRejected).key(event).encode()
    return [Record(key, codec.encode(event, id=uuid7(at), time=at, request_id=arrival.request_id))]


def _shown(id: str | None) -> str | None:
    """The id of a refused item as the report can keep it: it may be what was wrong, too long or with NUL in it."""
    return id.replace("\0", "\N{REPLACEMENT CHARACTER}")[: domain.MAX_ID] if id else None
