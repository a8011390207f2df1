"""OneBot v11 notices and requests, one function for each kind.

None has an id. What tells one apart is made of what every bot in the group is told alike: without the bot's own number,
and without who let somebody in, which some implementations know and others do not. Their `time` is when the bot's
program reported it, so two bots are seconds apart: what happens seldom is one within a minute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.events.receivers.form import Beat, Delivery, Seen, Translation
from services.events.receivers.onebot_people import PLATFORM, bot_mark, name_of_message, person, place
from services.events.receivers.onebot_segments import fit
from services.events.receivers.reading import (
    derived,
    inner,
    items,
    seconds,
    unknown,
    whole,
    whole_body,
    word,
    words,
)

SECOND, MINUTE = 1, 60


@dataclass(frozen=True, slots=True)
class Told:
    """A notice or request; `name` is its kind and sub-kind with a point between them."""

    body: dict[str, Any]
    name: str
    arrived: datetime

    @property
    def who(self) -> str | None:
        return person(self.body)

    @property
    def by(self) -> str | None:
        return person(self.body, "operator_id")

    @property
    def message(self) -> str | None:
        """The message it is about, as this bot's program calls it."""
        return name_of_message(self.body) or None

    def moment(self, every: int) -> int:
        """The time, in steps of so many seconds; where none is told, that of arrival."""
        time = whole(self.body, "time")
        return (int(self.arrived.timestamp()) if time is None else time) // every

    def seen(
        self,
        type: str,
        *apart: object,
        actor: str | None,
        data: Mapping[str, Any] | None = None,
        own: bool = False,
        **more: Any,
    ) -> Seen:
        """`apart` tells it from others in the group. What concerns no group is the connection's own anyway."""
        group = place(self.body)
        return Seen(
            type=type,
            id=derived(group, *apart),
            at=seconds(self.body, "time"),
            actor=actor,
            group=group,
            data={**(data or {}), **bot_mark(actor, self.body)},
            shared=group is not None and not own,
            **more,
        )

    def asked(self, type: str, **more: Any) -> Seen:
        """A request: its flag is how a bot answers it, so it is what the request is called."""
        flag = word(self.body, "flag")
        apart = (self.name, self.who, flag or self.moment(MINUTE))
        return self.seen(type, *apart, subject=flag or None, notice=True, **more)


def notice(delivery: Delivery, body: dict[str, Any]) -> Translation:
    kind, sub = word(body, "notice_type"), word(body, "sub_type")
    told = Told(body, f"{kind}.{sub}" if sub else kind, delivery.at)
    for name in (told.name, kind):
        if name in _IGNORED:
            return Translation(ignored=_IGNORED[name])
        if name in _BEATS:
            return Translation(beat=_BEATS[name])
        if name in _NOTICES:
            made = _NOTICES[name](told)
            return Translation(made, ignored="" if made else "says_nothing")
    return Translation((_unknown(delivery, told, told.name),))


def request(delivery: Delivery, body: dict[str, Any]) -> Translation:
    kind, sub = word(body, "request_type"), word(body, "sub_type")
    told = Told(body, f"{kind}.{sub}" if sub else kind, delivery.at)
    make = _REQUESTS.get(told.name)
    return Translation(make(told) if make else (_unknown(delivery, told, f"request.{told.name}"),))


def _unknown(delivery: Delivery, told: Told, name: str) -> Seen:
    actor = told.who or told.by
    more = {"actor": actor, "group": place(told.body), "data": bot_mark(actor, told.body)}
    return unknown(PLATFORM, name, whole_body(delivery), seconds(told.body, "time"), **more)


def _joined(told: Told) -> tuple[Seen, ...]:
    data: dict[str, Any] = {"via": via} if (via := word(told.body, "sub_type")) else {}
    if via == "invite" and told.by is not None and told.by != told.who:
        data["invited_by"] = told.by
    apart = ("joined", told.who, told.moment(MINUTE))
    return (told.seen("member.joined", *apart, actor=told.who, data=data, notice=True),)


def _left(told: Told) -> tuple[Seen, ...]:
    return (told.seen("member.left", "left", told.who, told.moment(MINUTE), actor=told.who, notice=True),)


def _kicked(told: Told, own: bool = False) -> tuple[Seen, ...]:
    # Whoever is named nowhere else counts as the one put out: the operator must not stand there alone.
    actor, data = (told.by, {"member": told.who}) if told.who is not None else (None, {})
    apart = ("kicked", told.who, told.moment(MINUTE))
    return (told.seen("member.kicked", *apart, actor=actor, data=data, notice=True, own=own),)


def _kicked_me(told: Told) -> tuple[Seen, ...]:
    """The bot itself: the others in the group are told of it as of anybody."""
    return _kicked(told, own=True)


def _recalled(told: Told) -> tuple[Seen, ...]:
    """A message is taken back once: told twice, seconds apart, it is still the same."""
    writer, actor = told.who, told.by if told.name.startswith("group") else told.who
    mine = actor is not None and actor == writer
    apart = ("recalled", writer, told.message or told.moment(SECOND))
    author = None if mine else writer
    type = "message.recalled" if mine else "message.deleted"
    return (told.seen(type, *apart, actor=actor, author=author, about=told.message),)


def _muted(told: Told) -> tuple[Seen, ...]:
    """Silenced, not put out: the scope says so, else the member would lose the membership."""
    lifted, length = told.name.endswith("lift_ban"), whole(told.body, "duration")
    apart = ("muted", told.name, told.who, length, told.moment(MINUTE))
    if word(told.body, "user_id") == "0":
        return (told.seen(f"{PLATFORM}.everybody_{'unmuted' if lifted else 'muted'}", *apart, actor=told.by),)
    data: dict[str, Any] = {"scope": "speech"}
    if told.who is not None:
        data["member"] = told.who
    if not lifted and length is not None and length > 0:
        data["duration"] = length
    return (told.seen("member.unbanned" if lifted else "member.banned", *apart, actor=told.by, data=data),)


def _role(told: Told) -> tuple[Seen, ...]:
    """Who gave or took the role is not told: only the group's owner can."""
    role = "admin" if told.name.endswith(".set") else "member"
    apart = ("role", role, told.who, told.moment(SECOND))
    return (told.seen("member.role_changed", *apart, actor=told.who, data={"role": role}, notice=True),)


def _renamed(told: Told) -> tuple[Seen, ...]:
    return (told.seen("member.renamed", "renamed", told.who, told.moment(SECOND), actor=told.who),)


def _uploaded(told: Told) -> tuple[Seen, ...]:
    file = inner(told.body, "file")
    id, size = word(file, "id"), whole(file, "size")
    data: dict[str, Any] = {"kind": "file"}
    if size is not None and size >= 0:
        data["size"] = size
    # NapCat's file id is of its content: the same file uploaded again tomorrow is another upload.
    apart = ("uploaded", told.who, id, told.moment(MINUTE))
    return (told.seen("file.uploaded", *apart, actor=told.who, data=data, subject=id or None),)


def _poked(told: Told) -> tuple[Seen, ...]:
    # In private, NapCat's `user_id` is the other side of the talk and `sender_id` whoever poked.
    actor, target = person(told.body, "sender_id") or told.who, person(told.body, "target_id")
    apart = ("poke", actor, target, told.moment(SECOND))
    return (told.seen("poke", *apart, actor=actor, author=target if target != actor else None),)


def _lucky_king(told: Told) -> tuple[Seen, ...]:
    giver, king = told.who, person(told.body, "target_id")
    apart = ("lucky_king", giver, king, told.moment(MINUTE))
    return (told.seen("redpacket.lucky_king", *apart, actor=king, author=giver if giver != king else None),)


def _honour(told: Told) -> tuple[Seen, ...]:
    honour = word(told.body, "honor_type")
    apart = ("honor", honour, told.who, told.moment(MINUTE))
    return (told.seen("honor.changed", *apart, actor=told.who, data={"honor": honour} if honour else {}),)


def _liked(told: Told) -> tuple[Seen, ...]:
    """Each emoji is one reaction. NapCat's older versions tell only what was added."""
    taken = told.body.get("is_add") is False
    kinds = dict.fromkeys(kind for like in items(told.body, "likes") if (kind := word(like, "emoji_id")))
    return tuple(_reaction(told, told.who, kind, taken) for kind in kinds)


def _reacted(told: Told) -> tuple[Seen, ...]:
    """As Lagrange tells it."""
    return (_reaction(told, told.by, word(told.body, "code"), told.name.endswith(".remove")),)


def _reaction(told: Told, actor: str | None, kind: str, taken: bool) -> Seen:
    type = "reaction.removed" if taken else "reaction.added"
    apart = (type, actor, told.message, kind, told.moment(SECOND))
    return told.seen(type, *apart, actor=actor, data={"kind": kind} if kind else {}, about=told.message)


def _essence(told: Told) -> tuple[Seen, ...]:
    """A message that the group's admins put among its best, or took out again."""
    word_of_it = "essence_removed" if told.name.endswith(".delete") else "essence_added"
    writer = person(told.body, "sender_id") or told.who
    apart = (word_of_it, writer, told.message, told.moment(MINUTE))
    author = writer if writer != told.by else None
    return (told.seen(f"{PLATFORM}.{word_of_it}", *apart, actor=told.by, author=author, about=told.message),)


def _asks_to_join(told: Told) -> tuple[Seen, ...]:
    inviter = person(told.body, "invitor_id")
    data = {"invited_by": inviter} if inviter else {}
    return (told.asked("member.join_requested", actor=told.who, data=data, text=_comment(told)),)


def _bot_invited(told: Told) -> tuple[Seen, ...]:
    """Somebody wants the bot in a group; `user_id` is who does."""
    data = {"invited_by": told.who} if told.who else {}
    return (told.asked("member.invited", actor=person(told.body, "self_id"), data=data, own=True),)


def _asks_for_friendship(told: Told) -> tuple[Seen, ...]:
    return (told.asked(f"{PLATFORM}.friend_request", actor=told.who, own=True, text=_comment(told)),)


def _comment(told: Told) -> str | None:
    return fit(words(told.body, "comment")) or None


_NOTICES: dict[str, Callable[[Told], tuple[Seen, ...]]] = {
    "group_increase": _joined,
    "group_decrease.leave": _left,
    "group_decrease.kick": _kicked,
    "group_decrease.kick_me": _kicked_me,
    "group_recall": _recalled,
    "friend_recall": _recalled,
    "group_ban.ban": _muted,
    "group_ban.lift_ban": _muted,
    "group_admin.set": _role,
    "group_admin.unset": _role,
    "group_card": _renamed,
    "group_upload": _uploaded,
    "offline_file": _uploaded,
    "notify.poke": _poked,
    "notify.lucky_king": _lucky_king,
    "notify.honor": _honour,
    "group_msg_emoji_like": _liked,
    "reaction.add": _reacted,
    "reaction.remove": _reacted,
    "essence": _essence,
}
_REQUESTS: dict[str, Callable[[Told], tuple[Seen, ...]]] = {
    "group.add": _asks_to_join,
    "group.invite": _bot_invited,
    "friend": _asks_for_friendship,
}
_IGNORED = {
    "notify.input_status": "typing",
    "client_status": "housekeeping",
    "flash_file": "housekeeping",
    "online_file_receive": "housekeeping",
    "online_file_send": "housekeeping",
}
_BEATS = {"bot_offline": Beat(online=False), "bot_online": Beat(online=True)}
