"""A bot's WebSocket through the gateway: in with its secret, out with an answer, and open for as long as it likes."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.events.test_commands import message
from tests.support.gateway import Through

SILENCE_SECONDS = 65
"""Longer than the gateway lets an ordinary exchange stand still."""


async def made_by(through: Through) -> dict[str, Any]:
    reply = await through.client.post("/v1/connections", json={"platform": "onebot-v11", "name": "our bot"})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def standing(through: Through, made: dict[str, Any], secret: str) -> Any:
    url = through.url.replace("http", "ws", 1) + f"/v1/hooks/{made['id']}/onebot"
    return connect(url, additional_headers={"Authorization": f"Bearer {secret}"}, ping_interval=None)


async def answered(through: Through, bot: Any, number: int) -> str:
    await bot.send(json.dumps(message("/points", datetime.now(UTC).timestamp(), number)))
    call = json.loads(await asyncio.wait_for(bot.recv(), 60))
    await bot.send(json.dumps({"status": "ok", "retcode": 0, "data": {"message_id": 1}, "echo": call["echo"]}))
    return str(call["params"]["message"][-1]["data"]["text"])


async def test_a_command_is_answered_over_the_bots_own_socket(through: Through) -> None:
    made = await made_by(through)
    async with standing(through, made, made["secret"]["secrets"]["secret"]) as bot:
        assert "You have" in await answered(through, bot, 1)
        await through.settle()
    messages = (await through.client.get("/v1/messages", params={"template": "command.points"})).json()["items"]
    assert [(one["channel"], one["state"]) for one in messages] == [("onebot", "sent")]


async def test_a_stranger_is_refused_as_without_a_gateway(through: Through) -> None:
    made = await made_by(through)
    with pytest.raises(InvalidStatus) as refused:
        async with standing(through, made, "wrong"):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "token_wrong"


@pytest.mark.soak
async def test_a_socket_over_which_nothing_is_said_stays_open(through: Through) -> None:
    made = await made_by(through)
    async with standing(through, made, made["secret"]["secrets"]["secret"]) as bot:
        await asyncio.sleep(SILENCE_SECONDS)
        assert "You have" in await answered(through, bot, 1)
