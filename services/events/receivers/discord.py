"""Discord: interactions and webhook events, signed by Discord; the gateway's events, posted by a forwarder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.events.receivers.discord_gateway import PLATFORM, Told, born, gateway, group_of, private, user
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
    a_secret,
    identity,
    inner,
    iso,
    items,
    json_object,
    recent,
    same,
    together,
    unknown,
    whole,
    whole_body,
    word,
    words,
)

# Discord repeats a webhook event for ten minutes; whether with a new timestamp it does not say.
TOLERATED = timedelta(minutes=15)
PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 1, 2, 3, 4, 5
KINDS = {COMPONENT: "interaction_component", MODAL: "interaction_modal"}

# Who used a command sees an error unless it is answered within three seconds. What it leads to is said elsewhere and
# later, so a sign that only they see is answered: "deferred" would leave them waiting for what never comes.
_SEEN = Answer(200, '{"type":4,"data":{"content":"✓","flags":64}}'.encode())
ANSWERS = {
    COMMAND: _SEEN,
    COMPONENT: Answer(200, b'{"type":6}'),
    AUTOCOMPLETE: Answer(200, b'{"type":8,"data":{"choices":[]}}'),
    MODAL: _SEEN,
}
# Types of a command's options: a subcommand, or a group of them; what a person wrote; numbers; names.
_SUBCOMMANDS, _TEXT, _NUMBERS, _NAMES = (1, 2), 3, (4, 5, 10), (6, 7, 8, 9, 11)
# The kind of a command that is used on a message; another is used on a person.
_ON_MESSAGE = 3
_EXACT = 2**53


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`secret` is the forwarder's and ours; `public_key` the application's, as Discord shows it (64 hexadecimal
    digits), or "" where Discord itself posts nothing."""

    secret: str
    public_key: str = ""


def make_secrets(given: Mapping[str, str]) -> Secrets:
    key = given.get("public_key", "").strip().lower()
    if key and _key(key) is None:
        raise Malformed("/public_key", "the application's Public Key has 64 hexadecimal digits")
    return Secrets(given.get("secret") or a_secret(), key)


def _key(text: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        return None


def verify(delivery: Delivery, secrets: Sequence[Secrets], settings: NoSettings) -> Delivery:
    """Discord signs, and now and then wrongly on purpose; a forwarder shows the secret."""
    if "x-signature-ed25519" in delivery.headers:
        _verify_signature(delivery, [one.public_key for one in secrets if one.public_key])
        return delivery
    scheme, _, given = delivery.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Refused("signature_missing", "neither signed by Discord nor with Authorization: Bearer and the secret")
    if not same(given, [one.secret for one in secrets]):
        raise Refused("token_wrong", "the forwarder's secret is another one than this connection's")
    return delivery


def _verify_signature(delivery: Delivery, keys: Sequence[str]) -> None:
    if not keys:
        raise Refused(
            "public_key_missing", "signed by Discord, but this connection has no public_key of an application"
        )
    stamp = delivery.headers.get("x-signature-timestamp", "")
    recent(delivery, stamp, TOLERATED)
    try:
        signature = bytes.fromhex(delivery.headers["x-signature-ed25519"])
    except ValueError as error:
        raise Refused("signature_wrong", "X-Signature-Ed25519 is not hexadecimal") from error
    for key in keys:
        try:
            found = _key(key)
            if found is not None:
                found.verify(signature, stamp.encode() + delivery.body)
                return
        except InvalidSignature:
            continue
    raise Refused("signature_wrong", "the signature is not of this body: is it this application's Public Key?")


def greet(delivery: Delivery, secrets: Secrets, settings: NoSettings) -> Answer | None:
    """Discord tries an address before it takes it: one for interactions with 1, one for webhook events with 0."""
    try:
        body = json_object(delivery.body)
    except Malformed:
        return None
    kind = None if "t" in body or "event" in body else whole(body, "type")
    return Answer(200, b'{"type":1}') if kind == PING else Answer(204) if kind == 0 else None


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    if "t" in body:
        kind, d = word(body, "t"), inner(body, "d")
        if not kind:
            return Translation(ignored="no_event")
        if kind == "INTERACTION_CREATE":
            # Whoever holds the gateway answers those that come by it.
            return replace(_interaction(d, delivery), answer=None)
        return gateway(Told(kind, d, body, delivery))
    if event := inner(body, "event"):
        return Translation((_webhook_event(event, delivery),))
    return _interaction(body, delivery)


def _interaction(body: dict[str, Any], delivery: Delivery) -> Translation:
    kind = whole(body, "type")
    if kind is None:
        raise Malformed("/type", "neither an interaction nor an event nor what a forwarder posts, with t and d")
    if kind in (0, PING):
        return Translation(ignored="greeting")
    answer = ANSWERS.get(kind)
    if kind == AUTOCOMPLETE:
        return Translation(ignored="still_typing", answer=answer)
    id = together("interaction", word(body, "id")) or whole_body(delivery)
    return Translation((_command(body, id) if kind == COMMAND else _component(body, id, kind),), answer=answer)


def _command(body: dict[str, Any], id: str) -> Seen:
    """Which command, and what was chosen for it; what somebody wrote for it is text."""
    data = inner(body, "data")
    path, options = [word(data, "name")], items(data, "options")
    while len(options) == 1 and whole(options[0], "type") in _SUBCOMMANDS and len(path) < 3:
        path.append(word(options[0], "name"))
        options = items(options[0], "options")
    more: dict[str, Any] = {"command": " ".join(part for part in path if part)}
    if chosen := dict(_chosen(options)):
        more["options"] = chosen
    subject = author = None
    if target := word(data, "target_id"):
        if whole(data, "type") == _ON_MESSAGE:
            # The only object in the data holds what was chosen, by kind and id.
            chosen_things = next((value for value in data.values() if isinstance(value, dict)), {})
            subject, message = target, inner(inner(chosen_things, "messages"), target)
            author = user(inner(message, "author"))
        else:
            more["target"] = identity(PLATFORM, target)
    return Seen(
        type="command.invoked",
        id=id,
        at=born(word(body, "id")),
        actor=_who(body),
        author=author,
        group=group_of(body),
        subject=subject,
        data={**more, **private(body)},
        text=" ".join(words(one, "value") for one in options if whole(one, "type") == _TEXT) or None,
        shared=True,
    )


def _chosen(options: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for one in options:
        kind, name, value = whole(one, "type"), word(one, "name"), one.get("value")
        if kind in _NAMES and (named := word(one, "value")):
            yield name, identity(PLATFORM, named)
        elif kind in _NUMBERS and isinstance(value, (bool, int, float)) and abs(value) <= _EXACT:
            yield name, value


def _component(body: dict[str, Any], id: str, kind: int) -> Seen:
    """A button, a menu or a form: what was said with it is between the person and the bot."""
    name, subject = KINDS.get(kind, f"interaction_type_{kind}"), word(inner(body, "message"), "id") or None
    at, actor, group = born(word(body, "id")), _who(body), group_of(body)
    return unknown(PLATFORM, name, id, at, actor=actor, group=group, subject=subject, data=private(body), shared=True)


def _webhook_event(event: dict[str, Any], delivery: Delivery) -> Seen:
    """Of an application: that it was added somewhere, that somebody bought something. It has no id."""
    data = inner(event, "data")
    actor = user(inner(data, "user")) or identity(PLATFORM, word(data, "user_id")) or user(inner(data, "author"))
    # The time is written without a zone, and meant in UTC.
    at = iso(event, "timestamp") or iso({"at": words(event, "timestamp") + "Z"}, "at")
    group = identity(PLATFORM, word(inner(data, "guild"), "id"))
    return unknown(PLATFORM, word(event, "type"), whole_body(delivery), at, actor=actor, group=group)


def _who(body: dict[str, Any]) -> str | None:
    """A member in a server, a user elsewhere."""
    return user(inner(inner(body, "member"), "user")) or user(inner(body, "user"))


def setup(url: str, secrets: Secrets, settings: NoSettings) -> Setup:
    return Setup(
        (
            "In Discord's developer portal, Bot: turn on the Server Members and the Message Content intents.",
            "Run the bot with a forwarder that posts each gateway event as below (docs/receivers/discord.md has one).",
            "For slash commands: General Information, copy the Public Key into this connection's public_key; then put "
            "the address below into Interactions Endpoint URL. The bot then hears of commands only this way.",
            "For events of the application: Webhooks, the same address as Endpoint.",
        ),
        f"Interactions Endpoint URL: {url}\nWebhooks, Endpoint: {url}\n\nThe forwarder:\n"
        f"POST {url}\nAuthorization: Bearer {secrets.secret}\nContent-Type: application/json\n\n"
        '{"t": "MESSAGE_CREATE", "d": {"id": "…"}, "at": "2026-11-25T12:00:00Z"}\n',
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Discord",
    secrets=Secrets,
    settings=NoSettings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    greet=greet,
)
