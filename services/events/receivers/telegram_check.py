"""Telegram asked how a bot and its webhook stand: `getMe`, `getWebhookInfo` and, of each group, `getChatMember`."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from kit.outside import Answer, Call
from services.events.receivers.asking import (
    ERROR,
    OK,
    WARNING,
    Check,
    Conversation,
    Finding,
    Question,
    busy,
    no_answer,
    unclear,
)
from services.events.receivers.reading import answered_object, inner, seconds, whole, word, words
from services.events.receivers.telegram_members import PLATFORM

TITLE = "Telegram"
WANTED = (
    "message", "edited_message", "channel_post", "edited_channel_post", "message_reaction", "chat_member",
    "my_chat_member", "chat_join_request", "poll_answer", "callback_query", "chat_boost", "removed_chat_boost",
)  # fmt: skip
NOT_BY_ITSELF = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""What Telegram sends only to who names it in `allowed_updates`; of who named nothing it says nothing."""

MANY_PENDING = 100
SINCE = timedelta(minutes=1)
A_DAY = timedelta(days=1)
AGAIN = "Run setWebhook again as the connection shows it; who has its secret no more replaces it (rotate)."
_NUMBER, _MOST_NUMBER = re.compile(r"-?[0-9]{1,18}"), 2**53
_HOST = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@]+)")


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: what @BotFather gave."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}:[A-Za-z0-9_-]{1,200}\Z")]


Asked = Question[Credentials]


def ask(asked: Asked) -> Conversation:
    me, webhook = yield _call(asked, "getMe"), _call(asked, "getWebhookInfo")
    bot, info = _result(me), _result(webhook)
    if isinstance(bot, Finding):
        return [bot]
    number = whole(bot, "id")
    if number is None or not 0 < number < _MOST_NUMBER:
        return [unclear(TITLE, 200)]
    found = [_known(bot), *_privacy(bot)]
    found += [info] if isinstance(info, Finding) else _webhook(info, asked)
    if not asked.groups:
        message = "whether the bot is an administrator was not looked at: no group of this connection is known yet"
        return [*found, Finding(WARNING, "groups_unknown", message, "Name groups in the check, or check again later.")]
    answers = yield [_call(asked, "getChatMember", chat_id=_chat(g), user_id=number) for g in asked.groups]
    return [*found, *_groups(asked.groups, answers)]


def _call(asked: Asked, method: str, **parameters: Any) -> Call:
    return Call(f"{asked.base_url}/bot{asked.credentials.token}/{method}", msgspec.json.encode(parameters))


def _chat(group: str) -> int | str:
    return int(group) if _NUMBER.fullmatch(group) else group


def _result(answer: Answer | None) -> dict[str, Any] | Finding:
    """What the method returned, or why it returned nothing."""
    if answer is None:
        return no_answer(TITLE)
    body = answered_object(answer.body)
    result, told = inner(body, "result"), _sentence(body, "description")
    if answer.status == 200 and body.get("ok") is True and result:
        return result
    if answer.status == 401 or (answer.status == 404 and told in ("", "Not Found")):
        message = "Telegram does not know a bot with this token"
        return Finding(ERROR, "token_refused", message, "Take the token from @BotFather (/mybots, API Token).")
    if answer.status == 429:
        return busy(TITLE, whole(inner(body, "parameters"), "retry_after"))
    return unclear(TITLE, answer.status, told)


def _sentence(told: Mapping[str, Any], name: str) -> str:
    """What Telegram says to a person, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in words(told, name)).split())[:200]


def _known(bot: dict[str, Any]) -> Finding:
    return Finding(OK, "token_known", f"the token is that of @{word(bot, 'username') or word(bot, 'id')}")


def _privacy(bot: dict[str, Any]) -> list[Finding]:
    if bot.get("can_read_all_group_messages") is True:
        return [Finding(OK, "privacy_off", "the bot sees all that is written in its groups")]
    message = "the bot's group privacy is on: where it is no administrator it sees only what is said to it"
    advice = "Turn it off with @BotFather (/setprivacy), then take the bot out of its groups and add it again."
    return [Finding(WARNING, "privacy_on", message, advice)]


def _webhook(info: dict[str, Any], asked: Asked) -> list[Finding]:
    return [*_address(words(info, "url"), asked.url), *_failures(info, asked), *_pending(info), *_updates(info)]


def _address(url: str, ours: str) -> list[Finding]:
    """Of an address that is not ours only the host is told: many have a token in the rest of it."""
    if url == ours:
        hidden = "Telegram does not tell which secret_token it sends: a wrong one shows as refused deliveries"
        return [
            Finding(OK, "webhook_set", "Telegram posts to this connection"),
            Finding(OK, "secret_not_told", hidden),
        ]
    if not url:
        return [Finding(ERROR, "webhook_unset", "Telegram posts nowhere: the bot has no webhook", AGAIN)]
    found = _HOST.match(url)
    host = found[1][:100] if found is not None else "an address that is none"
    if _path(url) == _path(ours):
        message = f"Telegram posts to this connection under another name: {host}"
        advice = "Is that this installation? Then let GUILDHALL_PUBLIC_URL say so. Otherwise run setWebhook again."
        return [Finding(WARNING, "webhook_other_name", message, advice)]
    return [Finding(ERROR, "webhook_elsewhere", f"Telegram posts to another address, at {host}", AGAIN)]


def _path(url: str) -> str:
    return url.partition("://")[2].partition("/")[2]


def _failures(info: dict[str, Any], asked: Asked) -> list[Finding]:
    """Telegram's last failure, which it tells of for long after it was mended."""
    at = seconds(info, "last_error_date")
    if at is None:
        return []
    # What we refuse is a delivery that came too, at the very moment of the failure.
    since = asked.seen_at is not None and asked.seen_at - at > SINCE
    if since and asked.now - at > A_DAY:
        return []
    told = _sentence(info, "last_error_message") or "it does not say why"
    message = f"Telegram could not deliver at {at:%Y-%m-%d %H:%M:%S} UTC: {told}"
    if since:
        return [
            Finding(WARNING, "delivery_failed", f"{message}; deliveries came since", "Watch whether it comes again.")
        ]
    advice = "Can the address be reached from outside, with a valid certificate, on port 443, 80, 88 or 8443?"
    return [Finding(ERROR, "delivery_failed", message, advice)]


def _pending(info: dict[str, Any]) -> list[Finding]:
    many = whole(info, "pending_update_count") or 0
    if many <= MANY_PENDING:
        return []
    message = f"{many} updates wait to be delivered; Telegram drops them after 24 hours"
    return [Finding(WARNING, "updates_pending", message, "See why deliveries fail, or are slow to be answered.")]


def _updates(info: dict[str, Any]) -> list[Finding]:
    allowed = info.get("allowed_updates")
    sent = set(map(str, allowed)) if isinstance(allowed, list) and allowed else {*WANTED} - NOT_BY_ITSELF
    missing = [name for name in WANTED if name not in sent]
    if not missing:
        return [Finding(OK, "updates_complete", "Telegram sends everything this connection takes")]
    message = f"Telegram does not tell of {', '.join(missing)}: setWebhook did not ask for it"
    return [Finding(WARNING, "updates_missing", message, f"{AGAIN} allowed_updates names everything there.")]


def _groups(groups: Sequence[str], answers: Sequence[Answer | None]) -> list[Finding]:
    found, administered = [], []
    for group, answer in zip(groups, answers, strict=True):
        wrong = _membership(f"{PLATFORM}:{group}", answer)
        if wrong is None:
            administered.append(f"{PLATFORM}:{group}")
        else:
            found.append(wrong)
    if administered:
        found.append(Finding(OK, "administrator", f"the bot is an administrator of {', '.join(administered)}"))
    return found


def _membership(group: str, answer: Answer | None) -> Finding | None:
    """What is wrong with the bot's place in a group; None: it is an administrator."""
    if answer is None:
        return no_answer(TITLE, f" (about {group})")
    body = answered_object(answer.body)
    member = inner(body, "result")
    status = word(member, "status")
    if status in ("creator", "administrator"):
        return None
    if status == "member" or (status == "restricted" and member.get("is_member") is True):
        message = f"the bot is no administrator of {group}: it hears neither of reactions nor of who comes and goes"
        return Finding(
            WARNING, "not_administrator", message, "Make it an administrator; which rights it has does not matter."
        )
    if moved := word(inner(body, "parameters"), "migrate_to_chat_id"):
        message = f"{group} became a supergroup and is {PLATFORM}:{moved} now"
        return Finding(WARNING, "group_moved", message, "Name it so from now on, in rules and campaigns too.")
    if status or answer.status in (400, 403):
        told = _sentence(body, "description")
        message = f"the bot is not in {group}: nothing of it comes" + (f" ({told})" if told else "")
        return Finding(ERROR, "not_in_group", message, "Add the bot to the group, as an administrator.")
    refused = _result(answer)
    return refused if isinstance(refused, Finding) else unclear(TITLE, answer.status)


CHECK = Check(credentials=Credentials, base_url="https://api.telegram.org", ask=ask, of_groups=True)
