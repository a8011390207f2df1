"""What we take from Telegram is what another implementation of its Bot API reads in it (python-telegram-bot)."""

import json
from typing import Any

import pytest
from telegram import Update

from services.events.receivers import receivers
from services.events.receivers.form import Seen
from tests.events.receivers.senders.telegram import SENDER
from tests.events.receivers.sending import AT, Sample

SAMPLES = list(SENDER.samples())
RECEIVER = receivers()["telegram"]


TAKEN_OUT = {
    (
        "from",
        "user",
        "left_chat_member",
        "new_chat_participant",
        "forward_from",
        "inviter",
        "new_chat_members",
        "creator",
    ): {
        "first_name": "somebody",
        "is_bot": False,
    },
    ("invite_link",): {"creates_join_request": False, "is_primary": False, "is_revoked": False},
    ("poll_answer",): {"option_persistent_ids": []},
    ("document", "photo", "sticker", "voice", "video", "animation", "audio"): {"file_unique_id": "1", "file_id": "1"},
}
"""Names and the like are not in recorded and made-up payloads; the models insist on them."""


def complete(value: Any, key: str = "") -> Any:
    if isinstance(value, list):
        return [complete(one, key) for one in value]
    if not isinstance(value, dict):
        return value
    missing = next((fields for keys, fields in TAKEN_OUT.items() if key in keys), {})
    return {**missing, **{name: complete(one, name) for name, one in value.items()}}


def read(sample: Sample) -> Update:
    update = Update.de_json(complete(json.loads(sample.body)), None)
    assert update is not None
    return update


def seen(sample: Sample) -> tuple[Seen, ...]:
    return RECEIVER.translate(SENDER.deliver(sample, SENDER.secrets[0], AT), SENDER.settings).seen


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_who_where_and_when_are_the_same(sample: Sample) -> None:
    update = read(sample)
    for one in seen(sample):
        if one.actor is not None and update.effective_user is not None and not one.type.startswith("member."):
            assert one.actor == f"telegram:{update.effective_user.id}"
        if one.group is not None:
            assert update.effective_chat is not None
            assert one.group == f"telegram:{update.effective_chat.id}"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_messages_are_messages(sample: Sample) -> None:
    update = read(sample)
    written = [one for one in seen(sample) if one.type == "message.created"]
    if not written:
        return
    message = update.effective_message
    assert message is not None
    [one] = written
    assert one.at == message.date
    assert one.text == (message.text or message.caption)
    assert one.subject is not None
    assert one.subject.split("/")[-1].split(":")[-1] == str(message.message_id)


def test_there_are_payloads() -> None:
    assert len(SAMPLES) > 3
