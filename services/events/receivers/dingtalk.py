"""DingTalk (钉钉): events of an organisation, encrypted; and what people write to a robot, with a signed time."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec

from services.events.receivers import sealed
from services.events.receivers.form import Answer, Delivery, Receiver, Refused, Seen, Setup, Translation
from services.events.receivers.reading import (
    identity,
    inner,
    items,
    json_object,
    milliseconds,
    recent,
    same,
    unknown,
    whole_body,
    word,
    words,
)
from services.events.receivers.sealed import EnvelopeSecrets

PLATFORM = "dingtalk"
TOLERATED = timedelta(hours=1)
MAX_PEOPLE = 1000

PEOPLE = {
    "chat_add_member": ("member.joined", ""),
    "chat_remove_member": ("member.kicked", ""),
    "chat_quit": ("member.left", ""),
    "user_add_org": ("member.joined", "organization"),
    "user_leave_org": ("member.left", "organization"),
}
IGNORED = {"check_url": "handshake", "user_modify_org": "housekeeping"}
KINDS = {"picture": "image", "audio": "voice", "richText": "rich_text"}
MEDIA = {"picture", "audio", "video", "file"}


class DingTalkSecrets(EnvelopeSecrets, frozen=True, forbid_unknown_fields=True):
    """`app_secret` (client secret) signs what people write to the robot; without it only events are taken."""

    app_secret: str = ""


class DingTalkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`owner_key`: whom events are encrypted for: the app's key (client id), with older apps the company's id."""

    owner_key: str

    def __post_init__(self) -> None:
        if not self.owner_key or not self.owner_key.isascii() or not self.owner_key.isalnum():
            raise ValueError("owner_key is letters and digits, such as ding0123456789abcdef")


def make_secrets(given: Mapping[str, str]) -> DingTalkSecrets:
    envelope = sealed.made(given)
    return DingTalkSecrets(envelope.token, envelope.encoding_aes_key, given.get("app_secret", ""))


def verify(delivery: Delivery, secrets: Sequence[DingTalkSecrets], settings: DingTalkSettings) -> Delivery:
    if _signature(delivery):
        return _event_verified(delivery, secrets, settings)
    given, timestamp = (delivery.headers.get(name, "") for name in ("sign", "timestamp"))
    if not given:
        raise Refused("signature_missing", "neither a signature in the address nor a sign header: is this DingTalk?")
    known = [one.app_secret for one in secrets if one.app_secret]
    if not known:
        raise Refused(
            "secret_missing", "a message to the robot, but this connection has no app_secret to check it with"
        )
    if not same(given, [_sign(one, timestamp) for one in known]):
        raise Refused("signature_wrong", "the sign is not of this app's secret: is it this connection's app_secret?")
    recent(delivery, _seconds(timestamp), TOLERATED)
    return delivery


def _event_verified(delivery: Delivery, secrets: Sequence[DingTalkSecrets], settings: DingTalkSettings) -> Delivery:
    query, encrypted = delivery.query, words(json_object(delivery.body), "encrypt")
    timestamp = query.get("timestamp") or query.get("timeStamp") or ""
    place, secret = sealed.signer(_signature(delivery), timestamp, query.get("nonce", ""), encrypted, secrets)
    recent(delivery, _seconds(timestamp), TOLERATED)
    message, meant_for = sealed.opened(encrypted, secret.key)
    if meant_for != settings.owner_key:
        raise Refused("receiver_wrong", "encrypted for another app: is owner_key this app's client id?")
    return replace(delivery, body=message, signed_with=place)


def _signature(delivery: Delivery) -> str:
    """Only events have one in the address; both names are used."""
    return delivery.query.get("msg_signature") or delivery.query.get("signature") or ""


def _seconds(milliseconds: str) -> str:
    """Also where it is seconds already, as in some of DingTalk's own examples."""
    return milliseconds[:-3] if len(milliseconds) > 11 else milliseconds


def _sign(app_secret: str, timestamp: str) -> str:
    """It says when, and that it is DingTalk; nothing of the body."""
    text = f"{timestamp}\n{app_secret}".encode()
    return base64.b64encode(hmac.new(app_secret.encode(), text, hashlib.sha256).digest()).decode()


def greet(delivery: Delivery, secret: DingTalkSecrets, settings: DingTalkSettings) -> Answer | None:
    question = _signature(delivery) and _kind(_event(delivery)) == "check_url"
    return accepted(delivery, secret, settings) if question else None


def accepted(delivery: Delivery, secret: DingTalkSecrets, settings: DingTalkSettings) -> Answer:
    """To an event "success" in the same envelope; to a message nothing, or the robot would say it.

    What ought to be random is made of the key and the delivery: nobody without the key can tell it beforehand, and no
    two deliveries have the same.
    """
    if not _signature(delivery):
        return Answer(200)
    random = hmac.new(secret.key, _signature(delivery).encode() + delivery.body, hashlib.sha256).digest()
    timestamp, nonce = str(int(delivery.at.timestamp() * 1000)), random[16:24].hex()
    encrypted = sealed.sealed(b"success", settings.owner_key, secret.key, random[:16])
    answer = {
        "msg_signature": sealed.signature(secret.token, timestamp, nonce, encrypted),
        "timeStamp": timestamp,
        "nonce": nonce,
        "encrypt": encrypted,
    }
    return Answer(200, json.dumps(answer).encode())


def translate(delivery: Delivery, settings: DingTalkSettings) -> Translation:
    told = _event(delivery)
    kind = _kind(told)
    if not _signature(delivery):
        return Translation((_message(told, delivery),))
    if kind in IGNORED:
        return Translation(ignored=IGNORED[kind])
    return Translation(_people(kind, told, delivery))


def _event(delivery: Delivery) -> dict[str, Any]:
    """DingTalk writes `EventType` here and `eventType` there, and both in one event."""
    return {name[:1].lower() + name[1:]: value for name, value in json_object(delivery.body).items()}


def _kind(told: dict[str, Any]) -> str:
    return word(told, "eventType")


def _people(kind: str, told: dict[str, Any], delivery: Delivery) -> tuple[Seen, ...]:
    """Each who came or went; of somebody who quits DingTalk only says who did it."""
    id = word(told, "eventId") or word(told, "bizId") or whole_body(delivery)
    at = milliseconds(told, "timeStamp") or milliseconds(told, "eventTime")
    operator = identity(PLATFORM, word(told, "operator"))
    group = identity(PLATFORM, word(told, "openConversationId") or word(told, "chatId"))
    people = [operator] if kind == "chat_quit" else _listed(told)
    if kind not in PEOPLE or not any(people):
        return (unknown(PLATFORM, kind, id, at, actor=operator, group=group),)
    type, scope = PEOPLE[kind]
    found = []
    for who in people:
        data = {"scope": scope} if scope else {}
        if type == "member.joined" and operator and operator != who:
            data["invited_by"] = operator
        found.append(Seen(type=type, id=f"{id}:{who}", at=at, actor=who, group=group, data=data, notice=True))
    return tuple(found)


def _listed(told: dict[str, Any]) -> list[str | None]:
    given = told.get("userId")
    names = given if isinstance(given, list) else [given]
    found = (identity(PLATFORM, word({"": one}, "")) for one in names[:MAX_PEOPLE])
    return list(dict.fromkeys(one for one in found if one))


def _message(told: dict[str, Any], delivery: Delivery) -> Seen:
    number, kind = word(told, "msgId"), word(told, "msgtype")
    pieces = items(inner(told, "content"), "richText")
    data: dict[str, Any] = {"kind": KINDS.get(kind, kind or "text")}
    if kind in MEDIA or any("downloadCode" in one for one in pieces):
        data["has_media"] = True
    mentions = [who for one in items(told, "atUsers") if (who := _person(one, "staffId", "dingtalkId"))]
    if mentions:
        data["mentions"] = mentions[:MAX_PEOPLE]
    answered = word(inner(inner(told, "text"), "repliedMsg"), "msgId") or word(told, "originalMsgId")
    if answered:
        data["reply_to"] = answered
    written = [words(inner(told, "text"), "content"), *(words(one, "text") for one in pieces)]
    return Seen(
        type="message.created",
        # Written to two robots at once, it is told to both.
        id=f"message:{number}" if number else whole_body(delivery),
        at=milliseconds(told, "createAt"),
        actor=_person(told, "senderStaffId", "senderId"),
        group=identity(PLATFORM, word(told, "conversationId")) if word(told, "conversationType") != "1" else None,
        subject=number or None,
        data=data,
        text="\n".join(one for one in written if one) or None,
        shared=bool(number),
    )


def _person(told: dict[str, Any], inside: str, outside: str) -> str | None:
    """By the id that events use too; somebody from outside the organisation has only the other one."""
    return identity(PLATFORM, word(told, inside) or word(told, outside))


def setup(url: str, secret: DingTalkSecrets, settings: DingTalkSettings) -> Setup:
    return Setup(
        (
            "On open-dev.dingtalk.com open the app → Events and callbacks (事件与回调) → HTTP push.",
            "Encryption aes_key, signature token, request URL: as below; DingTalk asks at once whether it answers.",
            "Switch on the events of group chats (and of the address book, if employees are the members).",
            "For messages to it: the app's robot → Message receiving: HTTP, the same URL; needs the app secret.",
        ),
        f"Request URL: {url}\naes_key: {secret.encoding_aes_key}\ntoken: {secret.token}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="DingTalk (钉钉)",
    secrets=DingTalkSecrets,
    settings=DingTalkSettings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
    accepted=accepted,
)
