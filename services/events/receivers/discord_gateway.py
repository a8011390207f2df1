"""Discord: what happened in a server, as the gateway tells it and a forwarder posts it to us."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.events.receivers.form import Beat, Delivery, Seen, Translation
from services.events.receivers.reading import (
    derived,
    emoji,
    identity,
    inner,
    instant,
    iso,
    items,
    together,
    unknown,
    whole,
    whole_body,
    word,
    words,
)

PLATFORM = "discord"

# Message types: what somebody or a bot wrote, and why nothing is made of a notice.
WRITTEN = frozenset({0, 19, 20, 23})
NOTICES = {7: "told_as_guild_member_add", 21: "told_as_message"}
BOOSTS = frozenset({8, 9, 10, 11})
HOUSEKEEPING = frozenset({1, 2, 3, 4, 5, 6, 12, 14, 15, 16, 17, 18, 22, 24, 27, 28, 29, 31, 36, 37, 38, 39, 46})
IGNORED = {"TYPING_START": "still_typing", "PRESENCE_UPDATE": "presence", "USER_UPDATE": "profile"}
_QUIET = re.compile(
    r"GUILD_(CREATE|UPDATE|ROLE_\w+|(EMOJIS|STICKERS|INTEGRATIONS)_UPDATE|MEMBERS_CHUNK|AUDIT_LOG_ENTRY_CREATE)"
    r"|GUILD_SOUNDBOARD_\w+|SOUNDBOARD_SOUNDS|(CHANNEL|THREAD|INTEGRATION|INVITE|STAGE_INSTANCE)_\w+|WEBHOOKS_UPDATE"
    r"|VOICE_SERVER_UPDATE|VOICE_CHANNEL_\w+|APPLICATION_COMMAND_PERMISSIONS_UPDATE|AUTO_MODERATION_RULE_\w+"
)
_VOICE_MESSAGE = 1 << 13
_MEDIA = {"image": "image", "audio": "audio", "video": "video"}
_FIRST_MILLISECOND = 1420070400000


@dataclass(frozen=True, slots=True)
class Told:
    """An event: its name, what it holds, and what the forwarder says besides."""

    kind: str
    d: dict[str, Any]
    envelope: dict[str, Any]
    delivery: Delivery

    @property
    def at(self) -> datetime | None:
        """When the forwarder heard of it, where it says so: much of what Discord tells has no time."""
        return iso(self.envelope, "at")

    @property
    def moment(self) -> str:
        """The minute it was told in, for what has neither id nor time: two forwarders tell it within a second."""
        return str(int((self.at or self.delivery.at).astimezone(UTC).timestamp()) // 60)

    def named(self, *parts: str) -> str:
        return together(*parts) or derived(whole_body(self.delivery), *parts)


def gateway(told: Told) -> Translation:
    if told.kind in ("READY", "RESUMED"):
        return Translation(beat=Beat(online=True))
    if told.kind in IGNORED:
        return Translation(ignored=IGNORED[told.kind])
    if told.kind in _KINDS:
        return _KINDS[told.kind](told)
    if _QUIET.fullmatch(told.kind):
        return Translation(ignored="housekeeping")
    return Translation((_kept(told, told.kind),))


def _created(told: Told) -> Translation:
    kind = whole(told.d, "type") or 0
    if kind in NOTICES:
        return Translation(ignored=NOTICES[kind])
    if kind in HOUSEKEEPING:
        return Translation(ignored="housekeeping")
    if kind in BOOSTS:
        return Translation((_kept(told, "guild_boost"),))
    if kind not in WRITTEN:
        return Translation((_kept(told, f"message_type_{kind}"),))
    return Translation((_written("message.created", told, told.named("message", word(told.d, "id")), "timestamp"),))


def _updated(told: Told) -> Translation:
    """Only who wrote a message can change it; what else Discord changes of one has no time of editing."""
    edited = word(told.d, "edited_timestamp")
    if not edited:
        return Translation(ignored="not_edited")
    id = told.named("edited", word(told.d, "id"), edited)
    return Translation((_written("message.edited", told, id, "edited_timestamp"),))


def _written(type: str, told: Told, id: str, time: str) -> Seen:
    subject, actor = word(told.d, "id") or None, _author(told.d)
    return Seen(
        type=type,
        id=id,
        at=iso(told.d, time),
        actor=actor,
        group=group_of(told.d),
        subject=subject,
        data=_about_message(told.d),
        text=words(told.d, "content") or None,
        shared=True,
        about=subject if type == "message.edited" and actor is None else None,
    )


def _about_message(d: dict[str, Any]) -> dict[str, Any]:
    files = items(d, "attachments")
    data: dict[str, Any] = {"kind": _kind(d, files)}
    if files or items(d, "sticker_items"):
        data["has_media"] = True
    if mentions := [one for one in dict.fromkeys(user(person) for person in items(d, "mentions")) if one is not None]:
        data["mentions"] = mentions
    if d.get("mention_everyone") is True:
        data["mentions_all"] = True
    parent = inner(d, "message_reference")
    # A forwarded message refers to what it forwards, and replies to nothing.
    if not whole(parent, "type") and (replied := word(parent, "message_id")):
        data["reply_to"] = replied
    return {**data, **private(d), **_bot(d)}


def _kind(d: dict[str, Any], files: list[dict[str, Any]]) -> str:
    if (whole(d, "flags") or 0) & _VOICE_MESSAGE:
        return "voice"
    if files:
        return _MEDIA.get(word(files[0], "content_type").partition("/")[0], "file")
    return "sticker" if items(d, "sticker_items") else "poll" if inner(d, "poll") else "text"


def _deleted(told: Told) -> Translation:
    """Discord tells neither whose message it was nor who deleted it."""
    ids = told.d.get("ids") if told.kind == "MESSAGE_DELETE_BULK" else [told.d.get("id")]
    names = [word({"id": id}, "id") for id in ids] if isinstance(ids, list) else []
    seen = tuple(
        Seen(
            type="message.deleted",
            id=f"deleted:{name}",
            at=told.at,
            group=group_of(told.d),
            subject=name,
            about=name,
            shared=True,
        )
        for name in dict.fromkeys(names)
        if name
    )
    return Translation(seen) if seen else Translation(ignored="nothing_named")


def _reaction(told: Told) -> Translation:
    """The same again is the same: Discord gives it neither id nor time, and one given twice must not count twice."""
    change = "added" if told.kind == "MESSAGE_REACTION_ADD" else "removed"
    kind = word(inner(told.d, "emoji"), "id") or emoji(inner(told.d, "emoji"), "name")
    actor, author = identity(PLATFORM, word(told.d, "user_id")), identity(PLATFORM, word(told.d, "message_author_id"))
    subject = word(told.d, "message_id") or None
    seen = Seen(
        type=f"reaction.{change}",
        id=told.named(change, subject or "", word(told.d, "user_id"), kind),
        at=told.at,
        actor=actor,
        author=author if author != actor else None,
        group=group_of(told.d),
        subject=subject,
        about=subject if author is None else None,
        data={"kind": kind, **_bot(inner(told.d, "member"), "user")},
        shared=True,
    )
    return Translation((seen,))


def _vote(told: Told) -> Translation:
    """One for each answer chosen; one taken back and chosen again is the same."""
    person, answer, subject = (word(told.d, name) for name in ("user_id", "answer_id", "message_id"))
    seen = Seen(
        type="poll.voted",
        id=told.named("vote", subject, person, answer),
        at=told.at,
        actor=identity(PLATFORM, person),
        group=group_of(told.d),
        subject=subject or None,
        data={"options": [answer] if answer else []},
        shared=True,
    )
    return Translation((seen,))


def _came(told: Told) -> Translation:
    """Discord tells it of members too who have been there: the day they joined tells it apart."""
    joined = word(told.d, "joined_at")
    seen = _member("member.joined", told, "came", joined or told.moment, iso(told.d, "joined_at"))
    return Translation((seen,))


def _went(told: Told) -> Translation:
    """Whether somebody left or was removed is not told."""
    return Translation((_member("member.left", told, "went", told.moment, told.at),))


def _banned(told: Told) -> Translation:
    """By whom is not told, and it is not who was banned."""
    type = "member.banned" if told.kind == "GUILD_BAN_ADD" else "member.unbanned"
    return Translation((_member(type, told, type, told.moment, told.at, done_to=True),))


def _changed(told: Told) -> Translation:
    """Discord tells how a member is now: what changed can be said only where the forwarder tells how it was."""
    old, d = told.envelope.get("old"), told.d
    if not isinstance(old, dict):
        return Translation(ignored="change_not_told")
    seen = []
    was, now = _names(old, "roles"), _names(d, "roles")
    if "roles" in old and "roles" in d and set(was) != set(now):
        added = [one for one in now if one not in was]
        data: dict[str, Any] = {"roles_added": added, "roles_removed": [one for one in was if one not in now]}
        if added:
            data["role"] = added[0]
        when = derived(told.moment, *sorted(was), "→", *sorted(now))
        seen.append(_member("member.role_changed", told, "role", when, told.at, data, done_to=True))
    if "nick" in old and "nick" in d and old["nick"] != d["nick"]:
        when = derived(told.moment, words(old, "nick"), "→", words(d, "nick"))
        seen.append(_member("member.renamed", told, "renamed", when, told.at))
    return Translation(tuple(seen)) if seen else Translation(ignored="nothing_of_ours_changed")


def _member(
    type: str,
    told: Told,
    name: str,
    when: str,
    at: datetime | None,
    data: dict[str, Any] | None = None,
    done_to: bool = False,
) -> Seen:
    """Something about a member; where it was `done_to` them, nobody knows the actor and `data.member` is who."""
    person, guild = inner(told.d, "user"), word(told.d, "guild_id")
    who, more = user(person), dict(data or {})
    if done_to and who is not None:
        more["member"] = who
    elif not done_to and person.get("bot") is True:
        more["bot"] = True
    return Seen(
        type=type,
        id=told.named(name, guild, word(person, "id"), when),
        at=at,
        actor=None if done_to else who,
        group=identity(PLATFORM, guild),
        data=more,
        shared=True,
        notice=True,
    )


def _kept(told: Told, kind: str) -> Seen:
    d = told.d
    actor = identity(PLATFORM, word(d, "user_id")) or user(inner(d, "user")) or _author(d)
    subject, id = word(d, "message_id") or None, derived(kind, whole_body(told.delivery), told.moment)
    at = iso(d, "timestamp") or told.at
    return unknown(PLATFORM, kind, id, at, actor=actor, group=group_of(d), subject=subject)


def user(person: dict[str, Any]) -> str | None:
    return identity(PLATFORM, word(person, "id"))


def born(snowflake: str) -> datetime | None:
    """Discord's ids say when they were made."""
    if not re.fullmatch(r"[0-9]{1,19}", snowflake):
        return None
    return instant(((int(snowflake) >> 22) + _FIRST_MILLISECOND) / 1000)


def _author(d: dict[str, Any]) -> str | None:
    """Who wrote; a webhook is nobody, though it has an author's name and picture."""
    return None if word(d, "webhook_id") else user(inner(d, "author"))


def _bot(d: dict[str, Any], who: str = "author") -> dict[str, Any]:
    return {"bot": True} if inner(d, who).get("bot") is True or word(d, "webhook_id") else {}


def private(d: dict[str, Any]) -> dict[str, Any]:
    """What happens in no server is between somebody and the bot."""
    return {} if word(d, "guild_id") else {"private": True}


def group_of(d: dict[str, Any]) -> str | None:
    """The channel (a thread is one too), or the server for what happens in none; None with the bot alone."""
    return None if private(d) else identity(PLATFORM, word(d, "channel_id") or word(d, "guild_id"))


def _names(d: dict[str, Any], name: str) -> list[str]:
    found = d.get(name)
    return [one for one in found if isinstance(one, str) and len(one) <= 40] if isinstance(found, list) else []


_KINDS: dict[str, Callable[[Told], Translation]] = {
    "MESSAGE_CREATE": _created,
    "MESSAGE_UPDATE": _updated,
    "MESSAGE_DELETE": _deleted,
    "MESSAGE_DELETE_BULK": _deleted,
    "MESSAGE_REACTION_ADD": _reaction,
    "MESSAGE_REACTION_REMOVE": _reaction,
    "MESSAGE_POLL_VOTE_ADD": _vote,
    "GUILD_MEMBER_ADD": _came,
    "GUILD_MEMBER_REMOVE": _went,
    "GUILD_MEMBER_UPDATE": _changed,
    "GUILD_BAN_ADD": _banned,
    "GUILD_BAN_REMOVE": _banned,
}
