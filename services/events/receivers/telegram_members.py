"""Telegram: who came to a chat and who went, told to administrators as `chat_member` and to all in the chat itself."""

from collections.abc import Callable
from typing import Any

from services.events.receivers.form import Seen, Translation
from services.events.receivers.reading import derived, identity, inner, items, seconds, together, whole, word, words

PLATFORM = "telegram"


def by_service(told: dict[str, Any]) -> Translation:
    """Who came or went, as said in the chat. The ids are those of `chat_member`, which says the same to
    administrators."""
    by = inner(told, "from")
    seen = [_came(told, person, by, {}) for person in items(told, "new_chat_members")]
    if gone := inner(told, "left_chat_member"):
        seen.append(_went("member.left" if user(gone) == user(by) else "member.kicked", told, gone, by))
    return Translation(tuple(seen)) if seen else Translation(ignored="nobody_named")


def _chat_member(told: dict[str, Any]) -> Translation:
    old, new = inner(told, "old_chat_member"), inner(told, "new_chat_member")
    person, by = inner(new, "user"), inner(told, "from")
    was, now = word(old, "status"), word(new, "status")
    if _inside(new) and not _inside(old):
        return Translation((_came(told, person, by, _via(told)),))
    if _inside(new):
        if was == now:
            return Translation(ignored="rights_changed")
        return Translation((_went("member.role_changed", told, person, by, {"role": now}),))
    if now == "kicked" and was != "kicked":
        duration = (whole(new, "until_date") or 0) - (whole(told, "date") or 0)
        # A ban for ever has the date 0; and a number may be longer than any that can be written down.
        more = {"duration": duration} if 0 < duration < 10**10 else {}
        return Translation((_went("member.banned", told, person, by, more),))
    if _inside(old):
        alone = user(person) == user(by)
        return Translation((_went("member.left" if alone else "member.kicked", told, person, by),))
    if was == "kicked" and now != "kicked":
        return Translation((_went("member.unbanned", told, person, by),))
    return Translation(ignored="rights_changed")


def _inside(member: dict[str, Any]) -> bool:
    """Whether somebody of this status is in the chat: who is restricted may be, or may have left."""
    return word(member, "status") in ("creator", "administrator", "member") or member.get("is_member") is True


def _via(told: dict[str, Any]) -> dict[str, Any]:
    """How somebody came in: links have names, which who made them chose."""
    data: dict[str, Any] = {}
    if told.get("via_chat_folder_invite_link") is True:
        data["via"] = "chat_folder"
    if name := word(inner(told, "invite_link"), "name"):
        data["via"] = name
    if told.get("via_join_request") is True or inner(told, "invite_link").get("creates_join_request") is True:
        data["via_join_request"] = True
    return data


def _came(told: dict[str, Any], person: dict[str, Any], by: dict[str, Any], via: dict[str, Any]) -> Seen:
    who, other = user(person), user(by)
    data = {**via, **_scope(told), **bot(person)}
    # Who approves a request, or is told beside a link, invited nobody.
    if other is not None and other != who and not via and "invite_link" not in told:
        data["invited_by"] = other
    return _change("member.joined", "came", told, person, who, data)


def _went(
    type: str, told: dict[str, Any], person: dict[str, Any], by: dict[str, Any], more: dict[str, Any] | None = None
) -> Seen:
    """Somebody whose place in the chat changed; who did it is the actor, and `data.member` whose place it is."""
    who, other = user(person), user(by)
    data = {**(more or {}), **_scope(told), **bot(by or person)}
    if who is not None and who != other:
        data["member"] = who
    # Leaving, being removed and being banned are one happening, which a service message tells less exactly.
    name = "went" if type in ("member.left", "member.kicked", "member.banned") else type
    return _change(type, name, told, person, other or who, data)


def _change(
    type: str,
    name: str,
    told: dict[str, Any],
    person: dict[str, Any],
    actor: str | None,
    data: dict[str, Any],
    text: str | None = None,
) -> Seen:
    chat = inner(told, "chat")
    parts = (name, word(chat, "id"), word(person, "id"), word(told, "date"))
    return Seen(
        type=type,
        id=together(*parts) or derived(*parts),
        at=seconds(told, "date"),
        actor=actor,
        group=group_of(chat),
        data=data,
        text=text,
        shared=True,
        notice=True,
    )


def _join_request(told: dict[str, Any]) -> Translation:
    """Somebody asks to come in; what they say of themselves is text."""
    person, name = inner(told, "from"), word(inner(told, "invite_link"), "name")
    data = {**({"via": name} if name else {}), **_scope(told), **bot(person)}
    bio = words(told, "bio") or None
    return Translation((_change("member.join_requested", "asked", told, person, user(person), data, bio),))


def user(person: dict[str, Any]) -> str | None:
    return identity(PLATFORM, word(person, "id"))


def group_of(chat: dict[str, Any]) -> str | None:
    """None for a private chat with the bot: it is nobody's group, and its id is the other side's."""
    return None if word(chat, "type") == "private" else identity(PLATFORM, word(chat, "id"))


def _scope(told: dict[str, Any]) -> dict[str, Any]:
    return {"scope": "channel"} if word(inner(told, "chat"), "type") == "channel" else {}


def bot(person: dict[str, Any]) -> dict[str, Any]:
    return {"bot": True} if person.get("is_bot") is True else {}


MEMBERS: dict[str, Callable[[dict[str, Any]], Translation]] = {
    "chat_member": _chat_member,
    "chat_join_request": _join_request,
}
