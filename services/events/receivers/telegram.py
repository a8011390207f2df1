"""Telegram: a bot's webhook. A request is one update; a secret in a header says that it is Telegram's."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from services.events.receivers.form import (
    Delivery,
    Malformed,
    OneSecret,
    Passed,
    Receiver,
    Refused,
    Seen,
    Setup,
    Translation,
)
from services.events.receivers.reading import (
    derived,
    emoji,
    identity,
    inner,
    items,
    json_object,
    one_secret,
    same,
    seconds,
    together,
    unknown,
    whole,
    whole_body,
    word,
    words,
)
from services.events.receivers.telegram_check import CHECK, WANTED
from services.events.receivers.telegram_members import MEMBERS, PLATFORM, bot, by_service, group_of, user

UPDATES, _MOST_UPDATES = "updates", 2**53

# What a message holds → its kind; the first that is there. Some have another beside them for old bots: an animation
# a document, a live photo a photo, a venue a location.
CONTENT = {
    "text": "text",
    "rich_message": "text",
    "animation": "image",
    "live_photo": "image",
    "photo": "image",
    "paid_media": "image",
    "sticker": "sticker",
    "video": "video",
    "video_note": "video",
    "voice": "voice",
    "audio": "audio",
    "document": "file",
    "story": "story",
    "checklist": "checklist",
    "contact": "contact",
    "dice": "dice",
    "game": "game",
    "poll": "poll",
    "venue": "location",
    "location": "location",
}
MEDIA = frozenset({"image", "sticker", "video", "voice", "audio", "file"})
HOUSEKEEPING = re.compile(
    r"pinned_message|(new|delete)_chat_(title|photo)|(super)?group_chat_created|channel_chat_created|chat_background_set"
    r"|message_auto_delete_timer_changed|(general_)?forum_topic_|video_chat_|chat_owner_|write_access_allowed"
    r"|connected_website|proximity_alert_triggered|(direct|paid)_message_price_|poll_option_|checklist_tasks_"
)
IGNORED = {
    "my_chat_member": "about_the_bot",
    "message_reaction_count": "nobody_named",
    "poll": "counts_only",
    "inline_query": "still_typing",
    "chosen_inline_result": "told_as_message",
}
_ENVELOPE = frozenset({
    "message_id", "message_thread_id", "direct_messages_topic", "from", "sender_chat", "sender_boost_count",
    "sender_tag", "date", "chat", "is_topic_message", "reply_to_message", "reply_markup", "via_bot", "edit_date",
})  # fmt: skip
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
# Elsewhere every bot counts messages for itself, and the same number means another message to another bot.
_COMMON_NUMBERS = ("supergroup", "channel")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`service_messages`: whether coming and going is also taken from service messages, which tell less. A bot that
    is no administrator hears of it in no other way."""

    service_messages: bool = True


def make_secrets(given: Mapping[str, str]) -> OneSecret:
    made = one_secret(given)
    if not _SECRET.fullmatch(made.secret):
        raise Malformed("/secret", "Telegram takes 1 to 256 of A-Z a-z 0-9 _ -")
    return made


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: Settings) -> Delivery:
    given = delivery.headers.get("x-telegram-bot-api-secret-token", "")
    if not given:
        raise Refused("token_missing", "no X-Telegram-Bot-Api-Secret-Token: was setWebhook called with secret_token?")
    if not same(given, [one.secret for one in secrets]):
        raise Refused("token_wrong", "the secret token is another one: call setWebhook with this connection's")
    return delivery


def translate(delivery: Delivery, settings: Settings) -> Translation:
    """Updates are numbered, those we make nothing of as well: Telegram numbers what it sends."""
    update = json_object(delivery.body)
    translation, number = _translated(update, delivery, settings), whole(update, "update_id")
    if number is None or not 0 < number < _MOST_UPDATES:
        return translation
    seen = tuple(replace(one, sequence=(UPDATES, number)) for one in translation.seen)
    return replace(translation, seen=seen, passed=Passed(UPDATES, number))


def _translated(update: dict[str, Any], delivery: Delivery, settings: Settings) -> Translation:
    kind = next((name for name, value in update.items() if isinstance(value, dict)), "")
    if not kind:
        raise Malformed("", "no update of Telegram's: nothing happened in it")
    if kind in IGNORED:
        return Translation(ignored=IGNORED[kind])
    told = inner(update, kind)
    if kind in ("message", "channel_post"):
        return _message(told, delivery, settings)
    if kind in ("edited_message", "edited_channel_post"):
        return _edited(told, delivery)
    if kind in MEMBERS:
        return MEMBERS[kind](told)
    number = word(update, "update_id")
    if kind in _OTHERS:
        return _OTHERS[kind](told, number, delivery)
    return Translation((_kept(kind, told, number),))


def _message(told: dict[str, Any], delivery: Delivery, settings: Settings) -> Translation:
    if "new_chat_members" in told or "left_chat_member" in told:
        return by_service(told) if settings.service_messages else Translation(ignored="told_as_chat_member")
    if "migrate_to_chat_id" in told:
        return Translation((_migrated(told, delivery),))
    if "migrate_from_chat_id" in told:
        return Translation(ignored="told_as_migrate_to_chat_id")
    if any(name in told for name in CONTENT):
        id = together("message", _place(told)) or whole_body(delivery)
        return Translation((_written("message.created", id, told, "date"),))
    if any(HOUSEKEEPING.match(name) for name in told):
        return Translation(ignored="housekeeping")
    strange = next((name for name in told if name not in _ENVELOPE), "message")
    return Translation((_kept(strange, told, word(told, "message_id")),))


def _edited(told: dict[str, Any], delivery: Delivery) -> Translation:
    """Telegram tells an edit for changes that nobody made too; they keep the date of the last one."""
    if "live_period" in inner(told, "location"):
        return Translation(ignored="live_location")
    id = together("edited", _place(told), word(told, "edit_date")) or whole_body(delivery)
    return Translation((_written("message.edited", id, told, "edit_date"),))


def _written(type: str, id: str, told: dict[str, Any], date: str) -> Seen:
    chat = inner(told, "chat")
    return Seen(
        type=type,
        id=id,
        at=seconds(told, date),
        actor=_speaker(told),
        group=group_of(chat),
        subject=_place(told) or None,
        data=_about_message(told),
        text=words(told, "text") or words(told, "caption") or None,
        shared=word(chat, "type") in _COMMON_NUMBERS,
    )


def _about_message(told: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": next((kind for name, kind in CONTENT.items() if name in told), "text")}
    if data["kind"] in MEDIA:
        data["has_media"] = True
    named = [user(inner(one, "user")) for one in items(told, "entities") + items(told, "caption_entities")]
    if mentions := list(dict.fromkeys(one for one in named if one is not None)):
        data["mentions"] = mentions
    parent = inner(told, "reply_to_message")
    replied = together(word(inner(told, "chat"), "id"), word(parent, "message_id"))
    # Everything in a topic replies to the notice of its making unless it replies to something else.
    if replied and "forum_topic_created" not in parent:
        data["reply_to"] = replied
    if told.get("is_topic_message") is True and (topic := word(told, "message_thread_id")):
        data["topic"] = topic
    if word(inner(told, "chat"), "type") == "private":
        data["private"] = True
    return data if inner(told, "sender_chat") else {**data, **bot(inner(told, "from"))}


def _reaction(told: dict[str, Any], number: str, delivery: Delivery) -> Translation:
    """What is there now and was not is added, what was and is not is removed."""
    who, chat = user(inner(told, "user")), inner(told, "chat")
    if who is None:
        return Translation(ignored="nobody_named")
    old, new = _reactions(told, "old_reaction"), _reactions(told, "new_reaction")
    changes = [("added", one) for one in new if one not in old] + [("removed", one) for one in old if one not in new]
    place, date = _place(told), word(told, "date")
    seen = tuple(
        Seen(
            type=f"reaction.{change}",
            id=together(change, place, who.partition(":")[2], kind, date)
            or derived(whole_body(delivery), change, kind),
            at=seconds(told, "date"),
            actor=who,
            group=group_of(chat),
            subject=place or None,
            about=place or None,
            data={"kind": kind},
            shared=word(chat, "type") in _COMMON_NUMBERS,
        )
        for change, kind in changes
    )
    return Translation(seen) if seen else Translation(ignored="no_change")


def _reactions(told: dict[str, Any], name: str) -> list[str]:
    kinds = [emoji(one, "emoji") or word(one, "custom_emoji_id") or word(one, "type") for one in items(told, name)]
    return list(dict.fromkeys(one for one in kinds if one))


def _vote(told: dict[str, Any], number: str, delivery: Delivery) -> Translation:
    who = user(inner(told, "user"))
    if who is None:
        return Translation(ignored="nobody_named")
    poll = word(told, "poll_id")
    # No date is told, and the same choice may be taken back and made again: the update tells them apart.
    id = together("vote", poll, who.partition(":")[2], number) or whole_body(delivery)
    chosen = told.get("option_persistent_ids") or told.get("option_ids")
    options = [str(one) for one in chosen if isinstance(one, (str, int))] if isinstance(chosen, list) else []
    subject = together("poll", poll) or None
    if not options:
        return Translation((unknown(PLATFORM, "vote_retracted", id, actor=who, subject=subject),))
    return Translation((Seen(type="poll.voted", id=id, actor=who, subject=subject, data={"options": options}),))


def _button(told: dict[str, Any], number: str, delivery: Delivery) -> Translation:
    """Somebody pressed a button below a message of the bot's. What the button says to the bot is not kept."""
    message, id = inner(told, "message"), together("callback", word(told, "id")) or whole_body(delivery)
    group, subject, actor = group_of(inner(message, "chat")), _place(message) or None, user(inner(told, "from"))
    return Translation((unknown(PLATFORM, "callback_query", id, actor=actor, group=group, subject=subject),))


def _migrated(told: dict[str, Any], delivery: Delivery) -> Seen:
    """A group became a supergroup and has another id from now on, which whoever runs the community has to know."""
    chat, to = inner(told, "chat"), word(told, "migrate_to_chat_id")
    id = together("migrated", word(chat, "id"), to) or whole_body(delivery)
    data = {"new_group": identity(PLATFORM, to)}
    at = seconds(told, "date")
    return unknown(PLATFORM, "migrate_to_chat_id", id, at, group=group_of(chat), data=data, shared=True)


def _kept(kind: str, told: dict[str, Any], number: str) -> Seen:
    source = inner(told, "source") or inner(inner(told, "boost"), "source")
    actor, group = _speaker(told) or user(inner(told, "user") or inner(source, "user")), group_of(inner(told, "chat"))
    date = word(told, "date")
    return unknown(
        PLATFORM, kind, derived(kind, number, actor, group, date), seconds(told, "date"), actor=actor, group=group
    )


def _place(told: dict[str, Any]) -> str:
    """A message's name: its number counts within its chat."""
    return together(word(inner(told, "chat"), "id"), word(told, "message_id"))


def _speaker(told: dict[str, Any]) -> str | None:
    """Who wrote; None for who writes as a chat, beside whom Telegram puts a user that is nobody."""
    return None if inner(told, "sender_chat") else user(inner(told, "from"))


_OTHERS: dict[str, Callable[[dict[str, Any], str, Delivery], Translation]] = {
    "message_reaction": _reaction,
    "poll_answer": _vote,
    "callback_query": _button,
}


def setup(url: str, secret: OneSecret, settings: Settings) -> Setup:
    asked = {"url": url, "secret_token": secret.secret, "allowed_updates": WANTED}
    return Setup(
        (
            "Make the bot an administrator of the group: others hear neither of members nor of reactions.",
            "With @BotFather turn the bot's group privacy off (/setprivacy), or it sees only what is said to it.",
            "Run the command below once, with the bot's token in BOT_TOKEN.",
            "Check the connection (POST /v1/connections/{id}/check) with the token: it says what is missing.",
        ),
        'curl "https://api.telegram.org/bot$BOT_TOKEN/setWebhook" -H "Content-Type: application/json" \\\n'
        f"  -d '{msgspec.json.encode(asked).decode()}'\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Telegram",
    secrets=OneSecret,
    settings=Settings,
    make_secrets=make_secrets,
    verify=verify,
    translate=translate,
    setup=setup,
    check=CHECK,
)
