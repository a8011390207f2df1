"""Who and where in OneBot v11: QQ numbers of people and groups."""

import re
from collections.abc import Mapping
from typing import Any

from services.events.receivers.reading import word

PLATFORM = "onebot-v11"
ANONYMOUS = "80000000"
"""The number under which QQ shows whoever writes anonymously: it is nobody's."""

# Accounts of QQ's own robots, the group steward among them, first and last, as QQ tells its clients
# (`get_robot_uin_range`).
_ROBOTS = (
    (66600000, 66600000),
    (2854196301, 2854216399),
    (3328144510, 3328144510),
    (3889000000, 3889999999),
    (4010000000, 4019999999),
)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


def place(value: Mapping[str, Any], name: str = "group_id") -> str | None:
    """The group of this number, `qq:…`; None when there is none."""
    number = word(value, name)
    return f"qq:{number}" if _NUMBER.fullmatch(number) else None


def person(value: Mapping[str, Any], name: str = "user_id") -> str | None:
    """The person of this number, `qq:…`. None for nobody: no number, 0 (everybody), "all", anonymous writers."""
    return None if word(value, name) == ANONYMOUS else place(value, name)


def name_of_message(value: Mapping[str, Any]) -> str:
    """What the bot's program calls a message, which may be negative; "" where it has no name for it (or says 0)."""
    name = word(value, "message_id")
    return "" if name == "0" else name


def bot_mark(who: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """`bot`, for the data of what the connection's own account or one of QQ's robots did.

    Not known: other accounts that a program uses. They look like people.
    """
    if who is None:
        return {}
    number = int(who.removeprefix("qq:"))
    robot = any(first <= number <= last for first, last in _ROBOTS)
    return {"bot": True} if robot or who == person(body, "self_id") else {}
