"""Discourse: a forum's webhooks, signed with HMAC-SHA256 over the body."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from services.events.receivers.form import Delivery, Malformed, OneSecret, Receiver, Refused, Seen, Setup, Translation
from services.events.receivers.reading import (
    derived,
    identity,
    inner,
    iso,
    json_object,
    one_secret,
    signed,
    together,
    unknown,
    whole,
    whole_body,
    word,
    words,
)

PLATFORM = "discourse"
SHORTEST_SECRET = 12
IGNORED = {
    "topic_created": "told_as_post",
    "topic_destroyed": "told_as_post",
    "topic_recovered": "told_as_post",
    "notification_created": "told_otherwise",
    "user_logged_in": "session",
    "user_logged_out": "session",
    "user_updated": "profile",
    "user_confirmed_email": "profile",
}
_HOUSEKEEPING = re.compile(r"topic_(edited|revised|\w+_status_updated)|(category|tag|group|reviewable)_\w+")
_SMALL_ACTION = 3


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`site`: a name for this forum, where a community has several: each numbers its people and posts for itself."""

    site: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9.-]{0,99})?$")] = ""


def make_secrets(given: Mapping[str, str]) -> OneSecret:
    made = one_secret(given)
    if len(made.secret) < SHORTEST_SECRET:
        raise Malformed("/secret", f"Discourse takes none that is shorter than {SHORTEST_SECRET} characters")
    return made


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: Settings) -> Delivery:
    algorithm, _, given = delivery.headers.get("x-discourse-event-signature", "").partition("=")
    if algorithm != "sha256" or not given:
        raise Refused("signature_missing", "no X-Discourse-Event-Signature: does the webhook have a secret?")
    if not signed(delivery.body, given, [one.secret.encode() for one in secrets]):
        raise Refused("signature_wrong", "the signature is not of this body: is it this connection's secret?")
    return delivery


def translate(delivery: Delivery, settings: Settings) -> Translation:
    """What happened is in a header, and what it happened to in the body under its type."""
    body = json_object(delivery.body)
    type, kind = (delivery.headers.get(f"x-discourse-event{part}", "")[:100] for part in ("-type", ""))
    if type == "ping" or "ping" in body:
        return Translation(ignored="greeting")
    if not kind:
        raise Malformed("", "no X-Discourse-Event says what happened")
    if kind in IGNORED:
        return Translation(ignored=IGNORED[kind])
    told = Told(kind, next((value for value in body.values() if isinstance(value, dict)), {}), settings.site, delivery)
    if kind in _KINDS:
        return _KINDS[kind](told)
    if _HOUSEKEEPING.fullmatch(kind):
        return Translation(ignored="housekeeping")
    return Translation((_kept(told, type),))


class Told(msgspec.Struct, frozen=True):
    """What happened, and what it happened to: a post, a user, or something that holds them."""

    kind: str
    thing: dict[str, Any]
    site: str
    delivery: Delivery

    def named(self, *parts: str) -> str:
        """An id of these parts. X-Discourse-Event-Id is no such: what is sent again has another one."""
        name = together(*parts) or derived(self.kind, whole_body(self.delivery))
        return f"{self.site}:{name}" if self.site else name

    def identity(self, name: str) -> str | None:
        return identity(PLATFORM, _path(self.site, name) if self.site else name)


def _post(told: Told, post: dict[str, Any], type: str, id: str, at: datetime | None, **more: Any) -> Seen:
    """Something about a post. It is named by its topic and its number there, as other posts name it when they reply;
    a post that was moved has other ones, and is found by its own number, `post:…`."""
    number = together("post", word(post, "id")) or None
    first = type == "message.created"
    return Seen(
        type=type,
        id=id,
        at=at,
        group=None if _private(post) else told.identity(_path("category", word(post, "category_id"))),
        subject=_place(post, "post_number") or None,
        ref=number if first else None,
        about=None if first else number,
        shared=bool(told.site),
        **more,
    )


def _created(told: Told) -> Translation:
    post = told.thing
    if whole(post, "post_type") == _SMALL_ACTION:
        return Translation(ignored="housekeeping")
    id = told.named("post", word(post, "id"))
    return Translation((_written(told, "message.created", id, iso(post, "created_at"), _author(told, post)),))


def _edited(told: Told) -> Translation:
    """Who edited is not told: the writer, somebody who may, or the forum itself, which stores pictures."""
    post = told.thing
    if whole(post, "post_type") == _SMALL_ACTION:
        return Translation(ignored="housekeeping")
    id = told.named("edited", word(post, "id"), word(post, "updated_at"))
    return Translation((_written(told, "message.edited", id, iso(post, "updated_at"), None),))


def _written(told: Told, type: str, id: str, at: datetime | None, actor: str | None) -> Seen:
    post, text = told.thing, words(told.thing, "raw")
    data: dict[str, Any] = {"kind": "topic" if whole(post, "post_number") == 1 else "text"}
    if topic := word(post, "topic_id"):
        data["topic"] = topic
    if parent := _place(post, "reply_to_post_number"):
        data["reply_to"] = parent
    elif data["kind"] == "text" and topic:
        # A reply to the topic as a whole.
        data["reply_to"] = f"{topic}/1"
    if "](upload://" in text or "<img" in text:
        data["has_media"] = True
    if _private(post):
        data["private"] = True
    author = None if actor else _author(told, post)
    return _post(
        told, post, type, id, at, actor=actor, author=author, data={**data, **_bot(post, actor)}, text=text or None
    )


def _destroyed(told: Told) -> Translation:
    """Taken back by who wrote it, or removed by somebody of the staff."""
    post = told.thing
    author, by = _author(told, post), told.identity(word(inner(post, "deleted_by"), "id"))
    own = post.get("user_deleted") is True or (by is not None and by == author)
    when = "deleted_at" if word(post, "deleted_at") else "updated_at"
    # Who takes a post back changes it; staff who remove it do not, and the time of its last change would be too old.
    at = iso(post, when) if own or when == "deleted_at" else None
    type, actor = ("message.recalled", author) if own else ("message.deleted", by)
    id = told.named("destroyed", word(post, "id"), word(post, when))
    return Translation((_post(told, post, type, id, at, actor=actor, author=None if own else author),))


def _recovered(told: Told) -> Translation:
    id, author = told.named(), _author(told, told.thing)
    return Translation((_post(told, told.thing, f"{PLATFORM}.post_recovered", id, None, author=author),))


def _liked(told: Told) -> Translation:
    """Taking a like back is not told, and one given again is the same."""
    post, person = inner(told.thing, "post"), word(inner(told.thing, "user"), "id")
    actor, author = told.identity(person), _author(told, post)
    id = told.named("like", word(post, "id"), person)
    other = author if author != actor else None
    return Translation(
        (_post(told, post, "reaction.added", id, None, actor=actor, author=other, data={"kind": "like"}),)
    )


def _solved(told: Told) -> Translation:
    """Who accepted is not told."""
    post = told.thing
    accepted = told.kind == "accepted_solution"
    type = "answer.accepted" if accepted else f"{PLATFORM}.unaccepted_solution"
    id, question = told.named(type, word(post, "id")), _path(word(post, "topic_id"), "1")
    data = {"question": question} if question else {}
    return Translation((_post(told, post, type, id, None, author=_author(told, post), data=data),))


def _user(told: Told) -> Translation:
    number, inviter = word(told.thing, "id"), told.identity(word(inner(told.thing, "invited_by"), "id"))
    came = told.kind == "user_created"
    seen = Seen(
        type="member.joined" if came else "member.left",
        id=told.named("came" if came else "went", number),
        at=iso(told.thing, "created_at") if came else None,
        actor=told.identity(number),
        data={"invited_by": inviter} if came and inviter else {},
        shared=bool(told.site),
        notice=True,
    )
    return Translation((seen,))


def _suspended(told: Told) -> Translation:
    """By whom is not told, and it is not who was suspended."""
    who = told.identity(word(told.thing, "id"))
    seen = Seen(
        type="member.banned" if told.kind == "user_suspended" else "member.unbanned",
        id=told.named(),
        data={"member": who} if who else {},
        shared=bool(told.site),
        notice=True,
    )
    return Translation((seen,))


def _kept(told: Told, type: str) -> Seen:
    thing = told.thing
    who = word(thing, "user_id") or word(thing, "voter_id") or word(inner(inner(thing, "message"), "user"), "id")
    if type in ("user", "user_promoted"):
        who = word(thing, "id")
    return unknown(PLATFORM, told.kind, told.named(), actor=told.identity(who), shared=bool(told.site))


def _place(post: dict[str, Any], number: str) -> str:
    return _path(word(post, "topic_id"), word(post, number))


def _path(*parts: str) -> str:
    return "/".join(parts) if all(parts) else ""


def _author(told: Told, post: dict[str, Any]) -> str | None:
    """By number: a user name may be changed."""
    return told.identity(word(post, "user_id"))


def _bot(post: dict[str, Any], actor: str | None) -> dict[str, Any]:
    """The forum itself, and what else writes in its name, have numbers below zero."""
    return {"bot": True} if actor and (whole(post, "user_id") or 0) < 0 else {}


def _private(post: dict[str, Any]) -> bool:
    return word(post, "topic_archetype") == "private_message"


_KINDS: dict[str, Callable[[Told], Translation]] = {
    "post_created": _created,
    "post_edited": _edited,
    "post_destroyed": _destroyed,
    "post_recovered": _recovered,
    "post_liked": _liked,
    "accepted_solution": _solved,
    "unaccepted_solution": _solved,
    "user_created": _user,
    "user_destroyed": _user,
    "user_suspended": _suspended,
    "user_unsuspended": _suspended,
}


def setup(url: str, secret: OneSecret, settings: Settings) -> Setup:
    return Setup(
        (
            "In Discourse open Admin → Advanced → Webhooks (older: Admin → API → Webhooks), Add Webhook.",
            "Payload URL, Content Type and Secret: as below.",
            "Choose the events: Post, User, Like, and Solved where the forum has it. Turn it on, and send a ping.",
        ),
        f"Payload URL: {url}\nContent Type: application/json\nSecret: {secret.secret}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Discourse",
    secrets=OneSecret,
    settings=Settings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
)
