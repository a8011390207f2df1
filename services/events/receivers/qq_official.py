"""QQ's official bots: webhooks signed with Ed25519, with a key pair that both sides make from the bot's secret."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
    iso,
    items,
    json_object,
    recent,
    seconds,
    unknown,
    whole,
    whole_body,
    word,
    words,
)

PLATFORM = "qq-official"
TOLERATED = timedelta(minutes=30)
DISPATCH, CHECK_ADDRESS = 0, 13
# Signing what a stranger chooses would sign deliveries for them; a body begins with a brace, this cannot.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")

GROUP_MESSAGES = {"GROUP_AT_MESSAGE_CREATE", "GROUP_MESSAGE_CREATE"}
CHANNEL_MESSAGES = {"AT_MESSAGE_CREATE", "MESSAGE_CREATE"}
PRIVATE_MESSAGES = {"C2C_MESSAGE_CREATE", "DIRECT_MESSAGE_CREATE"}
DELETIONS = {"MESSAGE_DELETE", "PUBLIC_MESSAGE_DELETE", "DIRECT_MESSAGE_DELETE"}
REACTIONS = {"MESSAGE_REACTION_ADD": "reaction.added", "MESSAGE_REACTION_REMOVE": "reaction.removed"}
GUILD_MEMBERS = {"GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"}
CONTACTS = {"FRIEND_ADD": "member.joined", "FRIEND_DEL": "member.left"}
BOTS = {"GROUP_ADD_ROBOT": f"{PLATFORM}.bot.added", "GROUP_DEL_ROBOT": f"{PLATFORM}.bot.removed"}
IGNORED = {
    "READY": "of_the_connection",
    "RESUMED": "of_the_connection",
    "GUILD_MEMBER_UPDATE": "housekeeping",
    "MESSAGE_AUDIT_PASS": "own_messages",
    "MESSAGE_AUDIT_REJECT": "own_messages",
}
ATTACHED = (("image", "image"), ("video", "video"), ("voice", "voice"), ("audio", "voice"))


def key_of(secret: str) -> Ed25519PrivateKey:
    """The pair's private half: the secret, repeated until it fills 32 bytes, is its seed."""
    seed = secret.encode()
    return Ed25519PrivateKey.from_private_bytes((seed * 32)[:32])


def make_secrets(given: Mapping[str, str]) -> OneSecret:
    if not given.get("secret"):
        raise Malformed(
            "/secret", "the bot's secret (AppSecret) is on its page at q.qq.com, under development settings"
        )
    return OneSecret(given["secret"])


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: NoSettings) -> Delivery:
    headers = delivery.headers
    given, timestamp = headers.get("x-signature-ed25519", ""), headers.get("x-signature-timestamp", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{128}", given):
        raise Refused("signature_missing", "no X-Signature-Ed25519: does this come from QQ?")
    signature, message = bytes.fromhex(given), timestamp.encode() + delivery.body
    place = next((n for n, one in enumerate(secrets) if one.secret and _signed(one.secret, signature, message)), None)
    if place is None:
        raise Refused("signature_wrong", "the signature is not of this body and secret: is it this bot's secret?")
    recent(delivery, timestamp, TOLERATED)
    return replace(delivery, signed_with=place)


def _signed(secret: str, signature: bytes, message: bytes) -> bool:
    try:
        key_of(secret).public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def greet(delivery: Delivery, secret: OneSecret, settings: NoSettings) -> Answer | None:
    """Asked whether the address is ours: the token comes back signed together with the time it was asked."""
    body = json_object(delivery.body)
    if whole(body, "op") != CHECK_ADDRESS:
        return None
    token, asked = word(inner(body, "d"), "plain_token"), word(inner(body, "d"), "event_ts")
    if not _TOKEN.fullmatch(token) or not re.fullmatch(r"[0-9]{1,20}", asked):
        raise Malformed("/d/plain_token", "no token of letters and digits, or no time in event_ts")
    signature = key_of(secret.secret).sign(f"{asked}{token}".encode()).hex()
    return Answer(200, json.dumps({"plain_token": token, "signature": signature}).encode())


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    kind, told = word(body, "t"), inner(body, "d")
    if whole(body, "op") != DISPATCH:
        return Translation(ignored="of_the_connection")
    if kind in IGNORED:
        return Translation(ignored=IGNORED[kind])
    id = word(body, "id") or whole_body(delivery)
    if kind in GROUP_MESSAGES | CHANNEL_MESSAGES | PRIVATE_MESSAGES:
        return Translation((_message(kind, told, id),))
    if kind in DELETIONS:
        return Translation((_deletion(told, id),))
    if kind in REACTIONS:
        return Translation((_reaction(kind, told, id),))
    if kind in GUILD_MEMBERS:
        return Translation((_guild_member(kind, told, id),))
    if kind in CONTACTS:
        who, at = identity(PLATFORM, word(told, "openid")), seconds(told, "timestamp")
        return Translation(
            (Seen(type=CONTACTS[kind], id=id, at=at, actor=who, data={"scope": "contact"}, notice=True),)
        )
    return Translation((_other(kind, told, id),))


def _message(kind: str, told: dict[str, Any], id: str) -> Seen:
    """In a group and in private the same person has another openid, in each group another one."""
    number, channel, author = word(told, "id"), word(told, "channel_id"), inner(told, "author")
    in_channel = kind in CHANNEL_MESSAGES
    field = {"C2C_MESSAGE_CREATE": "user_openid"}.get(kind, "member_openid" if kind in GROUP_MESSAGES else "id")
    # A bot that hears everything is told of a message to itself twice, of both kinds.
    name = f"message:{channel}:{number}" if in_channel else f"message:{number}"
    return Seen(
        type="message.created",
        id=name if number else id,
        at=iso(told, "timestamp"),
        actor=identity(PLATFORM, word(author, field)),
        group=_channel(told) if in_channel else _group(told) if kind in GROUP_MESSAGES else None,
        subject=number or None,
        data=_message_data(told, author),
        text=words(told, "content") or None,
        shared=in_channel and bool(number),
    )


def _message_data(told: dict[str, Any], author: dict[str, Any]) -> dict[str, Any]:
    attached = [word(one, "content_type") for one in items(told, "attachments")]
    data: dict[str, Any] = {"kind": "text"}
    if attached:
        data["kind"] = next((kind for start, kind in ATTACHED if attached[0].startswith(start)), "file")
        data["has_media"] = True
    people = (word(user, "member_openid") or word(user, "id") for user in items(told, "mentions"))
    mentioned = [f"{PLATFORM}:{one}" for one in people if one]
    if mentioned:
        data["mentions"] = mentioned[:1000]
    if told.get("mention_everyone") is True:
        data["mentions_all"] = True
    answered = word(inner(told, "message_reference"), "message_id")
    if answered:
        data["reply_to"] = answered
    return data | _bot(author)


def _deletion(told: dict[str, Any], id: str) -> Seen:
    """Taken back by its writer, or removed by somebody else."""
    message = inner(told, "message")
    number, channel = word(message, "id"), word(message, "channel_id")
    author, by = (
        identity(PLATFORM, word(inner(of, name), "id")) for of, name in ((message, "author"), (told, "op_user"))
    )
    own = by is not None and by == author
    return Seen(
        type="message.recalled" if own else "message.deleted",
        id=f"deleted:{channel}:{number}" if number else id,
        actor=by,
        author=None if own else author,
        group=_channel(message),
        subject=number or None,
        about=number or None,
        shared=bool(number),
    )


def _reaction(kind: str, told: dict[str, Any], id: str) -> Seen:
    emoji, target = inner(told, "emoji"), inner(told, "target")
    number = word(target, "id") or None
    return Seen(
        type=REACTIONS[kind],
        id=id,
        actor=identity(PLATFORM, word(told, "user_id")),
        group=_channel(told),
        subject=number,
        data={"kind": f"{word(emoji, 'type')}:{word(emoji, 'id')}"},
        about=number,
    )


def _guild_member(kind: str, told: dict[str, Any], id: str) -> Seen:
    user = inner(told, "user")
    who, by = identity(PLATFORM, word(user, "id")), identity(PLATFORM, word(told, "op_user_id"))
    data = _bot(user)
    if kind == "GUILD_MEMBER_ADD":
        type, at = "member.joined", iso(told, "joined_at")
        if by and by != who:
            data["invited_by"] = by
    else:
        # QQ tells when they came, not when they left.
        type, at = "member.kicked" if by and by != who else "member.left", None
    return Seen(type=type, id=id, at=at, actor=who, group=_guild(told), data=data, notice=True)


def _other(kind: str, told: dict[str, Any], id: str) -> Seen:
    actor = word(told, "op_member_openid") or word(told, "openid") or word(told, "user_id")
    seen = unknown(
        PLATFORM,
        kind,
        id,
        seconds(told, "timestamp"),
        actor=identity(PLATFORM, actor),
        group=_group(told) or _channel(told) or _guild(told),
    )
    return replace(seen, type=BOTS.get(kind, seen.type))


def _group(told: dict[str, Any]) -> str | None:
    return identity(PLATFORM, word(told, "group_openid"))


def _channel(told: dict[str, Any]) -> str | None:
    channel = word(told, "channel_id")
    return f"{PLATFORM}:channel/{channel}" if channel else None


def _guild(told: dict[str, Any]) -> str | None:
    guild = word(told, "guild_id")
    return f"{PLATFORM}:guild/{guild}" if guild else None


def _bot(user: dict[str, Any]) -> dict[str, Any]:
    return {"bot": True} if user.get("bot") is True else {}


def setup(url: str, secret: OneSecret, settings: NoSettings) -> Setup:
    return Setup(
        (
            "At q.qq.com open the bot → Development → Callback configuration (回调配置).",
            "Request address: as below. Ports 80, 443, 8080 and 8443 are allowed. QQ asks at once whether it answers.",
            "Choose the events: groups and private chats, for channels also messages, members and reactions.",
        ),
        f"Request address: {url}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="QQ official bot (QQ 机器人)",
    secrets=OneSecret,
    settings=NoSettings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
    accepted=Answer(200, b'{"op":12}'),
)
