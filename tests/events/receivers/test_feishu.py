"""Feishu's events, one by one: how they are opened, and what each becomes."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.events.receivers import feishu, sealed
from services.events.receivers.feishu import FeishuSecrets
from services.events.receivers.form import Answer, Delivery, Malformed, NoSettings, Refused, Seen, Translation
from tests.events.receivers.senders.feishu import SENDER, deliver, encrypted, samples
from tests.events.receivers.sending import AT, Sample

SETTINGS = NoSettings()
KEYED, OTHER = SENDER.secrets
PLAIN = FeishuSecrets("first-token")
WHEN = datetime(2026, 11, 25, 11, 59, 0, 735000, tzinfo=UTC)
MESSAGE = {
    "message_id": "om_1",
    "chat_id": "oc_1",
    "chat_type": "group",
    "message_type": "text",
    "content": '{"text": "hi"}',
}


def told(kind: str, event: Any, id: str = "event-1") -> Translation:
    header = {"event_type": kind, "event_id": id, "create_time": "1795607940735"}
    body = json.dumps({"schema": "2.0", "header": header, "event": event}).encode()
    return feishu.translate(Delivery({}, {}, body, AT), SETTINGS)


def message(**fields: Any) -> Seen:
    return told("im.message.receive_v1", {"message": {**MESSAGE, **fields}}).seen[0]


def one(name: str) -> tuple[Seen, ...]:
    [sample] = [sample for sample in samples() if sample.name == f"{name}-0"]
    return feishu.translate(Delivery({}, {}, sample.body, AT), SETTINGS).seen


def question(token: str) -> bytes:
    return json.dumps({"challenge": "made up", "token": token, "type": "url_verification"}).encode()


def test_the_documentations_text_is_decrypted() -> None:
    text = "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="
    assert sealed.decrypted(text, hashlib.sha256(b"test key").digest(), None, 16) == b"hello world"


def test_the_question_is_answered_in_the_clear_and_encrypted_with_no_signature() -> None:
    clear = Delivery({}, {}, question("first-token"), AT)
    inside = json.dumps({"encrypt": encrypted(question("first-token"), "first-key")}).encode()
    for delivery, secret in ((clear, PLAIN), (replace(clear, body=inside), KEYED)):
        opened = feishu.verify(delivery, [OTHER, secret], SETTINGS)
        assert opened.signed_with == 1
        assert feishu.greet(opened, secret, SETTINGS) == Answer(200, b'{"challenge": "made up"}')


def test_a_question_with_another_token_or_in_the_clear_where_a_key_is_set_is_refused() -> None:
    for secret, token in ((PLAIN, "wrong"), (KEYED, "first-token")):
        with pytest.raises(Refused):
            feishu.verify(Delivery({}, {}, question(token), AT), [secret], SETTINGS)


def test_an_event_is_no_question() -> None:
    assert feishu.greet(Delivery({}, {}, next(samples()).body, AT), PLAIN, SETTINGS) is None


def test_without_a_key_the_token_alone_tells_who_sent_it_in_both_forms() -> None:
    for body in (b'{"header": {"token": "first-token"}}', b'{"token": "first-token", "type": "event_callback"}'):
        assert feishu.verify(Delivery({}, {}, body, AT), [PLAIN], SETTINGS).body == body
        with pytest.raises(Refused):
            feishu.verify(Delivery({}, {}, body, AT), [FeishuSecrets("another")], SETTINGS)
    with pytest.raises(Refused):
        feishu.verify(Delivery({}, {}, b'{"header": {}}', AT), [PLAIN], SETTINGS)


def test_with_a_key_an_event_that_is_not_encrypted_or_not_signed_is_refused() -> None:
    sample = next(samples())
    signed = deliver(sample, KEYED, AT)
    assert json.loads(feishu.verify(signed, [KEYED], SETTINGS).body)["schema"] == "2.0"
    unsigned = replace(signed, headers={})
    clear = deliver(sample, PLAIN, AT)
    other = deliver(sample, OTHER, AT)
    for delivery in (unsigned, clear, other, replace(signed, body=signed.body.replace(b"=", b""))):
        with pytest.raises(Refused) as refused:
            feishu.verify(delivery, [KEYED], SETTINGS)
        assert refused.value.code == "signature_wrong"


def test_what_is_signed_but_cannot_be_opened_is_malformed() -> None:
    signed = deliver(Sample("noise", b"no JSON"), KEYED, AT)
    with pytest.raises(Malformed):
        feishu.verify(signed, [KEYED], SETTINGS)


def test_a_delivery_tried_again_hours_later_is_taken() -> None:
    late = replace(deliver(next(samples()), KEYED, AT), at=AT + timedelta(hours=7))
    assert feishu.verify(late, [KEYED], SETTINGS).body


def test_the_token_comes_from_the_platform_and_the_key_may_be_missing() -> None:
    assert feishu.make_secrets({"verification_token": "t"}) == FeishuSecrets("t", "")
    with pytest.raises(Malformed) as wrong:
        feishu.make_secrets({"encrypt_key": "k"})
    assert wrong.value.pointer == "/verification_token"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"verification_token": ""}, FeishuSecrets)


def test_a_message_names_whom_it_mentions_what_it_answers_and_its_topic() -> None:
    [seen] = one("message.text")
    assert (seen.type, seen.actor, seen.group) == ("message.created", "feishu:ou_writer", "feishu:oc_group")
    assert (seen.id, seen.subject, seen.shared, seen.at) == ("message:om_answer", "om_answer", True, WHEN)
    assert seen.text == "@_user_1 @_all look at https://example.org"
    assert seen.data == {
        "kind": "text",
        "mentions": ["feishu:ou_helper"],
        "mentions_all": True,
        "reply_to": "om_question",
        "topic": "omt_topic",
    }


def test_a_rich_text_in_private_has_its_words_as_text_and_no_group() -> None:
    [seen] = one("message.post")
    assert (seen.group, seen.data) == (None, {"kind": "rich_text", "has_media": True})
    assert seen.text == "a title\nsome words\na link"


def test_a_reply_without_a_parent_answers_its_root() -> None:
    assert message(root_id="om_0").data["reply_to"] == "om_0"


def test_kinds_are_named_as_everywhere_and_what_is_no_text_has_none() -> None:
    kinds = {
        kind: message(message_type=kind, content='{"image_key": "k"}') for kind in ("image", "audio", "media", "file")
    }
    assert [seen.data["kind"] for seen in kinds.values()] == ["image", "voice", "video", "file"]
    assert all(seen.data["has_media"] and seen.text is None for seen in kinds.values())
    assert message(message_type="interactive", content="no JSON").data == {"kind": "card"}


def test_what_a_bot_wrote_is_marked() -> None:
    event = {"message": MESSAGE, "sender": {"sender_type": "app", "sender_id": {"open_id": "ou_bot"}}}
    [seen] = told("im.message.receive_v1", event).seen
    assert (seen.actor, seen.data["bot"]) == ("feishu:ou_bot", True)


def test_a_message_told_to_two_apps_is_one() -> None:
    event = {"message": MESSAGE, "sender": {"sender_id": {"open_id": "ou_other"}}}
    assert told("im.message.receive_v1", event, "event-2").seen[0].id == message().id == "message:om_1"


def test_a_reaction_is_to_a_message_whose_writer_is_looked_up_and_one_for_all_apps() -> None:
    [seen] = one("reaction.created")
    assert (seen.type, seen.actor, seen.data) == ("reaction.added", "feishu:ou_reader", {"kind": "THUMBSUP"})
    assert (seen.subject, seen.about, seen.shared) == ("om_answer", "om_answer", True)
    reaction = {
        "message_id": "om_answer",
        "reaction_type": {"emoji_type": "THUMBSUP"},
        "operator_type": "user",
        "user_id": {"open_id": "ou_another_apps_name", "union_id": "on_reader"},
        "action_time": "1795607940999",
    }
    [again] = told("im.message.reaction.created_v1", reaction).seen
    assert again.id == seen.id
    later = {**reaction, "action_time": "1795607950000"}
    [removed] = told("im.message.reaction.deleted_v1", later).seen
    assert removed.type == "reaction.removed"
    assert told("im.message.reaction.created_v1", later).seen[0].id not in (seen.id, removed.id)


def test_a_reaction_by_an_app_is_a_bots() -> None:
    reaction = {"message_id": "om_1", "operator_type": "app", "app_id": "cli_1", "action_time": "1"}
    [seen] = told("im.message.reaction.created_v1", reaction).seen
    assert (seen.actor, seen.data) == ("feishu:cli_1", {"kind": "", "bot": True})


def test_each_who_was_added_joined_and_who_did_it_is_named() -> None:
    new, helper = one("members.added")
    assert (new.type, new.actor, new.group, new.notice) == ("member.joined", "feishu:ou_new", "feishu:oc_group", True)
    assert (new.id, new.data) == ("made-up-event-4:feishu:ou_new", {"invited_by": "feishu:ou_helper"})
    assert helper.data == {}


def test_who_leaves_left_whom_another_removes_was_kicked_and_a_withdrawn_one_left() -> None:
    event = {"chat_id": "oc_1", "operator_id": {"open_id": "ou_1"}}
    own, other = ({**event, "users": [{"user_id": {"open_id": who}}]} for who in ("ou_1", "ou_2"))
    assert told("im.chat.member.user.deleted_v1", own).seen[0].type == "member.left"
    assert told("im.chat.member.user.deleted_v1", other).seen[0].type == "member.kicked"
    [withdrawn] = told("im.chat.member.user.withdrawn_v1", other).seen
    assert (withdrawn.type, withdrawn.actor, withdrawn.data) == ("member.left", "feishu:ou_2", {"reason": "withdrawn"})


def test_a_change_of_members_that_names_nobody_is_kept_as_what_it_is() -> None:
    [seen] = told("im.chat.member.user.added_v1", {"chat_id": "oc_1"}).seen
    assert (seen.type, seen.group) == ("feishu.im_chat_member_user_added_v1", "feishu:oc_1")


def test_a_message_is_recalled_by_its_writer_or_deleted_by_right_of_another() -> None:
    [deleted] = one("message.recalled")
    assert (deleted.type, deleted.data, deleted.actor) == ("message.deleted", {"reason": "group_manager"}, None)
    assert (deleted.subject, deleted.about, deleted.id) == ("om_answer", "om_answer", "recalled:om_answer")
    own = {"message_id": "om_1", "chat_id": "oc_1", "recall_type": "message_owner", "recall_time": "1795607940735"}
    [recalled] = told("im.message.recalled_v1", own).seen
    assert (recalled.type, recalled.data, recalled.at) == ("message.recalled", {}, WHEN)


def test_who_brings_the_bot_into_a_group_is_named() -> None:
    event = {"chat_id": "oc_1", "operator_id": {"open_id": "ou_1"}}
    [seen] = told("im.chat.member.bot.added_v1", event).seen
    assert (seen.type, seen.actor, seen.group) == ("feishu.bot.added", "feishu:ou_1", "feishu:oc_1")
    assert told("im.chat.member.bot.deleted_v1", event).seen[0].type == "feishu.bot.removed"


def test_that_a_message_was_read_is_ignored() -> None:
    assert told("im.message.message_read_v1", {}).ignored == "only_looked_at"


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    [seen] = told("im.chat.updated_v1", {"chat_id": "oc_1", "after_change": {"name": "secret"}}).seen
    assert (seen.type, seen.id, seen.group, seen.data) == ("feishu.im_chat_updated_v1", "event-1", "feishu:oc_1", {})


def test_the_older_form_is_kept_under_the_name_inside() -> None:
    event = {"type": "message", "open_id": "ou_1", "open_chat_id": "oc_1", "text": "secret"}
    body = json.dumps({"uuid": "u-1", "token": "t", "type": "event_callback", "event": event}).encode()
    [seen] = feishu.translate(Delivery({}, {}, body, AT), SETTINGS).seen
    assert (seen.type, seen.id, seen.actor, seen.group) == ("feishu.message", "u-1", "feishu:ou_1", "feishu:oc_1")
    assert (seen.data, seen.text) == ({}, None)


def test_hostile_values_become_nothing() -> None:
    seen = message(message_id={}, content='{"text": {"x": 1}}', mentions=["x", {"id": 7}], create_time="9" * 19)
    assert (seen.id, seen.text, seen.at, seen.subject) == ("event-1", None, None, None)
    assert message(content='{"content": [["x", {"tag": "text"}], 7]}', message_type="post").text is None
    assert message(content="[" * 5000).text is None
