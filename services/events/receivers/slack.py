"""Slack: the Events API, signed with HMAC-SHA256 over time and body."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from services.events.receivers.form import (
    Answer,
    Delivery,
    Malformed,
    NoSettings,
    OneSecret,
    Receiver,
    Refused,
    Seen,
    Setup,
    Translation,
)
from services.events.receivers.reading import (
    identity,
    inner,
    instant,
    items,
    json_object,
    recent,
    seconds,
    signed,
    together,
    unknown,
    whole_body,
    word,
    words,
)
from services.events.receivers.slack_check import CHECK, SCOPES

PLATFORM = "slack"
TOLERATED = timedelta(minutes=5)

# What a message's subtype means: something somebody wrote, or why nothing is made of it.
WRITTEN = frozenset({"", "me_message", "file_share", "file_comment", "thread_broadcast", "bot_message"})
NOTICES = {
    "message_replied": "told_as_message",
    "reply_broadcast": "told_as_message",
    "channel_join": "told_as_member_joined_channel",
    "group_join": "told_as_member_joined_channel",
    "channel_leave": "told_as_member_left_channel",
    "group_leave": "told_as_member_left_channel",
    "pinned_item": "housekeeping",
    "unpinned_item": "housekeeping",
    "channel_convert_to_private": "housekeeping",
    "channel_posting_permissions": "housekeeping",
}
_HOUSEKEEPING = re.compile(r"(channel|group)_(topic|purpose|name|archive|unarchive)")
_QUIET = re.compile(
    r"(channel|group|im)_(archive|unarchive|created|deleted|rename|left|open|close|id_changed|history_changed"
    r"|shared|unshared)|(pin|star)_(added|removed)|(subteam|team|dnd|email_domain|emoji)_\w+|app_home_opened"
    r"|file_(created|change|public|deleted|unshared)|user_(status|huddle|profile)_changed"
)
_TIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,40})(?:\|[^>]*)?>")
_ALL = re.compile(r"<!(?:channel|here|everyone)(?:\|[^>]*)?>")
_MEDIA = {"image": "image", "audio": "audio", "video": "video"}

EVENTS = (
    "message.channels", "message.groups", "message.im", "message.mpim", "reaction_added", "reaction_removed",
    "member_joined_channel", "member_left_channel", "team_join", "user_change", "file_shared",
)  # fmt: skip


def make_secrets(given: Mapping[str, str]) -> OneSecret:
    if not given.get("secret"):
        raise Malformed("/secret", "only Slack tells it: the app's Basic Information, App Credentials, Signing Secret")
    return OneSecret(given["secret"])


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: NoSettings) -> Delivery:
    """What Slack sends again is let in as well: it says that we did not take the first."""
    version, _, given = delivery.headers.get("x-slack-signature", "").partition("=")
    if version != "v0" or not given:
        raise Refused("signature_missing", "no X-Slack-Signature: is this from Slack?")
    stamp = delivery.headers.get("x-slack-request-timestamp", "")
    recent(delivery, stamp, TOLERATED)
    if not signed(f"v0:{stamp}:".encode() + delivery.body, given, [one.secret.encode() for one in secrets]):
        raise Refused("signature_wrong", "the signature is not of this body: is it this app's Signing Secret?")
    return delivery


def greet(delivery: Delivery, secret: OneSecret, settings: NoSettings) -> Answer | None:
    try:
        body = json_object(delivery.body)
    except Malformed:
        return None
    if body.get("type") != "url_verification":
        return None
    return Answer(200, words(body, "challenge").encode(), "text/plain")


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    outer, event = word(body, "type"), inner(body, "event")
    if outer == "url_verification":
        return Translation(ignored="greeting")
    if outer == "app_rate_limited":
        return Translation((_limited(body, delivery),))
    kind = word(event, "type") if outer == "event_callback" else outer
    if not kind:
        raise Malformed("/event/type" if outer else "/type", "what happened is not named")
    if kind == "app_mention":
        return Translation(ignored="told_as_message")
    if outer == "event_callback" and kind in _KINDS:
        return _KINDS[kind](event, body, delivery)
    if _QUIET.fullmatch(kind):
        return Translation(ignored="housekeeping")
    return Translation((_kept(kind, event, body, delivery),))


def _message(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    subtype, channel = word(event, "subtype"), word(event, "channel")
    if subtype == "message_changed":
        return _changed(event, channel, delivery)
    if subtype == "message_deleted":
        return Translation((_deleted(event, word(event, "deleted_ts"), delivery),))
    if subtype in NOTICES:
        return Translation(ignored=NOTICES[subtype])
    if _HOUSEKEEPING.fullmatch(subtype):
        return Translation(ignored="housekeeping")
    if subtype not in WRITTEN:
        return Translation((_kept(f"message_{subtype}", event, body, delivery),))
    written = word(event, "ts")
    seen = Seen(
        type="message.created",
        id=together("message", channel, written) or whole_body(delivery),
        at=_at(written),
        actor=_user(event) or _user(inner(event, "comment")),
        group=_group(event),
        subject=together(channel, written) or None,
        data=_about_message(event, event),
        text=words(event, "text") or None,
        shared=True,
    )
    return Translation((seen,))


def _changed(event: dict[str, Any], channel: str, delivery: Delivery) -> Translation:
    """An edit only where somebody edited: Slack tells this way too that a link got its preview."""
    message, before = inner(event, "message"), inner(event, "previous_message")
    edited, written = inner(message, "edited"), word(message, "ts")
    if message.get("subtype") == "tombstone":
        # The first message of a thread is not removed but emptied.
        return Translation((_deleted(event, written, delivery),))
    when = word(edited, "ts")
    if not when or when == word(inner(before, "edited"), "ts"):
        return Translation(ignored="not_edited")
    author, actor = _user(message), _user(edited) or _user(message)
    seen = Seen(
        type="message.edited",
        id=together("edited", channel, written, when) or whole_body(delivery),
        at=_at(when),
        actor=actor,
        author=author if author != actor else None,
        group=_group(event),
        subject=together(channel, written) or None,
        data=_about_message(message, event),
        text=words(message, "text") or None,
        shared=True,
    )
    return Translation((seen,))


def _deleted(event: dict[str, Any], written: str, delivery: Delivery) -> Seen:
    """Slack tells whose message it was and not who removed it."""
    channel, author = word(event, "channel"), _user(inner(event, "previous_message"))
    subject = together(channel, written) or None
    return Seen(
        type="message.deleted",
        id=together("deleted", channel, written) or whole_body(delivery),
        at=_at(word(event, "event_ts") or word(event, "ts")),
        author=author,
        group=_group(event),
        subject=subject,
        about=subject if author is None else None,
        shared=True,
    )


def _about_message(message: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    files, text = items(message, "files") or [one for one in (inner(message, "file"),) if one], words(message, "text")
    data: dict[str, Any] = {"kind": _kind(files[0]) if files else "text"}
    if files:
        data["has_media"] = True
    if mentions := [f"{PLATFORM}:{name}" for name in dict.fromkeys(_MENTION.findall(text))]:
        data["mentions"] = mentions[:1000]
    if _ALL.search(text):
        data["mentions_all"] = True
    thread, written = word(message, "thread_ts"), word(message, "ts")
    if thread != written and (parent := together(word(event, "channel"), thread)):
        data["reply_to"] = parent
    if _private(event):
        data["private"] = True
    if word(message, "bot_id") or word(message, "subtype") == "bot_message":
        data["bot"] = True
    return data


def _kind(file: dict[str, Any]) -> str:
    if word(file, "subtype") == "slack_audio":
        return "voice"
    return _MEDIA.get(word(file, "mimetype").partition("/")[0], "file")


def _reaction(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    item, happened = inner(event, "item"), word(event, "event_ts")
    change = "added" if event["type"] == "reaction_added" else "removed"
    place = together(word(item, "channel"), word(item, "ts")) or together("file", word(item, "file"))
    actor, author = _user(event), _user(event, "item_user")
    seen = Seen(
        type=f"reaction.{change}",
        id=together(change, place, word(event, "user"), word(event, "reaction"), happened) or whole_body(delivery),
        at=_at(happened),
        actor=actor,
        author=author if author != actor else None,
        group=_group(item),
        subject=place or None,
        about=(place or None) if author is None else None,
        data={"kind": word(event, "reaction")},
        shared=True,
    )
    return Translation((seen,))


def _member(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    """Somebody who came to a channel or left it, which says nothing of the workspace."""
    change = "joined" if event["type"] == "member_joined_channel" else "left"
    happened, inviter, actor = word(event, "event_ts"), _user(event, "inviter"), _user(event)
    data = {"scope": "channel"}
    if inviter is not None and inviter != actor:
        data["invited_by"] = inviter
    id = together(change, word(event, "channel"), word(event, "user"), happened) or whole_body(delivery)
    seen = Seen(
        type=f"member.{change}",
        id=id,
        at=_at(happened),
        actor=actor,
        group=_group(event),
        data=data,
        shared=True,
        notice=True,
    )
    return Translation((seen,))


def _team_join(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    person = inner(event, "user")
    id = together("team_join", word(body, "team_id"), word(person, "id")) or whole_body(delivery)
    return Translation((_of_workspace("member.joined", id, event, body),))


def _user_change(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    """Leaving a workspace is told in no other way than that the account is closed."""
    person = inner(event, "user")
    if person.get("deleted") is not True:
        return Translation(ignored="profile")
    parts = ("closed", word(body, "team_id"), word(person, "id"), word(person, "updated"))
    return Translation((_of_workspace("member.left", together(*parts) or whole_body(delivery), event, body),))


def _of_workspace(type: str, id: str, event: dict[str, Any], body: dict[str, Any]) -> Seen:
    person = inner(event, "user")
    return Seen(
        type=type,
        id=id,
        at=_at(word(event, "event_ts")) or seconds(body, "event_time"),
        actor=_user(event),
        group=identity(PLATFORM, word(body, "team_id")),
        data={"bot": True} if person.get("is_bot") is True else {},
        shared=True,
        notice=True,
    )


def _file(event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Translation:
    file, channel = word(event, "file_id"), word(event, "channel_id")
    seen = Seen(
        type="file.uploaded",
        id=together("file", file, channel) or whole_body(delivery),
        at=_at(word(event, "event_ts")),
        actor=_user(event, "user_id"),
        group=None if channel.startswith("D") else identity(PLATFORM, channel),
        subject=together("file", file) or None,
        data={"private": True} if channel.startswith("D") else {},
        shared=True,
    )
    return Translation((seen,))


def _limited(body: dict[str, Any], delivery: Delivery) -> Seen:
    """Slack keeps from us what is beyond 30 000 an hour: whoever runs the community has to know."""
    id = together("app_rate_limited", word(body, "team_id"), word(body, "minute_rate_limited")) or whole_body(delivery)
    at, group = seconds(body, "minute_rate_limited"), identity(PLATFORM, word(body, "team_id"))
    return unknown(PLATFORM, "app_rate_limited", id, at, group=group)


def _kept(kind: str, event: dict[str, Any], body: dict[str, Any], delivery: Delivery) -> Seen:
    id = together("event", word(body, "event_id")) or whole_body(delivery)
    at = _at(word(event, "event_ts") or word(event, "ts")) or seconds(body, "event_time")
    return unknown(PLATFORM, kind, id, at, actor=_user(event), group=_group(event))


def _at(stamp: str) -> datetime | None:
    return instant(float(stamp)) if _TIME.fullmatch(stamp) else None


def _user(value: dict[str, Any], name: str = "user") -> str | None:
    """Some events hold the person's number, others the whole person."""
    return identity(PLATFORM, word(value, name) or word(inner(value, name), "id"))


def _private(event: dict[str, Any]) -> bool:
    return word(event, "channel_type") == "im" or word(event, "channel").startswith("D")


def _group(event: dict[str, Any]) -> str | None:
    """None for a conversation with the bot alone."""
    return None if _private(event) else _user(event, "channel")


_KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any], Delivery], Translation]] = {
    "message": _message,
    "reaction_added": _reaction,
    "reaction_removed": _reaction,
    "member_joined_channel": _member,
    "member_left_channel": _member,
    "team_join": _team_join,
    "user_change": _user_change,
    "file_shared": _file,
}


def setup(url: str, secret: OneSecret, settings: NoSettings) -> Setup:
    asked = {"request_url": url, "bot_events": EVENTS}
    manifest = {
        "display_information": {"name": "Guildhall"},
        "features": {"bot_user": {"display_name": "Guildhall", "always_online": True}},
        "oauth_config": {"scopes": {"bot": SCOPES}},
        "settings": {"event_subscriptions": asked, "socket_mode_enabled": False, "org_deploy_enabled": False},
    }
    return Setup(
        (
            "On api.slack.com/apps open the app whose Signing Secret this connection has, and its App Manifest.",
            "Paste the manifest below (JSON), save, and let Slack verify the Request URL.",
            "Install App: install it to the workspace, and again after each change of scopes.",
            "Invite the bot to every channel that counts: /invite @Guildhall.",
        ),
        msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode() + "\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Slack",
    secrets=OneSecret,
    settings=NoSettings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
    accepted=Answer(200),
    check=CHECK,
)
