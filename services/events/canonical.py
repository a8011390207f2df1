"""The canonical activity types (E7) and the JSON Schema of each one's `data`. Unknown fields are always kept."""

from typing import Any

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_YES = {"type": "boolean"}
_PEOPLE = {"type": "array", "items": {"type": "string"}, "maxItems": 1000}

_COMMON: dict[str, Any] = {
    "actor": {"type": "string", "description": "Who did it: platform:external_id or member:{uuid}."},
    "author": {"type": "string", "description": "Who made the subject, where known and not the actor."},
    "group": {"type": "string", "description": "The chat group or channel: platform:external_id."},
    "bot": {"type": "boolean", "description": "The actor is a bot and never earns."},
}
# What the door makes of `text`, which is not kept.
_WRITTEN: dict[str, Any] = {
    "length": _COUNT,
    "distinct": {**_COUNT, "description": "How many different characters can be seen, whatever their case."},
    "has_link": _YES,
    "language": {"type": "string", "description": "BCP 47; absent where it cannot be told."},
    "similarity": {
        "type": "string",
        "pattern": "^[0-9a-f]{16}$",
        "description": "64 bits, nearly the same for nearly the same texts of this community; only the server says it.",
    },
}
_PROVED: dict[str, Any] = {
    "type": "object",
    "description": "By check-in series: the days whose code word was said, whether it was within the place; only the "
    "server says it.",
}
_MESSAGE: dict[str, Any] = {
    **_WRITTEN, "reply_to": _TEXT, "mentions": _PEOPLE, "mentions_all": _YES, "kind": _TEXT,
    "has_media": _YES, "has_code": _YES, "topic": _TEXT,
}  # fmt: skip
_MEMBERSHIP: dict[str, Any] = {"scope": _TEXT, "via": _TEXT, "invited_by": _TEXT, "reason": _TEXT}

# Type → (what it says, own fields, required fields besides).
_TYPES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "message.created": ("Somebody wrote in a group.", _MESSAGE, ()),
    "message.edited": ("The writer changed a message.", _MESSAGE, ()),
    "message.recalled": ("The writer took a message back.", {}, ()),
    "message.deleted": ("A message was removed.", {"reason": _TEXT}, ()),
    "reaction.added": ("Somebody reacted to something of `author`.", {"kind": _TEXT}, ()),
    "reaction.removed": ("A reaction was taken back.", {"kind": _TEXT}, ()),
    "member.joined": ("Somebody came in.", _MEMBERSHIP, ()),
    "member.left": ("Somebody left.", _MEMBERSHIP, ()),
    "member.kicked": ("Somebody was removed.", _MEMBERSHIP, ()),
    "member.banned": ("Somebody was banned.", {**_MEMBERSHIP, "duration": _COUNT}, ()),
    "member.unbanned": ("A ban was lifted.", _MEMBERSHIP, ()),
    "member.role_changed": ("Somebody has another role in the group.", {"role": _TEXT}, ()),
    "member.join_requested": ("Somebody asks to come in.", {"comment": _TEXT}, ()),
    "member.invited": ("Somebody was invited.", _MEMBERSHIP, ()),
    "member.renamed": ("Somebody changed the name shown in the group.", {"name": _TEXT}, ()),
    "file.uploaded": ("Somebody shared a file.", {"size": _COUNT, "kind": _TEXT}, ()),
    "poke": ("Somebody poked `author`.", {}, ()),
    "redpacket.lucky_king": ("Somebody drew the largest share.", {}, ()),
    "honor.changed": ("Somebody holds a platform's honour.", {"honor": _TEXT}, ()),
    "checkin.submitted": (
        "Somebody checked in. The door looks for the series' code word in `text` and `code`, and for `position` "
        "(latitude, longitude) within their place, and keeps neither.",
        {**_WRITTEN, "for_date": _TEXT, "images": _COUNT, "has_media": _YES, "proved": _PROVED},
        (),
    ),
    "checkin.confirmed": (
        "The check-in `subject` (or of that id), of `author`, is as it should be, says the actor.",
        {},
        (),
    ),
    "checkin.voided": (
        "The check-in `subject` (or of that id), of `author` where not the actor, does not count.",
        {},
        (),
    ),
    "question.asked": ("Somebody asked a question.", {**_MESSAGE, "tags": {"type": "array", "items": _TEXT}}, ()),
    "answer.posted": ("Somebody answered.", {**_MESSAGE, "question": _TEXT}, ()),
    "answer.accepted": ("The answer `subject` by `author` was accepted.", {"question": _TEXT}, ()),
    "poll.voted": ("Somebody voted.", {"options": {"type": "array", "items": _TEXT}}, ()),
    "order.paid": ("Somebody paid.", {"amount": _COUNT, "currency": _TEXT}, ()),
    "order.refunded": ("A payment was returned.", {"amount": _COUNT, "currency": _TEXT}, ()),
    "link.clicked": ("Somebody followed a link.", {"url": _TEXT}, ()),
    "command.invoked": (
        "Somebody gave a bot a command; `counts` is the id, of the same source, of what it itself counts as.",
        {"command": _TEXT, "arguments": _TEXT, "counts": _TEXT, "ref": _TEXT, "private": _YES},
        (),
    ),
    "connection.up": ("A bot's connection stands.", {}, ()),
    "connection.down": ("A bot's connection is gone.", {"reason": _TEXT}, ()),
    "connection.heartbeat": ("A bot's connection lives.", {"interval": _COUNT}, ()),
    "connection.test": ("Somebody tried whether what comes through a connection arrives; nobody did it.", {}, ()),
    "invite.qualified": ("Somebody the actor invited stayed and took part.", {"invited": _TEXT}, ()),
    "event.attended": ("Somebody attended an event.", {"event": _TEXT}, ()),
    "content.accepted": ("Something of `author` went into the library.", {}, ()),
    "onboarding.finished": ("Somebody finished the first steps.", {"track": _TEXT}, ()),
}


def _schema(name: str) -> dict[str, Any]:
    description, own, required = _TYPES[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": description,
        "type": "object",
        "properties": {**_COMMON, **own},
        "required": list(required),
    }


CANONICAL: dict[str, dict[str, Any]] = {name: _schema(name) for name in _TYPES}
