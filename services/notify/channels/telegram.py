"""Telegram's Bot API: `sendMessage`, without a parse mode, so that no character of a name means anything."""

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
    seconds,
    text_of,
)

PLATFORM = "telegram"
LONGEST = 4096
"""UTF-16 units: what Telegram counts a text in."""


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: what @BotFather gave."""

    token: str


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`base_url`: that of a Bot API server of one's own; Telegram's otherwise."""

    base_url: str = "https://api.telegram.org"


def call(said: Said, secrets: Secrets, settings: Settings) -> Call:
    chat = said.group if said.group is not None else said.identity
    body: dict[str, Any] = {"chat_id": number_of(chat, PLATFORM), "text": fitting(said.text)}
    answered = _number(said.reply_to)
    if answered is not None:
        body["reply_parameters"] = {"message_id": answered, "allow_sending_without_reply": True}
    return Call(f"{settings.base_url.rstrip('/')}/bot{secrets.token}/sendMessage", msgspec.json.encode(body))


def _number(reply_to: str | None) -> int | None:
    """A message's number, the last part of how its receiver calls it (`chat:message`)."""
    number = (reply_to or "").rpartition(":")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None


def fitting(text: str) -> str:
    """The text, cut to what one message of Telegram's takes."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST:
        return text
    return units[: 2 * (LONGEST - 1)].decode("utf-16-le", "ignore") + "…"


def read(answer: Answer) -> Outcome:
    body = json_of(answer)
    told = text_of(body, "description")
    if answer.status == 429:
        more = body.get("parameters")
        asked = seconds(more.get("retry_after")) if isinstance(more, dict) else None
        after = seconds(answer.headers.get("retry-after")) if asked is None else asked
        return Retry("too_many_requests", after, everything=True, trouble=False)
    if answer.status == 401 or (answer.status == 404 and told in ("", "Not Found")):
        return Failed("token_refused", "Telegram does not know this bot's token")
    if answer.status == 403:
        # Of a group the bot was put out of, only the group is lost; a person said no.
        return Failed("blocked_by_user" if _by_a_person(told) else "bot_refused", told, blocked=_by_a_person(told))
    known = by_status(answer, told)
    if known is not None:
        return known
    result = body.get("result")
    if body.get("ok") is not True or not isinstance(result, dict):
        return Unknown("answer_unclear", "Telegram's answer was cut, or is none of its own")
    return Sent(str(result["message_id"]) if type(result.get("message_id")) is int else None)


def _by_a_person(told: str) -> bool:
    return "blocked by the user" in told or "user is deactivated" in told


CHANNEL = Channel(
    kind="telegram",
    title="Telegram",
    secrets=Secrets,
    settings=Settings,
    addresses=lambda settings: (settings.base_url,),
    call=call,
    read=read,
)
