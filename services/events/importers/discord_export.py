"""DiscordChatExporter's JSON: a file holds one channel or thread, or a part of one; a folder several."""

from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from services.events.importers.as_received import event_of, seen_by
from services.events.importers.choices import Choices
from services.events.importers.json_stream import Element, begins, elements, json_files
from services.events.importers.lines import Broken, Event, Line, numbered
from services.events.receivers.discord import RECEIVER
from services.events.receivers.discord_gateway import PLATFORM, WRITTEN, user
from services.events.receivers.form import NoSettings, Seen
from services.events.receivers.reading import identity, inner, iso, together, word, words
from services.events.receivers.reading import items as parts

SAID = ("guild.id", "channel.id", "channel.type")
KINDS = {"Default": 0, "GuildMemberJoin": 7, "Reply": 19}
"""Message types by their name; those that the exporter has no name for stand there as numbers."""

_JOIN = 7
_VOICE_MESSAGE = 1 << 13


def recognises(path: Path) -> bool:
    """Whether a file, or the first of a folder, begins as the exporter's do."""
    return any(begins(file, r'\{\s*"guild"\s*:', r'"channel"\s*:') for file in json_files(path)[:1])


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every message of servers, with its reactions, and who joined; files in the order of their names."""
    return numbered(_public(path), _events)


def _public(path: Path) -> Iterator[tuple[str, Element | Broken]]:
    for file in json_files(path):
        prefix = f"{file.relative_to(path)}: " if path.is_dir() else ""
        for where, found in elements(file, {"messages": ""}, SAID):
            if isinstance(found, Broken) or not str(found.head.get("channel.type", "")).startswith("Direct"):
                yield prefix + where, found


def _events(found: Element) -> list[Event]:
    message = found.value
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    place = {"guild_id": word(found.head, "guild.id"), "channel_id": word(found.head, "channel.id")}
    if not all(place.values()):
        raise ValueError("the file names no guild and channel before its messages")
    kind, number = _kind(message), word(message, "id")
    if not number:
        raise ValueError("field 'id' is missing or no number")
    if iso(message, "timestamp") is None:
        raise ValueError("field 'timestamp' is missing or no time with a zone")
    if kind == _JOIN:
        seen = [_joined(message, place)]
    elif kind in WRITTEN:
        seen = _written(message, kind, place) + _reactions(message, place)
    else:
        # A notice, which the receiver ignores as well; but its reactions are as good as any.
        seen = _reactions(message, place)
    return [event_of(one, PLATFORM, None, "") for one in seen]


def _kind(message: dict[str, Any]) -> int | None:
    name = word(message, "type")
    if not name:
        raise ValueError("field 'type' is missing")
    return int(name) if name.isdecimal() and name.isascii() else KINDS.get(name)


def _told(kind: str, d: dict[str, Any], message: dict[str, Any]) -> list[Seen]:
    """As the gateway says it; `at` is what a forwarder says besides, for what has no time."""
    return seen_by(RECEIVER, {"t": kind, "d": d, "at": message["timestamp"]}, NoSettings())


def _written(message: dict[str, Any], kind: int, place: dict[str, str]) -> list[Seen]:
    files, parent = parts(message, "attachments"), inner(message, "reference")
    d: dict[str, Any] = {
        **place,
        "id": message["id"],
        "type": kind,
        "timestamp": message["timestamp"],
        "content": words(message, "content"),
        "attachments": [{"content_type": guess_type(words(one, "fileName"))[0] or ""} for one in files],
        "sticker_items": parts(message, "stickers"),
        "mentions": [{"id": word(one, "id")} for one in parts(message, "mentions")],
        "message_reference": {"message_id": word(parent, "messageId"), "type": int(word(parent, "type") == "Forward")},
        "flags": _VOICE_MESSAGE if any(words(one, "fileName") == "voice-message.ogg" for one in files) else 0,
        **_author(message),
    }
    return _told("MESSAGE_CREATE", d, message)


def _author(message: dict[str, Any]) -> dict[str, Any]:
    """A webhook stands there as a bot without a discriminator, which bots have."""
    author = inner(message, "author")
    told: dict[str, Any] = {"author": {"id": word(author, "id"), "bot": author.get("isBot") is True}}
    if author.get("isBot") is True and word(author, "discriminator") in ("0", "0000"):
        told["webhook_id"] = word(author, "id")
    return told


def _reactions(message: dict[str, Any], place: dict[str, str]) -> list[Seen]:
    """One for each giver that is named. When they gave it is not told: at the message's time."""
    author = _author(message)
    seen: list[Seen] = []
    for reaction in parts(message, "reactions"):
        sign = inner(reaction, "emoji")
        for giver in parts(reaction, "users"):
            if not word(giver, "id"):
                continue
            d = {
                **place,
                "message_id": message["id"],
                "user_id": word(giver, "id"),
                "emoji": {"id": word(sign, "id") or None, "name": sign.get("name")},
                "message_author_id": "" if "webhook_id" in author else author["author"]["id"],
                "member": {"user": {"bot": giver.get("isBot") is True}},
            }
            seen += _told("MESSAGE_REACTION_ADD", d, message)
    return seen


def _joined(message: dict[str, Any], place: dict[str, str]) -> Seen:
    """The notice of it. A bot is told with the moment of joining, which no export has, so its id is another one."""
    person = _author(message)["author"]
    return Seen(
        type="member.joined",
        id=together("joined", word(message, "id")),
        at=iso(message, "timestamp"),
        actor=user(person),
        group=identity(PLATFORM, place["guild_id"]),
        data={"bot": True} if person["bot"] else {},
        shared=True,
    )
