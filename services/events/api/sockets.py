"""`/v1/hooks/{connection}/onebot`: where bots stand with a WebSocket (OneBot's reverse WebSocket, E5).

What a frame tells of goes the way of a delivery; a bot does not send a frame again, so it waits here until the log
takes it, and the next one behind it.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from kit.clock import uuid7
from kit.database import DatabaseUnavailable
from kit.errors import BadRequest, Forbidden, GuildhallError, NotFound, TooManyRequests, Unauthorized
from kit.http.problems import problem_response
from kit.log import LogUnavailable
from kit.metrics import SOCKETS
from kit.runtime import pause
from kit.service import ServiceRuntime
from services.events.api.common import SERVICE
from services.events.handlers import limiting
from services.events.handlers.connections import Known, known
from services.events.handlers.receiving import receive
from services.events.hearing import hearing_of
from services.events.receivers.form import Beat, Delivery, Refused
from services.events.sockets import Socket, sockets_of

router = APIRouter(tags=["connections"])
logger = structlog.get_logger(__name__)

BEAT = timedelta(seconds=30)
RETRY_SECONDS = 1.0
POLICY_VIOLATION = 1008
EVENTS_ONLY = "event"
"""What a bot with two sockets calls the one that takes no calls."""


@router.websocket("/v1/hooks/{id}/onebot")
async def stand(websocket: WebSocket, id: UUID) -> None:
    """A bot of the connection, with its secret as `Authorization: Bearer` (or `access_token` in the address)."""
    one: ServiceRuntime = websocket.app.state.runtime.services[SERVICE]
    try:
        with limiting.strangers(one, websocket.client.host if websocket.client else "", id):
            connection = await _admitted(one, websocket, id)
    except GuildhallError as error:
        await websocket.send_denial_response(_refusal(one, error))
        return
    await websocket.accept()
    assert connection.receiver.speech is not None
    socket = Socket(websocket, connection.receiver.speech)
    sockets = sockets_of(one)
    calls = websocket.headers.get("x-client-role", "").casefold() != EVENTS_ONLY
    if calls:
        sockets.enter(id, socket)
    SOCKETS.inc()
    living = asyncio.create_task(_live(one, connection))
    try:
        await _listen(one, websocket, socket, id, living)
    except WebSocketDisconnect:
        pass
    finally:
        living.cancel()
        SOCKETS.dec()
        if calls:
            sockets.leave(id, socket)


def _refusal(one: ServiceRuntime, error: GuildhallError) -> Response:
    """What the same refusal looks like to who delivers by POST."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return problem_response(str(uuid7(one.clock())), error.status, error.code, error.message, headers=headers)


async def _admitted(one: ServiceRuntime, websocket: WebSocket, id: UUID) -> Known:
    connection = await known(one, id)
    if connection.receiver.speech is None:
        raise BadRequest(
            f"{connection.receiver.title} does not connect; it posts to the address without /onebot", code="no_socket"
        )
    if not connection.active:
        raise Forbidden("this connection is switched off", code="connection_inactive")
    try:
        connection.receiver.verify(_delivery(one, websocket, b""), connection.secrets, connection.settings)
    except Refused as error:
        raise Unauthorized(error.message, code=error.code) from error
    return connection


def _delivery(one: ServiceRuntime, websocket: WebSocket, frame: bytes) -> Delivery:
    """A frame as the delivery it would be; the token of the handshake speaks for every frame."""
    headers = {name: value for name, value in websocket.headers.items() if name != "x-signature"}
    token = websocket.query_params.get("access_token")
    if token and "authorization" not in headers:
        headers["authorization"] = f"Bearer {token}"
    return Delivery(headers=headers, query={}, body=frame, at=one.clock())


async def _live(one: ServiceRuntime, connection: Known) -> None:
    """An open socket is a sign of life of a bot that sends none itself."""
    while True:
        hearing_of(one).alive(connection.id, connection.community_id, one.clock(), Beat(True, BEAT))
        await asyncio.sleep(BEAT.total_seconds())


async def _listen(
    one: ServiceRuntime, websocket: WebSocket, socket: Socket, id: UUID, living: asyncio.Task[None]
) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        frame = message.get("bytes") or (message.get("text") or "").encode()
        if socket.take_answer(frame):
            continue
        if not await _taken(one, websocket, id, frame, living):
            await websocket.close(POLICY_VIOLATION)
            return


async def _taken(one: ServiceRuntime, websocket: WebSocket, id: UUID, frame: bytes, living: asyncio.Task[None]) -> bool:
    """False when the bot has no business here any more. Waits for the log as long as that takes."""
    delivery = _delivery(one, websocket, frame)
    while True:
        try:
            connection = await known(one, id)
            came = await receive(one, connection, delivery, str(uuid7(delivery.at)))
        except (LogUnavailable, DatabaseUnavailable) as error:
            logger.warning("socket.waiting", connection=str(id), error=str(error))
            if one.stopping.is_set():
                raise
            await pause(one.stopping, RETRY_SECONDS)
        except TooManyRequests as error:
            # What it sends too fast waits in its own line.
            await pause(one.stopping, error.retry_after or RETRY_SECONDS)
        except BadRequest as error:
            logger.info("socket.malformed", connection=str(id), code=error.code)
            return True
        except (Unauthorized, Forbidden, NotFound):
            return False
        else:
            if came.beat is not None and came.beat.interval is not None:
                # It says itself how it is, better than an open socket does.
                living.cancel()
            return True
