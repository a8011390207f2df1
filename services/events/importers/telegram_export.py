"""Telegram Desktop's `result.json`: one chat, or a whole account of which only groups and channels are taken."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from services.events.importers.as_received import event_of, seen_by
from services.events.importers.choices import Choices
from services.events.importers.json_stream import Element, begins, elements
from services.events.importers.lines import Broken, Event, Line, numbered
from services.events.receivers.form import Seen
from services.events.receivers.reading import inner, seconds, together, whole, word, words
from services.events.receivers.reading import items as parts
from services.events.receivers.telegram import RECEIVER, Settings
from services.events.receivers.telegram_members import PLATFORM, group_of, user

LISTS = {
    "messages": "",
    "chats.list.item.messages": "chats.list.item",
    "left_chats.list.item.messages": "left_chats.list.item",
}
KINDS = {
    "private_group": "group",
    "public_group": "group",
    "private_supergroup": "supergroup",
    "public_supergroup": "supergroup",
    "private_channel": "channel",
    "public_channel": "channel",
}
PRIVATE = frozenset({"personal_chat", "bot_chat", "saved_messages", "replies", "verification_codes"})
MEDIA = {
    "sticker": "sticker",
    "video_message": "video_note",
    "voice_message": "voice",
    "animation": "animation",
    "video_file": "video",
    "audio_file": "audio",
}
CONTENT = {
    "photo": "photo",
    "file": "document",
    "contact_information": "contact",
    "place_name": "venue",
    "location_information": "location",
    "poll": "poll",
    "game_title": "game",
}
JOINED = frozenset({"join_group_by_link", "join_group_by_request"})
UNSHARED = "/exports/telegram"
"""The source of messages of small groups, which every member's Telegram numbers for itself."""

_SUPERGROUPS = -(10**12)
_FIRST_ID_THAT_IS_NO_USERS = 2**32
_ALL = Settings()


def recognises(path: Path) -> bool:
    """Whether a file begins as an export of one chat does, or as one of an account."""
    of_a_chat = (
        r'\{\s*"(name|type|id)"\s*:',
        r'"type"\s*:\s*"(private|public)_(super)?(group|channel)"',
        r'"messages"\s*:',
    )
    return begins(path, *of_a_chat) or begins(path, r'\{\s*"about"\s*:')


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every message of groups and channels, who came and went, and the reactions whose giver is named."""
    said = {f"{outer}.{name}".lstrip(".") for outer in LISTS.values() for name in ("type", "id")}
    return numbered(_public(path, said), _Chats())


def _public(path: Path, said: set[str]) -> Iterator[tuple[str, Element | Broken]]:
    """Without private chats: these are left out before anything is made of them."""
    for where, found in elements(path, LISTS, said):
        if isinstance(found, Broken) or _head(found, "type") not in PRIVATE:
            yield where, found


def _head(found: Element, name: str) -> Any:
    return next((value for place, value in found.head.items() if place.rpartition(".")[2] == name), None)


class _Chats:
    """Translates message by message; remembers the topics of the chat it is in, to which everything there replies."""

    def __init__(self) -> None:
        self._chat: dict[str, Any] = {}
        self._topics: set[str] = set()

    def __call__(self, found: Element) -> list[Event]:
        chat = _chat(found)
        if chat != self._chat:
            self._chat, self._topics = chat, set()
        message = found.value
        if not isinstance(message, dict):
            raise ValueError("not a JSON object")
        number, kind = whole(message, "id"), word(message, "type")
        if number is None or not word(message, "id"):
            raise ValueError("field 'id' is missing or no number")
        if whole(message, "date_unixtime") is None:
            raise ValueError("no 'date_unixtime': export again with a newer Telegram Desktop")
        if kind == "service":
            if word(message, "action") == "topic_created":
                self._topics.add(word(message, "id"))
            return [_event(one, number) for one in _service(message, chat)]
        if kind != "message":
            raise ValueError("field 'type' is neither 'message' nor 'service'")
        seen = [*_written(message, chat, self._topics), *_reactions(message, chat)]
        return [_event(one, number) for one in seen]


def _event(seen: Seen, number: int) -> Event:
    # What stood in the small group that became this one has numbers below zero.
    event = event_of(seen, PLATFORM, None, UNSHARED)
    return {**event, "source": UNSHARED} if number < 0 else event


def _chat(found: Element) -> dict[str, Any]:
    """The chat as a bot is told of it. An export has a number that is the same for a small group and a large one."""
    kind, number = _head(found, "type"), _head(found, "id")
    if kind not in KINDS:
        raise ValueError("the chat has no 'type' before its messages, or one that is not known")
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise ValueError("the chat has no 'id' before its messages")
    return {"id": -number if KINDS[kind] == "group" else _SUPERGROUPS - number, "type": KINDS[kind]}


def _told(message: dict[str, Any], chat: dict[str, Any], who: str) -> dict[str, Any]:
    common = {"chat": chat, "message_id": message["id"], "date": word(message, "date_unixtime")}
    return {**common, **_speaker(message.get(who))}


def _speaker(name: Any) -> dict[str, Any]:
    """`user123` is a person, `channel123` a chat; old exports have the number alone."""
    if isinstance(name, int) and not isinstance(name, bool):
        return {"from": {"id": name}} if 0 < name < _FIRST_ID_THAT_IS_NO_USERS else {"sender_chat": {"id": name}}
    text = name if isinstance(name, str) else ""
    if text.startswith("user") and text[4:].isdecimal() and text.isascii():
        return {"from": {"id": text[4:]}}
    return {"sender_chat": {"id": text}} if text else {}


def _written(message: dict[str, Any], chat: dict[str, Any], topics: set[str]) -> list[Seen]:
    told = _told(message, chat, "from_id")
    text, content = _text(message), _content(message)
    told[content] = text if content == "text" else {}
    if content != "text":
        told["caption"] = text
    mentioned = [inner({"user": {"id": one["user_id"]}}, "user") for one in _entities(message) if word(one, "user_id")]
    told["entities"] = [{"user": one} for one in mentioned]
    parent = word(message, "reply_to_message_id")
    if parent in topics:
        told.update(is_topic_message=True, message_thread_id=parent)
    elif parent and "reply_to_peer_id" not in message:
        told["reply_to_message"] = {"message_id": parent}
    return seen_by(RECEIVER, {"message": told}, _ALL)


def _content(message: dict[str, Any]) -> str:
    kind = message.get("media_type")
    if isinstance(kind, str) and kind in MEDIA:
        return MEDIA[kind]
    return next((name for field, name in CONTENT.items() if message.get(field) is not None), "text")


def _text(message: dict[str, Any]) -> str:
    """Text stands as text, or as a list of text and of objects that hold it."""
    text = message.get("text")
    if not isinstance(text, list):
        return words(message, "text")
    return "".join(one if isinstance(one, str) else words(one, "text") for one in text if isinstance(one, (str, dict)))


def _entities(message: dict[str, Any]) -> list[dict[str, Any]]:
    return parts(message, "text_entities") or parts(message, "text")


def _service(message: dict[str, Any], chat: dict[str, Any]) -> list[Seen]:
    """Who came and went. Members stand in it by name alone: a name is compared with the actor's, and forgotten."""
    action, told = word(message, "action"), _told(message, chat, "actor_id")
    alone = message.get("members") == [message.get("actor")] and message.get("actor") is not None
    person = inner(told, "from")
    if not person:
        return []
    if action in JOINED or (action == "invite_members" and alone):
        return seen_by(RECEIVER, {"message": {**told, "new_chat_members": [person]}}, _ALL)
    if action == "remove_members" and alone:
        return seen_by(RECEIVER, {"message": {**told, "left_chat_member": person}}, _ALL)
    if action in ("invite_members", "remove_members"):
        return [_nameless("member.invited" if action == "invite_members" else "member.kicked", told)]
    return []


def _nameless(type: str, told: dict[str, Any]) -> Seen:
    """Somebody did it to somebody whose number is not told."""
    place = together(type.partition(".")[2], str(told["chat"]["id"]), word(told, "message_id"))
    return Seen(
        type=type,
        id=place,
        at=seconds(told, "date"),
        actor=user(inner(told, "from")),
        group=group_of(told["chat"]),
        shared=told["chat"]["type"] != "group",
    )


def _reactions(message: dict[str, Any], chat: dict[str, Any]) -> list[Seen]:
    """Those of which is told who gave them: the latest few of each kind."""
    told, seen = _told(message, chat, "from_id"), []
    author = user(inner(told, "from"))
    for kind in parts(message, "reactions"):
        for given in parts(kind, "recent"):
            who = inner(_speaker(given.get("from_id")), "from")
            if who:
                change = {**told, "user": who, "date": _when(given, message), "new_reaction": [_kind(kind)]}
                for one in seen_by(RECEIVER, {"message_reaction": change}, _ALL):
                    seen.append(replace(one, author=author if author != one.actor else None))
    return seen


def _kind(kind: dict[str, Any]) -> dict[str, Any]:
    """A custom emoji is told by its file, and not by its number."""
    return {"type": word(kind, "type") or "emoji", "emoji": kind.get("emoji")}


def _when(given: dict[str, Any], message: dict[str, Any]) -> str:
    """A reaction's time is told by the clock of the computer; the message's is told by it and by seconds."""
    written = word(message, "date_unixtime")
    try:
        here, there = (datetime.fromisoformat(words(one, "date")) for one in (message, given))
        return str(int(written) + int((there - here).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return written
