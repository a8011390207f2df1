"""Bots that stand at our door with a WebSocket: who is here, calls made over it and their answers."""

import asyncio
from collections.abc import Sequence
from itertools import count
from uuid import UUID

from starlette.websockets import WebSocket, WebSocketDisconnect

from kit.outside import NoAnswer, NotCalled
from kit.service import ServiceRuntime
from services.events.receivers.form import Outcome, Said, Speech


class Socket:
    """One bot's WebSocket. Calls may overlap; each waits for the answer with its own echo."""

    def __init__(self, websocket: WebSocket, speech: Speech) -> None:
        self._websocket = websocket
        self._speech = speech
        self._numbers = count(1)
        self._open: dict[str, asyncio.Future[Outcome]] = {}

    async def call(self, said: Said, seconds: float) -> Outcome:
        """NotCalled when it did not go out, NoAnswer when the bot does not answer in time or goes away."""
        echo = f"guildhall:{next(self._numbers)}"
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._open[echo] = answer
        try:
            try:
                await self._websocket.send_text(self._speech.call(said, echo))
            except (WebSocketDisconnect, RuntimeError, OSError) as error:
                raise NotCalled("the bot went away") from error
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise NoAnswer(f"the bot did not answer within {seconds:.0f} s") from error
        finally:
            del self._open[echo]

    def take_answer(self, frame: bytes) -> bool:
        """Whether a frame was an answer to a call; one to a call that is given up is passed over."""
        answered = self._speech.answered(frame)
        if answered is None:
            return False
        echo, outcome = answered
        waiting = self._open.get(echo)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
        return True

    def went_away(self) -> None:
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(NoAnswer("the bot went away before it answered"))


class Sockets:
    """The sockets of this process by connection; a bot that connects anew is called over its newest one."""

    def __init__(self) -> None:
        self._by_connection: dict[UUID, list[Socket]] = {}

    def enter(self, connection_id: UUID, socket: Socket) -> None:
        self._by_connection.setdefault(connection_id, []).append(socket)

    def leave(self, connection_id: UUID, socket: Socket) -> None:
        socket.went_away()
        here = self._by_connection[connection_id]
        here.remove(socket)
        if not here:
            del self._by_connection[connection_id]

    def of(self, connection_id: UUID) -> Socket | None:
        here = self._by_connection.get(connection_id)
        return here[-1] if here else None

    def connections(self) -> Sequence[UUID]:
        return list(self._by_connection)


def sockets_of(one: ServiceRuntime) -> Sockets:
    made = one.memory.get("sockets")
    if made is None:
        made = one.memory["sockets"] = Sockets()
    assert isinstance(made, Sockets)
    return made
