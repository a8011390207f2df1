"""Bots' platforms that are asked how a connection is set up: servers on loopback that answer as theirs do."""

import asyncio
import json
from typing import Any

from services.events.receivers.telegram import WANTED
from tests.events.support import Place
from tests.notify.chats import Api, Behaviour, answering

TOKEN = "700123:AAH-secret_token"
GROUP = "telegram:-100200"
ME = {"id": 700123, "is_bot": True, "username": "hall_bot", "can_read_all_group_messages": True}
ADMINISTRATOR = {"status": "administrator", "user": {"id": 700123}}


def yes(result: Any) -> Behaviour:
    return answering(200, {"ok": True, "result": result})


def no(status: int, description: str, **more: Any) -> Behaviour:
    return answering(status, {"ok": False, "error_code": status, "description": description, **more})


def bot_api(**by_method: Behaviour) -> Behaviour:
    """Telegram's Bot API: what each method is answered with; of a group, what stands under its number."""

    async def behave(one: Api, writer: asyncio.StreamWriter) -> None:
        path, _, body = one.asked[-1]
        _, token, method = path.split("/")
        name = f"chat{body['chat_id']}" if f"chat{body.get('chat_id')}" in by_method else method
        known = token == f"bot{TOKEN}"
        await (by_method[name] if known else no(401, "Unauthorized"))(one, writer)

    return behave


def telegram(made: dict[str, Any], **other: Any) -> Behaviour:
    """A bot that is set up as it should be, but for what is said otherwise."""
    webhook = {"url": made["url"], "pending_update_count": 0, "allowed_updates": list(WANTED)}
    usual = {"getMe": yes(ME), "getWebhookInfo": yes(webhook), "getChatMember": yes(ADMINISTRATOR)}
    changed = {
        k: yes({**webhook, **v}) if k == "getWebhookInfo" and isinstance(v, dict) else v for k, v in other.items()
    }
    return bot_api(**{**usual, **changed})


async def connected(place: Place, platform: str = "telegram", **more: Any) -> dict[str, Any]:
    reply = await place.client.post("/v1/connections", json={"platform": platform, "name": "hall", **more})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def asking(bot: Api, *groups: str, token: str = TOKEN) -> dict[str, Any]:
    return {"credentials": {"token": token}, "base_url": bot.url, "groups": list(groups)}


async def checked(place: Place, made: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The findings by their code, after the answer was found to be in order."""
    reply = await place.client.post(f"/v1/connections/{made['id']}/check", json=body)
    assert reply.status_code == 200, reply.text
    assert TOKEN not in reply.text
    answer = reply.json()
    levels = [found["level"] for found in answer["findings"]]
    assert levels == sorted(levels, key=["error", "warning", "ok"].index)
    assert answer["level"] == levels[0]
    assert all(bool(found["advice"]) == (found["level"] != "ok") for found in answer["findings"])
    return {found["code"]: found for found in answer["findings"]}


def levels(found: dict[str, Any]) -> dict[str, str]:
    return {code: each["level"] for code, each in found.items()}


async def delivered(place: Place, made: dict[str, Any], body: Any, secret: str | None = None) -> int:
    given = made["secret"]["secrets"]["secret"] if secret is None else secret
    headers = {"X-Telegram-Bot-Api-Secret-Token": given, "Content-Type": "application/json"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (await place.client.post(f"/v1/hooks/{made['id']}", content=content, headers=headers)).status_code


def message(number: int, chat: int = -100200) -> dict[str, Any]:
    said = {"message_id": number, "from": {"id": 5}, "chat": {"id": chat, "type": "supergroup"}, "text": "hello"}
    return {"update_id": number, "message": {**said, "date": 1795000000 + number}}
