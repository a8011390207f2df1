"""Telling a OneBot v11 bot to say something: over its socket, or in the answer to its delivery."""

from typing import Any

import msgspec

from services.events.receivers.form import Answer, Malformed, Outcome, Said, Speech
from services.events.receivers.reading import inner, json_object, whole, word


def _message(said: Said, *, quoting: bool) -> list[dict[str, Any]]:
    """In segments: text is never read for CQ codes there."""
    text = {"type": "text", "data": {"text": said.text}}
    return [{"type": "reply", "data": {"id": said.reply_to}}, text] if quoting and said.reply_to else [text]


def call(said: Said, echo: str) -> str:
    params: dict[str, Any] = {"message": _message(said, quoting=True)}
    if said.group is not None:
        action = "send_group_msg"
        params["group_id"] = _number(said.group)
    else:
        action = "send_private_msg"
        params["user_id"] = _number(said.identity)
    return msgspec.json.encode({"action": action, "params": params, "echo": echo}).decode()


def _number(identity: str) -> int | str:
    """QQ numbers are numbers to every implementation; what is none is left for the bot to refuse."""
    number = identity.partition(":")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else number


def answered(frame: bytes) -> tuple[str, Outcome] | None:
    """An event has a post_type and no retcode."""
    if b'"retcode"' not in frame or b'"echo"' not in frame:
        return None
    try:
        body = json_object(frame)
    except Malformed:
        return None
    echo = body.get("echo")
    if "post_type" in body or not isinstance(echo, str):
        return None
    if word(body, "status") == "failed" or whole(body, "retcode") not in (0, 1):
        return echo, Outcome(False, f"the bot refused: retcode {whole(body, 'retcode')}")
    # 1 (async): it was taken, and what comes of it is not told.
    return echo, Outcome(True, "", word(inner(body, "data"), "message_id") or None)


def quick(said: Said) -> Answer:
    """A quick operation: the bot itself knows where, and to which message."""
    reply = {"reply": _message(said, quoting=False), "auto_escape": True, "at_sender": False}
    return Answer(200, msgspec.json.encode(reply))


SPEECH = Speech(call=call, answered=answered, quick=quick)
