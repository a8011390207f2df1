"""OneBot v11 messages: a list of segments, or the same as one string with CQ codes; and what of one is kept."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from services.events.receivers.onebot_people import person
from services.events.receivers.reading import items, word, words

MAX_MENTIONS = 1000
MAX_TEXT = 5_000
"""Characters of a text that are handed on; with as many mentions as are kept, an event stays under the door's limit."""

_OPEN = "[CQ:"
_ESCAPED = re.compile(r"&(?:amp|#91|#93|#44);")
_PLAIN = {"&amp;": "&", "&#91;": "[", "&#93;": "]", "&#44;": ","}

# Segment type → kind. What is neither here nor in `_ASIDE` is "other".
_KINDS = {
    "text": "text",
    "face": "face",
    "mface": "face",
    "bface": "face",
    "sface": "face",
    "dice": "face",
    "rps": "face",
    "poke": "face",
    "shake": "face",
    "image": "image",
    "record": "voice",
    "video": "video",
    "file": "file",
    "onlinefile": "file",
    "flash_file": "file",
    "flashtransfer": "file",
    "json": "card",
    "xml": "card",
    "miniapp": "card",
    "lightapp": "card",
    "markdown": "card",
    "keyboard": "card",
    "share": "link",
    "music": "music",
    "contact": "contact",
    "location": "location",
    "forward": "forward",
    "node": "forward",
    "redbag": "redpacket",
}
_ASIDE = frozenset({"at", "reply"})
_SLIGHT = ("text", "face")
_MEDIA = frozenset({"image", "voice", "video", "file"})


@dataclass(frozen=True, slots=True)
class Segment:
    """Values are as they were sent; from a CQ code they are text."""

    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """`text` is what somebody wrote, without mentions; `data` says what kind it is, whom it names, what it answers."""

    text: str
    data: dict[str, Any]


def parse(code: str) -> list[Segment]:
    """The segments of a string with CQ codes. Any string is one: what reads like no code is text.

    Takes time in proportion to the length. Texts that stand next to each other are one segment.
    """
    found: list[Segment] = []
    written = looked = 0
    while (end := code.find("]", looked)) >= 0:
        # The last opening before the end: a bracket inside a code is always escaped.
        start = code.rfind(_OPEN, looked, end)
        looked = end + 1
        name, _, rest = ("", "", "") if start < 0 else code[start + len(_OPEN) : end].partition(",")
        if not name:
            continue
        found += _text(code[written:start])
        found.append(Segment(name, _parameters(rest)))
        written = looked
    return found + _text(code[written:])


def segments(message: object) -> list[Segment]:
    """The segments of a message in either form, or of a single one; none for anything else."""
    if isinstance(message, str):
        return parse(message)
    listed = items({"all": [message] if isinstance(message, dict) else message}, "all")
    return [Segment(word(one, "type"), data if isinstance(data := one.get("data"), dict) else {}) for one in listed]


def content(message: object) -> Content:
    """What of a message is kept. Never raises."""
    parts = segments(message)
    kinds = [_KINDS.get(part.type, "other") for part in parts if part.type not in _ASIDE]
    data: dict[str, Any] = {"kind": _kind(kinds, parts)}
    if not _MEDIA.isdisjoint(kinds):
        data["has_media"] = True
    if "link" in kinds:
        data["has_link"] = True
    named = (person(part.data, "qq") for part in parts if part.type == "at")
    mentions = list(islice(dict.fromkeys(who for who in named if who is not None), MAX_MENTIONS))
    if mentions:
        data["mentions"] = mentions
    if any(part.type == "at" and part.data.get("qq") == "all" for part in parts):
        data["mentions_all"] = True
    answered = next((id for part in parts if part.type == "reply" and (id := word(part.data, "id"))), None)
    if answered is not None:
        data["reply_to"] = answered
    written = "".join(words(part.data, "text") for part in parts if part.type == "text").strip()
    text = fit(written)
    if len(text) < len(written):
        data["length"] = len(written)
    return Content(text, data)


def fit(text: str) -> str:
    """What the door takes of a text: no U+0000, and not without end."""
    return text.replace("\0", "")[:MAX_TEXT]


def _kind(kinds: Sequence[str], parts: Sequence[Segment]) -> str:
    """A picture with words is a picture, words with faces are words. "unknown" when the sender could not tell."""
    weighty = next((kind for kind in kinds if kind not in _SLIGHT), None)
    slight = next((kind for kind in _SLIGHT if kind in kinds), None)
    return weighty or slight or ("text" if parts else "unknown")


def _text(escaped: str) -> list[Segment]:
    return [Segment("text", {"text": _unescaped(escaped)})] if escaped else []


def _parameters(rest: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in rest.split(",") if pair)
    return {name: _unescaped(value) for name, _, value in pairs if name}


def _unescaped(text: str) -> str:
    """In one go: what was written as an escape before it was escaped stays as it was written."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], text) if "&" in text else text
