"""WeCom (企业微信): callbacks of an app and of customer contact, encrypted XML with a SHA-1 signature in the query."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec

from services.events.receivers import markup, sealed
from services.events.receivers.form import Answer, Delivery, Receiver, Refused, Seen, Setup, Translation
from services.events.receivers.reading import (
    derived,
    identity,
    recent,
    seconds,
    unknown,
    whole,
    whole_body,
    word,
    words,
)
from services.events.receivers.sealed import EnvelopeSecrets

PLATFORM = "wecom"
# It asks three times within 15 seconds; what comes later is somebody else.
TOLERATED = timedelta(minutes=30)
MAX_PEOPLE = 1000

KINDS = {"shortvideo": "video"}
MEDIA = {"image", "voice", "video", "shortvideo", "file"}
CONTACTS = {
    "add_external_contact": "member.joined",
    "del_external_contact": "member.kicked",
    "del_follow_user": "member.left",
}
# How somebody came into a group, as WeCom numbers it.
VIA = {"0": "invitation", "1": "invitation", "2": "invitation_link", "3": "qr_code"}
IGNORED = {
    "enter_agent": "only_looked_at",
    "view": "only_looked_at",
    "view_miniprogram": "only_looked_at",
    "location": "only_looked_at",
    "change_external_contact.edit_external_contact": "housekeeping",
    "change_external_tag": "housekeeping",
}


class WeComSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`corp_id`: the company's id, as "My Company" shows it (ww…)."""

    corp_id: str

    def __post_init__(self) -> None:
        if not self.corp_id or not self.corp_id.isascii() or not self.corp_id.isalnum():
            raise ValueError("corp_id is letters and digits, such as ww0123456789abcdef")


def verify(delivery: Delivery, secrets: Sequence[EnvelopeSecrets], settings: WeComSettings) -> Delivery:
    query = delivery.query
    given, timestamp, nonce = (query.get(name, "") for name in ("msg_signature", "timestamp", "nonce"))
    if not given:
        raise Refused("signature_missing", "no msg_signature: is the address the whole one?")
    encrypted = query.get("echostr", "") if delivery.method == "GET" else _encrypted(delivery.body)
    place, secret = sealed.signer(given, timestamp, nonce, encrypted, secrets)
    recent(delivery, timestamp, TOLERATED)
    message, meant_for = sealed.opened(encrypted, secret.key)
    if meant_for != settings.corp_id:
        raise Refused("receiver_wrong", "encrypted for another company: is corp_id this company's?")
    return replace(delivery, body=message, signed_with=place)


def _encrypted(body: bytes) -> str:
    return words(markup.fields(body), "Encrypt")


def greet(delivery: Delivery, secret: EnvelopeSecrets, settings: WeComSettings) -> Answer | None:
    """Asked with GET whether the address is ours, it wants back what it encrypted."""
    return Answer(200, delivery.body, "text/plain") if delivery.method == "GET" else None


def translate(delivery: Delivery, settings: WeComSettings) -> Translation:
    told = markup.fields(delivery.body)
    if word(told, "MsgType") not in ("event", ""):
        return Translation((_message(told, delivery),))
    event, change = word(told, "Event") or word(told, "InfoType"), word(told, "ChangeType")
    kind = f"{event}.{change}".strip(".").lower()
    for name in (kind, event.lower()):
        if name in IGNORED:
            return Translation(ignored=IGNORED[name])
    if kind == "change_external_chat.update":
        return Translation(_group_change(told, delivery))
    if event == "change_external_contact":
        return Translation((_contact(told, change, delivery),))
    return Translation((_other(told, kind, delivery),))


def _message(told: Mapping[str, Any], delivery: Delivery) -> Seen:
    """What somebody wrote to the app; nobody else sees it, so there is no group."""
    number, kind = word(told, "MsgId"), word(told, "MsgType")
    data: dict[str, Any] = {"kind": KINDS.get(kind, kind)}
    if kind in MEDIA:
        data["has_media"] = True
    return Seen(
        type="message.created",
        id=f"message:{number}" if number else whole_body(delivery),
        at=seconds(told, "CreateTime"),
        actor=_somebody(told),
        subject=number or None,
        data=data,
        text=words(told, "Content") or None,
    )


def _group_change(told: Mapping[str, Any], delivery: Delivery) -> tuple[Seen, ...]:
    """Each who came or went; where WeCom does not say who, only that something changed."""
    detail, people = word(told, "UpdateDetail"), _people(told)
    if detail not in ("add_member", "del_member") or not people:
        return (_other(told, f"change_external_chat.{detail}", delivery),)
    if detail == "add_member":
        type, data = "member.joined", {"via": VIA.get(word(told, "JoinScene"))}
    else:
        type, data = ("member.kicked" if word(told, "QuitScene") == "1" else "member.left"), {}
    chat, at = word(told, "ChatId"), seconds(told, "CreateTime")
    return tuple(
        Seen(
            type=type,
            # Every app of the company is told the same, with the same names and numbers.
            id=derived("change_external_chat", detail, chat, word(told, "CreateTime"), word(told, "CurMemVer"), one),
            at=at,
            actor=identity(PLATFORM, one),
            group=identity(PLATFORM, chat),
            data={name: value for name, value in data.items() if value},
            shared=True,
            notice=True,
        )
        for one in people
    )


def _people(told: Mapping[str, Any]) -> list[str]:
    """A list of items, or, as it was before, one text with commas."""
    found = told.get("MemChangeList")
    names = found if isinstance(found, list) else words(told, "MemChangeList").split(",")
    given = (word({"": one.strip()}, "") for one in names[:MAX_PEOPLE])
    return list(dict.fromkeys(one for one in given if one))


def _contact(told: Mapping[str, Any], change: str, delivery: Delivery) -> Seen:
    """A customer and an employee who became contacts, or are no more; the channel's name says where they came from."""
    customer, employee, time = word(told, "ExternalUserID"), word(told, "UserID"), word(told, "CreateTime")
    came = change in ("add_external_contact", "add_half_external_contact")
    data: dict[str, Any] = {"scope": "contact"}
    if came and word(told, "State"):
        data["via"] = word(told, "State")
    if came and employee:
        data["invited_by"] = identity(PLATFORM, employee)
    if change not in CONTACTS or not customer:
        seen = _other(told, f"change_external_contact.{change}", delivery)
        return replace(seen, actor=identity(PLATFORM, customer), data=data)
    return Seen(
        type=CONTACTS[change],
        id=derived("change_external_contact", change, customer, employee, time),
        at=seconds(told, "CreateTime"),
        actor=identity(PLATFORM, customer),
        data=data,
        shared=True,
        notice=True,
    )


def _other(told: Mapping[str, Any], kind: str, delivery: Delivery) -> Seen:
    """Kept as what it is: who, where and how many, where it says so."""
    count = whole(told, "MemChangeCnt")
    return unknown(
        PLATFORM,
        kind,
        whole_body(delivery),
        seconds(told, "CreateTime"),
        actor=_somebody(told),
        group=identity(PLATFORM, word(told, "ChatId")),
        data={"count": count} if count else {},
    )


def _somebody(told: Mapping[str, Any]) -> str | None:
    """`sys` is WeCom itself."""
    name = word(told, "FromUserName")
    return identity(PLATFORM, name) if name != "sys" else None


def setup(url: str, secret: EnvelopeSecrets, settings: WeComSettings) -> Setup:
    return Setup(
        (
            "In WeCom's admin console open the app → Receive messages → Set API receiving; for customers' groups and "
            "contacts also Customer contact → API → Receive event server.",
            "URL, Token and EncodingAESKey: as below. Save: WeCom asks at once whether the address answers.",
            "Customer contact: choose the app among those that may call its API, else no group is told.",
        ),
        f"URL: {url}\nToken: {secret.token}\nEncodingAESKey: {secret.encoding_aes_key}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="WeCom (企业微信)",
    secrets=EnvelopeSecrets,
    settings=WeComSettings,
    make_secrets=sealed.made,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
    accepted=Answer(200, b"success", "text/plain"),
)
