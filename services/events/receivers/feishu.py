"""Feishu (Lark): events signed with SHA-256 and encrypted with AES-256-CBC where an encrypt key is set."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from services.events.receivers import sealed
from services.events.receivers.form import (
    Answer,
    Delivery,
    Malformed,
    NoSettings,
    Receiver,
    Refused,
    Seen,
    Setup,
    Translation,
)
from services.events.receivers.reading import (
    derived,
    identity,
    inner,
    items,
    json_object,
    milliseconds,
    same,
    unknown,
    whole_body,
    word,
    words,
)

PLATFORM = "feishu"
AES_BLOCK = 16

MEMBERS = {
    "im.chat.member.user.added_v1": "member.joined",
    "im.chat.member.user.deleted_v1": "member.left",
    "im.chat.member.user.withdrawn_v1": "member.left",
}
REACTIONS = {
    "im.message.reaction.created_v1": "reaction.added",
    "im.message.reaction.deleted_v1": "reaction.removed",
}
BOTS = {
    "im.chat.member.bot.added_v1": f"{PLATFORM}.bot.added",
    "im.chat.member.bot.deleted_v1": f"{PLATFORM}.bot.removed",
}
IGNORED = {
    "im.message.message_read_v1": "only_looked_at",
    "im.chat.access_event.bot_p2p_chat_entered_v1": "only_looked_at",
}
# What Feishu calls a message, where we say it otherwise.
KINDS = {"post": "rich_text", "audio": "voice", "media": "video", "interactive": "card"}
MEDIA = {"image", "file", "audio", "media", "sticker"}


class FeishuSecrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both stand on the app's page, under "Events and callbacks" → "Encryption strategy". Without `encrypt_key` nothing
    is signed or encrypted: then only the token tells who sent it."""

    verification_token: str
    encrypt_key: str = ""

    def __post_init__(self) -> None:
        if not self.verification_token:
            raise ValueError("verification_token must not be empty")


def make_secrets(given: Mapping[str, str]) -> FeishuSecrets:
    if not given.get("verification_token"):
        raise Malformed(
            "/verification_token", "it is on the app's page, under Events and callbacks → Encryption strategy"
        )
    return FeishuSecrets(given["verification_token"], given.get("encrypt_key", ""))


def verify(delivery: Delivery, secrets: Sequence[FeishuSecrets], settings: NoSettings) -> Delivery:
    """No time is checked: Feishu tries again for hours, and what it signs as the time has more than one form."""
    body = json_object(delivery.body)
    for place, secret in enumerate(secrets):
        plain = _opened(delivery, body, secret)
        if plain is not None:
            return replace(delivery, body=plain, signed_with=place)
    raise Refused(
        "signature_wrong", "the token, the signature or the encryption is not this app's: are both secrets this app's?"
    )


def _opened(delivery: Delivery, body: dict[str, Any], secret: FeishuSecrets) -> bytes | None:
    """The event as it was before it was encrypted, None when it is not this app's."""
    plain, signed = delivery.body, not secret.encrypt_key or _is_signed(delivery, secret.encrypt_key)
    if secret.encrypt_key:
        try:
            key = hashlib.sha256(secret.encrypt_key.encode()).digest()
            plain = sealed.decrypted(words(body, "encrypt"), key, None, AES_BLOCK)
            body = json_object(plain)
        except Malformed:
            # To a stranger the same answer whatever is wrong: what is inside is only for who can sign it.
            if signed:
                raise
            return None
    token = word(inner(body, "header"), "token") or word(body, "token")
    # The question whether the address is ours comes without a signature.
    ours = same(token, [secret.verification_token]) and (signed or _is_question(body))
    return plain if ours else None


def _is_signed(delivery: Delivery, encrypt_key: str) -> bool:
    headers = delivery.headers
    stamp = headers.get("x-lark-request-timestamp", "") + headers.get("x-lark-request-nonce", "") + encrypt_key
    right = hashlib.sha256(stamp.encode() + delivery.body).hexdigest()
    return hmac.compare_digest(right.encode(), headers.get("x-lark-signature", "").encode())


def _is_question(body: Mapping[str, Any]) -> bool:
    return word(body, "type") == "url_verification"


def greet(delivery: Delivery, secret: FeishuSecrets, settings: NoSettings) -> Answer | None:
    body = json_object(delivery.body)
    if not _is_question(body):
        return None
    return Answer(200, json.dumps({"challenge": words(body, "challenge")}).encode())


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    header, event = inner(body, "header"), inner(body, "event")
    # The older form has no header, and names its event inside.
    kind = word(header, "event_type") or word(event, "type") or word(body, "type")
    id = word(header, "event_id") or word(body, "uuid") or whole_body(delivery)
    if kind in IGNORED:
        return Translation(ignored=IGNORED[kind])
    if kind == "im.message.receive_v1":
        return Translation((_message(event, id),))
    if kind == "im.message.recalled_v1":
        return Translation((_recall(event, id),))
    if kind in REACTIONS:
        return Translation((_reaction(kind, event, id),))
    if kind in MEMBERS:
        return Translation(_members(kind, event, id, header))
    return Translation((_other(kind, event, id, header),))


def _message(event: dict[str, Any], id: str) -> Seen:
    message, sender = inner(event, "message"), inner(event, "sender")
    number, kind = word(message, "message_id"), word(message, "message_type")
    content = _content(message)
    data: dict[str, Any] = {"kind": KINDS.get(kind, kind or "text")}
    if kind in MEDIA or (kind == "post" and any(one.get("tag") in ("img", "media") for one in _pieces(content))):
        data["has_media"] = True
    mentions = items(message, "mentions")
    text = _text(content)
    people = [who for one in mentions if (who := _person(inner(one, "id")))]
    if people:
        data["mentions"] = people[:1000]
    if "@_all" in text or any(word(one, "key") == "@_all" for one in mentions):
        data["mentions_all"] = True
    answered, thread = word(message, "parent_id") or word(message, "root_id"), word(message, "thread_id")
    if answered:
        data["reply_to"] = answered
    if thread:
        data["topic"] = thread
    if word(sender, "sender_type") not in ("user", ""):
        data["bot"] = True
    return Seen(
        type="message.created",
        # Another app of the company has the same message under the same name, its writer under another.
        id=f"message:{number}" if number else id,
        at=milliseconds(message, "create_time"),
        actor=_person(inner(sender, "sender_id")),
        group=_chat(message) if word(message, "chat_type") != "p2p" else None,
        subject=number or None,
        data=data,
        text=text or None,
        shared=bool(number),
    )


def _content(message: dict[str, Any]) -> dict[str, Any]:
    """Feishu puts JSON into a text here."""
    try:
        return json_object(words(message, "content").encode())
    except Malformed:
        return {}


def _pieces(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What a rich text is made of: lines of pieces."""
    lines = content.get("content")
    found = [one for line in lines if isinstance(line, list) for one in line] if isinstance(lines, list) else []
    return [one for one in found if isinstance(one, dict)]


def _text(content: dict[str, Any]) -> str:
    written = [words(content, "text"), words(content, "title")]
    written += [words(one, "text") for one in _pieces(content) if one.get("tag") in ("text", "a", "md", "code_block")]
    return "\n".join(one for one in written if one)


def _recall(event: dict[str, Any], id: str) -> Seen:
    """Who did it is not told; its writer, or by what right somebody else."""
    number, by = word(event, "message_id"), word(event, "recall_type")
    own = by in ("message_owner", "")
    return Seen(
        type="message.recalled" if own else "message.deleted",
        id=f"recalled:{number}" if number else id,
        at=milliseconds(event, "recall_time"),
        group=_chat(event),
        subject=number or None,
        data={} if own else {"reason": by},
        shared=bool(number),
        about=number or None,
    )


def _reaction(kind: str, event: dict[str, Any], id: str) -> Seen:
    number, emoji, time = word(event, "message_id"), word(inner(event, "reaction_type"), "emoji_type"), "action_time"
    person = inner(event, "user_id")
    bot = word(event, "operator_type") == "app"
    actor = identity(PLATFORM, word(event, "app_id")) if bot else _person(person)
    # The same for two apps of one maker, for which the same person has two open ids.
    who = word(person, "union_id") or word(person, "open_id") or word(event, "app_id")
    return Seen(
        type=REACTIONS[kind],
        id=derived(kind, number, who, emoji, word(event, time)) if number and word(event, time) else id,
        at=milliseconds(event, time),
        actor=actor,
        subject=number or None,
        data={"kind": emoji, "bot": True} if bot else {"kind": emoji},
        shared=bool(number and word(event, time)),
        about=number or None,
    )


def _members(kind: str, event: dict[str, Any], id: str, header: dict[str, Any]) -> tuple[Seen, ...]:
    """Each of those who came or went; somebody whom another one removed was kicked."""
    by, at, group = _person(inner(event, "operator_id")), milliseconds(header, "create_time"), _chat(event)
    people = dict.fromkeys(who for one in items(event, "users") if (who := _person(inner(one, "user_id"))))
    if not people:
        return (_other(kind, event, id, header),)
    found = []
    for who in people:
        type, data = MEMBERS[kind], {}
        if kind.endswith("added_v1") and by and by != who:
            data = {"invited_by": by}
        elif kind.endswith("withdrawn_v1"):
            data = {"reason": "withdrawn"}
        elif kind.endswith("deleted_v1") and by and by != who:
            type = "member.kicked"
        found.append(Seen(type=type, id=f"{id}:{who}", at=at, actor=who, group=group, data=data, notice=True))
    return tuple(found)


def _other(kind: str, event: dict[str, Any], id: str, header: dict[str, Any]) -> Seen:
    seen = unknown(
        PLATFORM,
        kind,
        id,
        milliseconds(header, "create_time"),
        actor=_person(inner(event, "operator_id")) or identity(PLATFORM, word(event, "open_id")),
        group=_chat(event) or identity(PLATFORM, word(event, "open_chat_id")),
    )
    return replace(seen, type=BOTS.get(kind, seen.type))


def _person(ids: dict[str, Any]) -> str | None:
    """By open id: each app has it without asking for more rights."""
    return identity(PLATFORM, word(ids, "open_id"))


def _chat(told: dict[str, Any]) -> str | None:
    return identity(PLATFORM, word(told, "chat_id"))


def setup(url: str, secret: FeishuSecrets, settings: NoSettings) -> Setup:
    return Setup(
        (
            "On open.feishu.cn (open.larksuite.com) open the app, add the bot ability, and go to Events and callbacks.",
            "Send events to the developer's server. Request URL: as below; Feishu asks at once whether it answers.",
            "Add the events: message received, recalled, reactions, members of groups. Publish a version of the app.",
        ),
        f"Request URL: {url}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Feishu / Lark (飞书)",
    secrets=FeishuSecrets,
    settings=NoSettings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
    accepted=Answer(200, b"{}"),
)
