"""OneBot v11 over HTTP: the API that NapCat, LLOneBot, Lagrange and go-cqhttp open for QQ accounts.

What is said goes in segments: a text segment is never read for CQ codes, whatever names are in it.
"""

from typing import Any

import msgspec

from kit.outside import Answer, Call
from services.notify.channels.form import (
    Channel,
    Failed,
    Outcome,
    Retry,
    Said,
    Sent,
    Unknown,
    by_status,
    json_of,
    number_of,
    text_of,
)

PLATFORM = "qq"


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: the access token of the bot's HTTP API; empty where it has none."""

    token: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: where the bot's HTTP API listens."""

    url: str


def call(said: Said, secrets: Secrets, settings: Settings) -> Call:
    message: list[dict[str, Any]] = [{"type": "text", "data": {"text": said.text}}]
    if said.reply_to:
        message.insert(0, {"type": "reply", "data": {"id": said.reply_to}})
    if said.group is not None:
        action, whom = "send_group_msg", {"group_id": number_of(said.group, PLATFORM)}
    else:
        action, whom = "send_private_msg", {"user_id": number_of(said.identity, PLATFORM)}
    headers = {"Authorization": f"Bearer {secrets.token}"} if secrets.token else {}
    body = msgspec.json.encode({**whom, "message": message})
    return Call(f"{settings.url.rstrip('/')}/{action}", body, headers)


def read(answer: Answer) -> Outcome:
    body = json_of(answer)
    said = text_of(body, "wording", "message", "msg")
    if answer.status in (401, 403):
        return Failed("token_refused", said or "the bot does not take the token of this channel")
    known = by_status(answer, said)
    if known is not None:
        return known
    retcode = body.get("retcode")
    if not answer.whole or type(retcode) is not int:
        return Unknown("answer_unclear", "the bot's answer was cut, or is none of OneBot's")
    if body.get("status") != "failed" and retcode in (0, 1):
        # 1 (async): it was taken, and what comes of it is not told.
        data = body.get("data")
        name = data.get("message_id") if isinstance(data, dict) else None
        return Sent(str(name) if type(name) in (int, str) and name not in (0, "") else None)
    if "timeout" in said.lower() or "超时" in said:
        # NapCat gave up waiting for QQ to confirm; such messages are often in the group nonetheless.
        return Unknown("not_confirmed", f"retcode {retcode}: {said}")
    if retcode in (1404, 1405):
        return Failed("api_missing", f"retcode {retcode}: {said}")
    if retcode == 1429:
        return Retry("too_many_requests", None, everything=True, trouble=False)
    return Failed("bot_refused", f"retcode {retcode}: {said}")


CHANNEL = Channel(
    kind="onebot",
    title="QQ (OneBot v11 over HTTP)",
    secrets=Secrets,
    settings=Settings,
    addresses=lambda settings: (settings.url,),
    call=call,
    read=read,
)
