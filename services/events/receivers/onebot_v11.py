"""OneBot v11, through which QQ accounts tell what they see: NapCat, LLOneBot, Lagrange, go-cqhttp and others.

Events come one by one, posted over HTTP and signed with HMAC-SHA1 over the body, or with a bearer token; or in the
frames of a WebSocket the bot opens with that token.
"""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from services.events.receivers.form import (
    Beat,
    Delivery,
    Malformed,
    NoSettings,
    OneSecret,
    Passed,
    Receiver,
    Refused,
    Seen,
    Setup,
    Translation,
)
from services.events.receivers.onebot_calls import SPEECH
from services.events.receivers.onebot_notices import notice, request
from services.events.receivers.onebot_people import PLATFORM, bot_mark, name_of_message, person, place
from services.events.receivers.onebot_segments import content
from services.events.receivers.reading import (
    inner,
    json_object,
    one_secret,
    same,
    seconds,
    signed,
    unknown,
    whole,
    whole_body,
    word,
)

_BEARER = re.compile(r"(?:bearer|token) +(\S+)", re.IGNORECASE)
_LONGEST_BEAT = timedelta(days=1)
_MOST = 2**63


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: NoSettings) -> Delivery:
    """A signature counts where there is one: a token beside it says nothing about the body."""
    algorithm, _, given = delivery.headers.get("x-signature", "").partition("=")
    token = _BEARER.fullmatch(delivery.headers.get("authorization", "").strip())
    if algorithm.lower() == "sha1" and given:
        if not signed(delivery.body, given, [one.secret.encode() for one in secrets], "sha1"):
            raise Refused(
                "signature_wrong", "the signature is not of this body and secret: is it this connection's secret?"
            )
    elif token is None:
        raise Refused(
            "signature_missing", "neither X-Signature nor Authorization: is the secret (NapCat: token) set on the bot?"
        )
    elif not same(token[1], [one.secret for one in secrets]):
        raise Refused("token_wrong", "the token is not this connection's secret")
    return delivery


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    post = word(body, "post_type")
    if post in _POSTS:
        return _POSTS[post](delivery, body)
    if post:
        return Translation((unknown(PLATFORM, post, whole_body(delivery), seconds(body, "time")),))
    if "retcode" in body:
        return Translation(ignored="answer_to_a_call")
    raise Malformed("/post_type", "no OneBot v11 event: it has no post_type")


def _message(delivery: Delivery, body: dict[str, Any]) -> Translation:
    kind, sender = word(body, "message_type"), person(body)
    actor = sender if body.get("anonymous") is None else None
    if kind not in ("group", "private"):
        at, mark = seconds(body, "time"), bot_mark(actor, body)
        id, name = whole_body(delivery), f"{word(body, 'post_type')}.{kind}"
        return Translation((unknown(PLATFORM, name, id, at, actor=actor, data=mark),))
    group = place(body) if kind == "group" else None
    sequence = _sequence(body, group)
    if word(body, "post_type") == "message_sent" or (sender is not None and sender == person(body, "self_id")):
        return Translation(ignored="own_message", passed=_passed(sequence, own=True))
    if word(body, "sub_type") == "notice":
        return Translation(ignored="system_message", passed=_passed(sequence, own=False))
    return Translation((_written(delivery, body, actor, group, sequence),))


def _written(
    delivery: Delivery, body: dict[str, Any], actor: str | None, group: str | None, sequence: tuple[str, int] | None
) -> Seen:
    """A message is known by its number in the group, or, without one, by what the bot's program calls it."""
    name = name_of_message(body)
    # That is a hash of 32 bits, which comes again some day: the time belongs to the id.
    own = f"message:{name}:{word(body, 'time')}" if name else f"message:{whole_body(delivery)}"
    message = body.get("message")
    said = content(body.get("raw_message") if message is None else message)
    return Seen(
        type="message.created",
        id=own if sequence is None else f"message:{sequence[0]}:{sequence[1]}",
        at=seconds(body, "time"),
        actor=actor,
        group=group,
        subject=(name or None) if sequence is None else str(sequence[1]),
        data={**said.data, **bot_mark(actor, body)},
        text=said.text,
        shared=sequence is not None,
        ref=name or None,
        sequence=sequence,
    )


def _passed(sequence: tuple[str, int] | None, *, own: bool) -> Passed | None:
    return None if sequence is None else Passed(*sequence, own=own)


def _sequence(body: dict[str, Any], group: str | None) -> tuple[str, int] | None:
    """The group's own numbering, the same for every account in it; private talks have one on each side.

    NapCat has it in `real_seq` and repeats `message_id` in `message_seq`, where LLOneBot and go-cqhttp have it.
    """
    number = whole(body, "real_seq")
    if number is None and word(body, "message_seq") != word(body, "message_id"):
        number = whole(body, "message_seq")
    return (group, number) if group is not None and number is not None and 0 < number < _MOST else None


def _meta(delivery: Delivery, body: dict[str, Any]) -> Translation:
    kind, sub = word(body, "meta_event_type"), word(body, "sub_type")
    if kind == "lifecycle":
        return Translation(beat=Beat(online=sub != "disable"))
    if kind == "heartbeat":
        # An implementation that cannot tell says null or nothing: only a plain no is one.
        status = inner(body, "status")
        online = status.get("online") is not False and status.get("good") is not False
        return Translation(beat=Beat(online, _interval(body)))
    return Translation(ignored="housekeeping")


def _interval(body: dict[str, Any]) -> timedelta | None:
    interval = whole(body, "interval")
    if interval is None or not 0 < interval <= _LONGEST_BEAT // timedelta(milliseconds=1):
        return None
    return timedelta(milliseconds=interval)


_POSTS: dict[str, Callable[[Delivery, dict[str, Any]], Translation]] = {
    "message": _message,
    "message_sent": _message,
    "notice": notice,
    "request": request,
    "meta_event": _meta,
}


def setup(url: str, secret: OneSecret, settings: NoSettings) -> Setup:
    """NapCat's network configuration: it connects to us, so that answers find their way without an address of its."""
    scheme, _, rest = url.partition("://")
    client = {
        "name": "guildhall",
        "enable": True,
        "url": f"{'wss' if scheme == 'https' else 'ws'}://{rest}/onebot",
        "token": secret.secret,
        "messagePostFormat": "array",
        "reportSelfMessage": True,
        "reconnectInterval": 5000,
        "heartInterval": 30000,
        "debug": False,
    }
    network = {"websocketClients": [client]}
    return Setup(
        (
            "In NapCat's web interface open the network configuration and add a WebSocket client with the values "
            "below; or put the entry under network in config/onebot11_{QQ number}.json and restart NapCat.",
            "LLOneBot, Lagrange and go-cqhttp (reverse WebSocket, universal): the same address and secret; the page of "
            "this platform says where.",
            f"A bot that only posts over HTTP: {url} with the same secret. It is answered only at once, or not at all.",
        ),
        msgspec.json.format(msgspec.json.encode({"network": network})).decode() + "\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="QQ (OneBot v11)",
    secrets=OneSecret,
    settings=NoSettings,
    make_secrets=one_secret,
    verify=verify,
    translate=translate,
    setup=setup,
    speech=SPEECH,
    group_numbered=True,
)
