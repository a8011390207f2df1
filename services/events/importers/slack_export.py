"""Slack's export, a ZIP or the folder in it: a folder for each channel, in it a file for each day."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.events.importers.as_received import event_of, seen_by
from services.events.importers.choices import Choices
from services.events.importers.lines import Broken, Event, Line, numbered
from services.events.importers.tree import Tree, has, tree
from services.events.receivers.form import NoSettings, Seen
from services.events.receivers.reading import items as parts
from services.events.receivers.reading import together, word
from services.events.receivers.slack import PLATFORM, RECEIVER, WRITTEN

CHANNELS, PRIVATE = ("channels.json", "groups.json"), ("dms.json", "mpims.json")
MEMBERS = {
    "channel_join": "member_joined_channel",
    "group_join": "member_joined_channel",
    "channel_leave": "member_left_channel",
    "group_leave": "member_left_channel",
}

_DAY = re.compile(r"([^/]+)/\d{4}-\d{2}-\d{2}\.json")
_TIME = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_OF_MESSAGES = ("user", "bot_id", "subtype", "ts", "thread_ts", "text", "files", "file", "comment", "inviter")


@dataclass(frozen=True, slots=True)
class _Message:
    channel: str
    bots: frozenset[str]
    told: Any


def recognises(path: Path) -> bool:
    """Whether it has the two files that every export has."""
    return has(path, "channels.json", "users.json")


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every message of public and private channels with its reactions, and who came and went. ValueError for no
    export."""
    stack = ExitStack()
    export = stack.enter_context(tree(path, "channels.json"))
    _names(export)
    return _items(export, stack)


def _items(export: Tree, stack: ExitStack) -> Iterator[Line]:
    with stack:
        yield from numbered(_messages(export), _events)


def _names(export: Tree) -> tuple[Mapping[str, str], frozenset[str]]:
    """The channels' ids by the names of their folders, and the folders of conversations, which are left out."""
    channels = {word(one, "name"): word(one, "id") for name in CHANNELS for one in export.objects(name)}
    private = {word(one, field) for name in PRIVATE for one in export.objects(name) for field in ("id", "name")}
    return {name: id for name, id in channels.items() if name and id}, frozenset(private)


def _messages(export: Tree) -> Iterator[tuple[str, _Message | Broken]]:
    channels, private = _names(export)
    bots = frozenset(word(one, "id") for one in export.objects("users.json") if one.get("is_bot") is True)
    strange: set[str] = set()
    for name in export.names:
        day = _DAY.fullmatch(name)
        folder = day[1] if day else ""
        if day is None or folder in private or folder in strange:
            continue
        if folder not in channels:
            strange.add(folder)
            yield folder, Broken("the folder is of no channel in channels.json or groups.json")
            continue
        try:
            messages = export.json(name)
            if not isinstance(messages, list):
                raise ValueError("is no list of messages")
        except ValueError as error:
            yield name, Broken(str(error))
            continue
        for index, told in enumerate(messages):
            yield f"{name}[{index}]", _Message(channels[folder], bots, told)


def _events(message: _Message) -> list[Event]:
    told = message.told
    if not isinstance(told, dict):
        raise ValueError("not a JSON object")
    if not _TIME.fullmatch(word(told, "ts")):
        raise ValueError("field 'ts' is missing or no time of Slack's")
    subtype = word(told, "subtype")
    event: dict[str, Any] = {name: told[name] for name in _OF_MESSAGES if name in told}
    event |= {"channel": message.channel, "type": "message"}
    seen: list[Seen] = []
    if subtype in MEMBERS:
        if not word(told, "user"):
            raise ValueError("field 'user' is missing: nobody came or went")
        event |= {"type": MEMBERS[subtype], "event_ts": told["ts"]}
        seen = _heard(event)
    elif subtype in WRITTEN:
        seen = _heard(event)
    seen += _reactions(told, message.channel)
    return [event_of(_told_of_bots(one, message.bots), PLATFORM, None, "") for one in seen]


def _heard(event: dict[str, Any]) -> list[Seen]:
    return seen_by(RECEIVER, {"type": "event_callback", "event": event}, NoSettings())


def _reactions(told: dict[str, Any], channel: str) -> list[Seen]:
    """When somebody reacted is not told: at the message's time, under an id without one."""
    place, written = together(channel, word(told, "ts")), word(told, "ts")
    item = {"type": "message", "channel": channel, "ts": written}
    seen = []
    for reaction in parts(told, "reactions"):
        name, givers = word(reaction, "name"), reaction.get("users")
        for giver in dict.fromkeys(str(one) for one in givers) if isinstance(givers, list) else ():
            event = {"type": "reaction_added", "user": giver, "reaction": name, "item": item, "event_ts": written}
            event["item_user"] = word(told, "user")
            if id := together("added", place, word(event, "user"), name):
                seen += [replace(one, id=id, about=None) for one in _heard(event)]
    return seen


def _told_of_bots(seen: Seen, bots: frozenset[str]) -> Seen:
    is_bot = (seen.actor or "").removeprefix(f"{PLATFORM}:") in bots
    return replace(seen, data={**seen.data, "bot": True}) if is_bot else seen
