"""Events as OneBot v11 programs write them, and what becomes of them."""

import json
from typing import Any

from services.events.receivers import onebot_v11
from services.events.receivers.form import Delivery, NoSettings, Seen, Translation
from tests.events.receivers.sending import AT

BOT, OTHER_BOT, GROUP, A, B, ADMIN = 700001, 700002, 500001, 600001, 600002, 600009
TIME = int(AT.timestamp())


def told(**body: Any) -> Translation:
    event = {"time": TIME, "self_id": BOT, **body}
    return onebot_v11.translate(Delivery({}, {}, json.dumps(event).encode(), AT), NoSettings())


def one(**body: Any) -> Seen:
    [seen] = told(**body).seen
    return seen


def message(**more: Any) -> dict[str, Any]:
    """As NapCat has it."""
    return {
        "post_type": "message",
        "message_type": "group",
        "sub_type": "normal",
        "message_id": -1340512200,
        "message_seq": -1340512200,
        "real_seq": "2108901",
        "group_id": GROUP,
        "user_id": A,
        "anonymous": None,
        "message": [{"type": "text", "data": {"text": "see https://example.org"}}],
        "raw_message": "see https://example.org",
        **more,
    }


def notice(kind: str, **more: Any) -> dict[str, Any]:
    return {"post_type": "notice", "notice_type": kind, "group_id": GROUP, "user_id": A, **more}


def request(kind: str, **more: Any) -> dict[str, Any]:
    return {"post_type": "request", "request_type": kind, "user_id": A, **more}


def meta(kind: str, **more: Any) -> dict[str, Any]:
    return {"post_type": "meta_event", "meta_event_type": kind, **more}
