"""Commands in chat (E11): whether what somebody wrote is one, and what the door makes of it. Pure.

Words are looked for at the door because what people write goes no further.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kit.code_words import code_words_in
from services.events.receivers.form import Seen

CHECKIN, RANK, POINTS, BIND, STOP = "checkin", "rank", "points", "bind", "stop"
WORDS = {
    "checkin": CHECKIN, "打卡": CHECKIN, "签到": CHECKIN,
    "rank": RANK, "排行": RANK,
    "points": POINTS, "积分": POINTS,
    "bind": BIND, "绑定": BIND,
    "stop": STOP, "退订": STOP,
}  # fmt: skip
PREFIXES = ("/",)
"""What a command begins with where a connection says nothing else."""
LONGEST = 80
_ADDRESSED = re.compile(r"@\S+\s+")
_BOUND = re.compile(r"绑定\s*([0-9a-z][0-9a-z-]*)", re.IGNORECASE)
_CHECKED = re.compile(r"(?:打卡|签到)\s+(.+)")
_CODE = re.compile(r"[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}")
"""A code of members: everything else that is written there is a person's words and stays here."""


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is one of ours. `code` is what follows `bind`, "" when that is no code; `said` what follows `checkin`."""

    name: str
    code: str = ""
    said: str = ""


_NOTHING = Command("")


def command_of(text: str, prefixes: Sequence[str] = PREFIXES) -> Command | None:
    """The command a message is: a prefix and one of our words (`/checkin`, `/checkin@bot`), or one of the Chinese words
    alone, or with a code word one for a check-in. None for everything else, also for a word of ours inside a sentence,
    and where there are no prefixes. Only a check-in may be long."""
    if not prefixes:
        return None
    if len(text) > LONGEST and (_by_prefix(_plain(text[:LONGEST]), prefixes) or _NOTHING).name != CHECKIN:
        return None
    said = _plain(text)
    command = _by_prefix(said, prefixes)
    if command is not None:
        return command
    bound, checked = _BOUND.fullmatch(said), _CHECKED.fullmatch(said)
    if bound is not None:
        return Command(BIND, _code(bound[1]))
    if checked is not None and code_words_in(checked[1]):
        return Command(CHECKIN, said=checked[1])
    return Command(WORDS[said]) if said in WORDS and not said.isascii() else None


def _plain(text: str) -> str:
    return _ADDRESSED.sub("", unicodedata.normalize("NFKC", text).strip(), count=1)


def _by_prefix(said: str, prefixes: Sequence[str]) -> Command | None:
    return next((_named(said[len(prefix) :]) for prefix in prefixes if said.startswith(prefix)), None)


def _named(text: str) -> Command | None:
    words = text.split()
    name = WORDS.get(words[0].partition("@")[0].casefold()) if words else None
    if name is None:
        return None
    if name == CHECKIN:
        return Command(name, said=" ".join(text.split(None, 1)[1:]))
    return Command(name, _code(words[1]) if name == BIND and len(words) > 1 else "")


def _code(word: str) -> str:
    return word if _CODE.fullmatch(word) else ""


def with_commands(seen: Sequence[Seen], prefixes: Sequence[str]) -> tuple[Seen, ...]:
    """What was seen and, behind each message that is a command, the command itself; before that what it counts as."""
    return tuple(each for one in seen for each in _with_command(one, prefixes))


def _with_command(one: Seen, prefixes: Sequence[str]) -> Iterator[Seen]:
    by_platform = one.type == "command.invoked"
    command = _of_platform(one) if by_platform else _of_message(one, prefixes)
    if command is None:
        yield one
        return
    facts: dict[str, Any] = {"command": command.name}
    if command.code:
        facts["arguments"] = command.code
    kept = {name: one.data[name] for name in ("private", "bot", "topic") if name in one.data}
    if by_platform:
        invoked = replace(one, data={**one.data, **facts}, text=None)
    else:
        yield replace(one, data={**one.data, "command": command.name})
        asked = replace(one, type="command.invoked", id=f"command:{one.id}")
        invoked = replace(asked, data={**kept, **facts}, text=None, sequence=None)
    if command.name == CHECKIN:
        counts = f"checkin:{one.id}"
        shown = {"has_media": True} if one.data.get("has_media") is True else {}
        checkin = replace(one, type="checkin.submitted", id=counts, data={**kept, **shown, "via": "command"})
        yield replace(checkin, text=command.said or None, sequence=None, ref=None)
        invoked = replace(invoked, data={**invoked.data, "counts": counts})
    yield invoked


def _of_message(one: Seen, prefixes: Sequence[str]) -> Command | None:
    if one.type != "message.created" or one.text is None or one.actor is None or one.data.get("bot") is True:
        return None
    return command_of(one.text, prefixes)


def _of_platform(one: Seen) -> Command | None:
    """A platform that has commands of its own: what is called like one of ours is ours."""
    name = one.data.get("command")
    known = WORDS.get(name.casefold()) if isinstance(name, str) else None
    if known is None or one.actor is None:
        return None
    words = (one.text or "").split()
    if known == CHECKIN:
        return Command(known, said=one.text or "")
    return Command(known, _code(words[0]) if known == BIND and words else "")
