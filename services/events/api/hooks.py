"""`/v1/hooks/{connection}`: where chat platforms post (E5). Who posts is told by the platform's own signature."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from kit.http import problems
from kit.service import ServiceRuntime
from services.events.api.common import One
from services.events.handlers import limiting
from services.events.handlers.calling import SENT, answer_to, end
from services.events.handlers.connections import known
from services.events.handlers.receiving import receive
from services.events.receivers.form import Delivery

router = APIRouter(tags=["connections"])


@router.post(
    "/v1/hooks/{id}",
    summary="A platform's delivery",
    response_class=Response,
    responses={
        200: {"description": "Taken; the body is what the platform wants to hear"},
        **problems(400, 401, 403, 404),
    },
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}, "required": False}},
)
async def deliver(request: Request, one: One, id: UUID) -> Response:
    """Answered as soon as what it tells of is durable; the same delivery again counts once. In the form of the
    platform the connection is for: `GET /v1/connections/platforms` names them."""
    return await _answered(request, one, id)


@router.get(
    "/v1/hooks/{id}",
    summary="A platform's handshake",
    response_class=Response,
    responses={200: {"description": "What the platform wants to hear"}, **problems(400, 401, 403, 404)},
)
async def greet(request: Request, one: One, id: UUID) -> Response:
    """For platforms that try an address by GET before they use it."""
    return await _answered(request, one, id)


async def _answered(request: Request, one: ServiceRuntime, id: UUID) -> Response:
    request_id = str(request.scope.get("guildhall.request_id", ""))
    with limiting.strangers(one, request.client.host if request.client else "", id):
        connection = await known(one, id)
        delivery = Delivery(
            headers=dict(request.headers),
            query=dict(request.query_params),
            body=await request.body(),
            at=one.clock(),
            method=request.method,
        )
        came = await receive(one, connection, delivery, request_id)
    answer, after = came.answer, None
    if came.commands and (said := await answer_to(one, connection.receiver, connection.id, came.commands[0])):
        row, answer = said
        # The bot confirms nothing; when this process ends before it is written down, the call is unknown.
        after = BackgroundTask(end, one.db, row, SENT, "in the answer to the delivery")
    return Response(answer.body, answer.status, media_type=answer.media_type if answer.body else None, background=after)
