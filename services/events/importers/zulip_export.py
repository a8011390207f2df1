"""Zulip's export, a folder or its tarball: `realm.json`, and messages in files of about a thousand."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from services.events.importers.as_received import event_of
from services.events.importers.choices import Choices
from services.events.importers.lines import Broken, Event, Line, numbered
from services.events.importers.tree import Tree, has, tree
from services.events.receivers.form import Seen
from services.events.receivers.reading import derived, identity, instant, together, whole, word, words
from services.events.receivers.reading import items as parts

PLATFORM = "zulip"
STREAM, DIRECT = 2, (1, 3)
"""Kinds of recipients."""

_MESSAGES = re.compile(r"messages-\d+\.json")
_MENTION = re.compile(r"@\*\*[^*|\n]{0,200}\|([0-9]{1,18})\*\*")
_ALL = re.compile(r"@\*\*(all|everyone|channel|stream)\*\*")
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_TOPIC_LENGTH = 16


@dataclass(frozen=True, slots=True)
class _Realm:
    """What messages refer to. `streams` is recipient → number of the stream; `reactions` message → reactions."""

    source: str
    site: str
    streams: dict[int, str] = field(default_factory=dict)
    direct: set[int] = field(default_factory=set)
    bots: set[str] = field(default_factory=set)
    reactions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def identity(self, number: str) -> str | None:
        return identity(PLATFORM, f"{self.site}/{number}" if self.site and number else number)


_Make = Callable[[dict[str, Any], _Realm], list[Seen]]


def recognises(path: Path) -> bool:
    """Whether it has what every export has."""
    return has(path, "realm.json", "messages-000001.json")


def items(path: Path, choices: Choices) -> Iterator[Line]:
    """Every member that is no bot, when they came, then every message of channels with its reactions. ValueError for
    no export."""
    if choices.site and not _SITE.fullmatch(choices.site):
        raise ValueError("--site is a name such as zulip.example.org")
    stack = ExitStack()
    export = stack.enter_context(tree(path, "realm.json"))
    told, realm = _realm(export, choices.site)
    return _items(export, told, realm, stack)


def _items(export: Tree, told: dict[str, Any], realm: _Realm, stack: ExitStack) -> Iterator[Line]:
    with stack:
        yield from numbered(_found(export, told, realm), lambda found: _events(found, realm))


def _realm(export: Tree, site: str) -> tuple[dict[str, Any], _Realm]:
    told = export.json("realm.json")
    if not isinstance(told, dict):
        raise ValueError("realm.json is no JSON object")
    named = next((words(one, "string_id") for one in parts(told, "zerver_realm")), "")
    name = site or (named if _SITE.fullmatch(named) else "root")
    realm = _Realm(f"/exports/zulip/{name}", site)
    for one in parts(told, "zerver_recipient"):
        number, kind = whole(one, "id"), whole(one, "type")
        if number is not None and kind == STREAM:
            realm.streams[number] = word(one, "type_id")
        elif number is not None and kind in DIRECT:
            realm.direct.add(number)
    people = [*parts(told, "zerver_userprofile"), *parts(told, "zerver_userprofile_crossrealm")]
    realm.bots.update(word(one, "id") for one in people if one.get("is_bot") is True)
    # Those of all realms of a server are the server's own.
    realm.bots.update(word(one, "id") for one in parts(told, "zerver_userprofile_crossrealm"))
    _react(realm, told)
    return told, realm


def _react(realm: _Realm, told: dict[str, Any]) -> None:
    for one in parts(told, "zerver_reaction"):
        realm.reactions.setdefault(_either(one, "message"), []).append(one)


def _either(one: dict[str, Any], name: str) -> str:
    """Versions of Zulip differ in whether a reference has `_id` behind its name."""
    return word(one, name) or word(one, f"{name}_id")


def _found(export: Tree, told: dict[str, Any], realm: _Realm) -> Iterator[tuple[str, Any]]:
    people = told.get("zerver_userprofile")
    for index, person in enumerate(people if isinstance(people, list) else []):
        if not isinstance(person, dict) or person.get("is_mirror_dummy") is not True:
            yield f"realm.json: zerver_userprofile[{index}]", (_joined, person)
    for name in export.names:
        if not _MESSAGES.fullmatch(name):
            continue
        try:
            page = export.json(name)
            messages = page.get("zerver_message") if isinstance(page, dict) else None
            if not isinstance(messages, list):
                raise ValueError("has no list 'zerver_message'")
        except ValueError as error:
            yield name, Broken(str(error))
            continue
        _react(realm, page)
        for index, message in enumerate(messages):
            if not isinstance(message, dict) or whole({"id": _either(message, "recipient")}, "id") not in realm.direct:
                yield f"{name}: zerver_message[{index}]", (_written, message)


def _events(found: tuple[_Make, Any], realm: _Realm) -> list[Event]:
    make, told = found
    if not isinstance(told, dict):
        raise ValueError("not a JSON object")
    if not word(told, "id"):
        raise ValueError("field 'id' is missing or no number")
    return [event_of(one, PLATFORM, None, realm.source) for one in make(told, realm)]


def _joined(person: dict[str, Any], realm: _Realm) -> list[Seen]:
    number = word(person, "id")
    if number in realm.bots:
        return []
    at = _at(person, "date_joined")
    return [Seen(type="member.joined", id=together("joined", number), at=at, actor=realm.identity(number))]


def _written(message: dict[str, Any], realm: _Realm) -> list[Seen]:
    number, sender, text = word(message, "id"), _either(message, "sender"), words(message, "content")
    recipient = whole({"id": _either(message, "recipient")}, "id")
    stream = realm.streams.get(recipient) if recipient is not None else None
    if not stream:
        raise ValueError("field 'recipient' is missing, or of no channel in realm.json")
    data: dict[str, Any] = {"kind": "text"}
    if "/user_uploads/" in text:
        data["has_media"] = True
    if topic := words(message, "subject"):
        # What people call a topic is written by them: it is told apart, and not kept.
        data["topic"] = derived(stream, topic)[:_TOPIC_LENGTH]
    if mentions := [realm.identity(str(int(one))) for one in dict.fromkeys(_MENTION.findall(text))]:
        data["mentions"] = mentions[:1000]
    if _ALL.search(text):
        data["mentions_all"] = True
    at, group = _at(message, "date_sent"), realm.identity(stream)
    seen = Seen(
        type="message.created",
        id=together("message", number),
        at=at,
        actor=realm.identity(sender),
        group=group,
        subject=number,
        data={**data, **_bot(sender, realm)},
        text=text or None,
    )
    return [seen, *_reactions(number, realm.identity(sender), group, at, realm)]


def _reactions(
    number: str, author: str | None, group: str | None, at: datetime | None, realm: _Realm
) -> Iterator[Seen]:
    """When somebody reacted is not told: at the message's time."""
    for one in realm.reactions.get(number, ()):
        giver, name = _either(one, "user_profile"), word(one, "emoji_name")
        if giver and name:
            actor = realm.identity(giver)
            yield Seen(
                type="reaction.added",
                id=together("added", number, giver, name),
                at=at,
                actor=actor,
                author=author if author != actor else None,
                group=group,
                subject=number,
                data={"kind": name, **_bot(giver, realm)},
            )


def _bot(number: str, realm: _Realm) -> dict[str, Any]:
    return {"bot": True} if number in realm.bots else {}


def _at(told: dict[str, Any], name: str) -> datetime | None:
    """Seconds since 1970, with a fraction."""
    found = told.get(name)
    return instant(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None
