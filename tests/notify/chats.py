"""Commands in a chat as the other services tell of them, and servers that answer as bots' APIs do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from kit import codec
from kit.contracts import ACTIVITY_TOPIC, activity_event_id, identity_member_id
from kit.contracts.events import CallEnded
from kit.contracts.members import BindAnswered
from kit.contracts.notify import CallWanted
from kit.contracts.rewards import CommandAnswered
from kit.log import Record
from tests.events.support import on_the_log
from tests.notify.support import Notify, Place

SOURCE = "/bots/1"
QQ = {"actor": "qq:10001", "group": "qq:555"}
TELEGRAM = {"actor": "telegram:77", "group": "telegram:-100200"}


@dataclass(slots=True)
class Command:
    """A command somebody gives; `event_id` is what answers name."""

    place: Place
    connection: UUID
    actor: str
    name: str = field(default_factory=lambda: f"command:{uuid4()}")

    @property
    def event_id(self) -> UUID:
        return activity_event_id(self.place.id, SOURCE, self.name)

    @property
    def member(self) -> UUID:
        return identity_member_id(self.place.id, self.actor)

    def points(self, amount: int = 120) -> CommandAnswered:
        return self.answer("points", {"balances": [{"unit": "points", "amount": amount}]})

    def answer(self, answer: str, facts: dict[str, Any]) -> CommandAnswered:
        return CommandAnswered(
            community_id=self.place.id, event_id=self.event_id, member_id=self.member, answer=answer, facts=facts
        )

    def bound(self, outcome: str, member_id: UUID | None = None) -> BindAnswered:
        return BindAnswered(
            community_id=self.place.id,
            event_id=self.event_id,
            identity=self.actor,
            outcome=outcome,
            member_id=member_id,
        )

    async def messages(self) -> list[dict[str, Any]]:
        """What became of the replies to it."""
        items: list[dict[str, Any]] = (await self.place.get("/v1/messages", cause=str(self.event_id)))["items"]
        return items

    async def message(self) -> dict[str, Any]:
        [one] = await self.messages()
        return one

    async def steps(self) -> list[tuple[str, str]]:
        trace = await self.place.get(f"/v1/messages/{(await self.message())['id']}/trace")
        return [(step["step"], step["verdict"]) for step in trace["steps"]]

    async def becomes(self, *states: str) -> dict[str, Any]:
        """The reply when it has come into one of these states."""
        async with asyncio.timeout(60):
            while True:
                found = await self.messages()
                if found and found[0]["state"] in states:
                    return found[0]
                await asyncio.sleep(0.05)


async def command(
    place: Place, name: str = "points", *, connection: UUID | None = None, said: bool = True, **more: Any
) -> Command:
    """Somebody gives a command through a connection (in QQ unless told otherwise). `said` False: not on the log yet,
    `tell` does that."""
    made = Command(place, connection or uuid4(), more.pop("actor", QQ["actor"]))
    if said:
        await tell(made, name, **more)
    return made


async def tell(made: Command, name: str = "points", **more: Any) -> None:
    """It comes over the log, perhaps again."""
    notify = made.place.notify
    data = {"actor": made.actor, "command": name, "group": QQ["group"], "ref": "-77", **more.pop("data", {})}
    data = {key: value for key, value in data.items() if value is not None}
    fields: dict[str, Any] = {
        "specversion": "1.0", "id": made.name, "source": SOURCE, "type": "command.invoked", "time": notify.clock(),
        "communityid": made.place.id, "receivedtime": notify.clock(), "subject": "555:9",
        "connection": str(made.connection), "data": data,
    }  # fmt: skip
    wire = codec.ActivityWire(**{**fields, **more})
    key = f"{made.place.id}:{made.actor}".encode()
    await notify.log.append(ACTIVITY_TOPIC, [Record(key, msgspec.json.encode(wire))])
    await notify.settle()


async def wanted(notify: Notify) -> list[CallWanted]:
    return [e for e in await on_the_log(notify.log, "guildhall.notify") if isinstance(e, CallWanted)]


def ended(call: CallWanted, outcome: str = "sent", **more: Any) -> CallEnded:
    values = {"reason": "", "reference": "-991" if outcome == "sent" else None, **more}
    return CallEnded(
        **{
            "community_id": call.community_id,
            "connection_id": call.connection_id,
            "call_id": call.call_id,
            "outcome": outcome,
            **values,
        }
    )


Behaviour = Callable[["Api", asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Api:
    """A bot's API on loopback. `asked` are the requests: path, headers, body. What it does next is the first of
    `next`, or `usual`."""

    url: str = ""
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    next: list[Behaviour] = field(default_factory=list)
    usual: Behaviour | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (r.partition(": ") for r in rest if r)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append((line.split()[1], headers, json.loads(body)))
            behave = self.next.pop(0) if self.next else self.usual
            assert behave is not None
            await behave(self, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answering(status: int, body: Any, **headers: str) -> Behaviour:
    async def behave(api: Api, writer: asyncio.StreamWriter) -> None:
        payload = json.dumps(body).encode() if not isinstance(body, bytes) else body
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n{lines}\r\n".encode() + payload)
        await writer.drain()

    return behave


async def cut(api: Api, writer: asyncio.StreamWriter) -> None:
    """Breaks off in the middle of its answer."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"ok": tr')
    await writer.drain()


async def silent(api: Api, writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing, until the other side goes away."""
    await asyncio.sleep(30)


async def hang_up(api: Api, writer: asyncio.StreamWriter) -> None:
    """Takes the request and closes."""


TELEGRAM_OK = answering(200, {"ok": True, "result": {"message_id": 4711}})
ONEBOT_OK = answering(200, {"status": "ok", "retcode": 0, "data": {"message_id": -42}})


@asynccontextmanager
async def api(usual: Behaviour) -> AsyncIterator[Api]:
    one = Api(usual=usual)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()


async def set_up(place: Place, kind: str, url: str, connection: UUID | None = None, **more: Any) -> dict[str, Any]:
    """A channel of a connection, in the place's name."""
    setting = {"telegram": "base_url", "onebot": "url"}[kind]
    body = {
        "connection_id": str(connection or uuid4()),
        "kind": kind,
        "settings": {setting: url},
        "secrets": {"token": "123:secret-token"},
        **more,
    }
    reply = await (await maker(place)).post("/v1/channels", json=body)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def maker(place: Place) -> Any:
    return await place.notify.key(place.id, "channels:write", "notify:read", "notify:write")


async def later(notify: Notify, seconds: float) -> None:
    notify.clock.advance(timedelta(seconds=seconds))
    await notify.settle()
