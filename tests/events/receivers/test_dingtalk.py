"""DingTalk's events and messages to robots, one by one: how they are opened, answered, and what each becomes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.events.receivers import dingtalk, sealed
from services.events.receivers.dingtalk import DingTalkSecrets, DingTalkSettings
from services.events.receivers.form import Answer, Delivery, Malformed, Refused, Seen, Translation
from tests.events.receivers.senders.dingtalk import OWNER, SENDER, deliver, samples
from tests.events.receivers.senders.wecom import signature
from tests.events.receivers.sending import AT, Sample

SETTINGS = DingTalkSettings(OWNER)
FIRST, OTHER = SENDER.secrets
SAMPLES = {sample.name: sample for sample in samples()}
WHEN = datetime(2026, 11, 25, 11, 59, 0, 123000, tzinfo=UTC)


def told(event: dict[str, Any]) -> Translation:
    given = {"timeStamp": 1795607940123, "eventId": "event-1", **event}
    return dingtalk.translate(Delivery({}, {"signature": "s"}, json.dumps(given).encode(), AT), SETTINGS)


def written(**fields: Any) -> Seen:
    body = {"msgId": "m1", "conversationId": "cid1", "conversationType": "2", "senderStaffId": "s1", **fields}
    return dingtalk.translate(Delivery({"sign": "s"}, {}, json.dumps(body).encode(), AT), SETTINGS).seen[0]


def opened(answer: Answer, secret: DingTalkSecrets) -> tuple[bytes, str]:
    """As DingTalk opens an answer: its signature first."""
    told = json.loads(answer.body)
    assert set(told) == {"msg_signature", "timeStamp", "nonce", "encrypt"}
    right = signature(secret.token, told["timeStamp"], told["nonce"], told["encrypt"])
    assert told["msg_signature"] == right
    return sealed.opened(told["encrypt"], secret.key)


def test_the_documentations_event_is_opened() -> None:
    secret = DingTalkSecrets("123456", "4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij")
    query = {
        "signature": "5a65ceeef9aab2d149439f82dc191dd6c5cbe2c0",
        "timestamp": "1445827045067",
        "nonce": "nEXhMP4r",
    }
    inside = (
        "1a3NBxmCFwkCJvfoQ7WhJHB+iX3qHPsc9JbaDznE1i03peOk1LaOQoRz3+nlyGNhwmwJ3vDMG+OzrHMeiZI7gTRWVdUBmfxjZ8Ej23JVYa9VrYe"
        "J5as7XM/ZpulX8NEQis44w53h1qAgnC3PRzM7Zc/D6Ibr0rgUathB6zRHP8PYrfgnNOS9PhSBdHlegK+AGGanfwjXuQ9+0pZcy0w9lQ=="
    )
    at = datetime.fromtimestamp(1445827045, UTC)
    delivery = Delivery({}, query, json.dumps({"encrypt": inside}).encode(), at)
    body = dingtalk.verify(delivery, [FIRST, secret], DingTalkSettings("suite4xxxxxxxxxxxxxxx")).body
    assert json.loads(body)["EventType"] == "check_create_suite_url"


def test_the_documentations_answer_says_success() -> None:
    secret = DingTalkSecrets("123456", "1234567890123456789012345678901234567890123")
    answer = {
        "msg_signature": "9a95a004dd16f5c307e849b994173f76aa26e5eb",
        "timeStamp": "1614767836",
        "nonce": "A7Co0cJLMzIDtMMI",
        "encrypt": "YvkvaGe4hQxd3VxRmEty0dVlnCOAqwf56xwTRHDHoOURqhalbmBJQk5FNcRk42Gl5T0YQXZNwpwWSm1xAFJ5ZA==",
    }
    assert opened(Answer(200, json.dumps(answer).encode()), secret) == (b"success", "dingsnotzck6pm5veliw")


@pytest.mark.parametrize("secret", SENDER.secrets)
def test_the_question_is_answered_with_an_encrypted_success_under_the_secret_it_came_with(
    secret: DingTalkSecrets,
) -> None:
    question = deliver(Sample("question", b'{"EventType": "check_url"}'), secret, AT)
    delivery = dingtalk.verify(question, SENDER.secrets, SETTINGS)
    assert SENDER.secrets[delivery.signed_with] == secret
    answer = dingtalk.greet(delivery, secret, SETTINGS)
    assert answer is not None
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert opened(answer, secret) == (b"success", OWNER)
    assert dingtalk.translate(delivery, SETTINGS).ignored == "handshake"


def test_an_event_is_answered_like_this_too_the_same_again_to_the_same_and_otherwise_to_another() -> None:
    names = ("chat.remove_member", "user.add_org")
    first, second = (dingtalk.verify(deliver(SAMPLES[one], FIRST, AT), [FIRST], SETTINGS) for one in names)
    assert dingtalk.greet(first, FIRST, SETTINGS) is None
    answer = dingtalk.accepted(first, FIRST, SETTINGS)
    assert opened(answer, FIRST) == (b"success", OWNER)
    assert dingtalk.accepted(first, FIRST, SETTINGS) == answer
    other = json.loads(dingtalk.accepted(second, FIRST, SETTINGS).body)
    assert not set(other.values()) - {other["timeStamp"]} & set(json.loads(answer.body).values())


def test_a_message_to_the_robot_is_answered_with_nothing_or_it_would_say_it() -> None:
    delivery = dingtalk.verify(deliver(SAMPLES["robot.text"], FIRST, AT), [FIRST], SETTINGS)
    assert dingtalk.greet(delivery, FIRST, SETTINGS) is None
    assert dingtalk.accepted(delivery, FIRST, SETTINGS) == Answer(200)


def test_a_sign_of_another_secret_of_another_time_or_an_hour_old_is_refused() -> None:
    delivery = deliver(SAMPLES["robot.text"], FIRST, AT)
    assert dingtalk.verify(delivery, SENDER.secrets, SETTINGS) == delivery
    with pytest.raises(Refused, match="not of this app's secret"):
        dingtalk.verify(delivery, [OTHER], SETTINGS)
    with pytest.raises(Refused, match="not of this app's secret"):
        dingtalk.verify(
            replace(delivery, headers={**delivery.headers, "timestamp": "1795608000001"}), [FIRST], SETTINGS
        )
    for moved in (timedelta(minutes=61), timedelta(minutes=-61)):
        with pytest.raises(Refused, match="signed more than"):
            dingtalk.verify(replace(delivery, at=AT + moved), [FIRST], SETTINGS)


def test_without_the_apps_secret_no_message_is_taken() -> None:
    delivery = deliver(SAMPLES["robot.text"], replace_secret(FIRST, ""), AT)
    with pytest.raises(Refused) as refused:
        dingtalk.verify(delivery, [replace_secret(FIRST, "")], SETTINGS)
    assert refused.value.code == "secret_missing"


def replace_secret(secret: DingTalkSecrets, app_secret: str) -> DingTalkSecrets:
    return msgspec.structs.replace(secret, app_secret=app_secret)


def test_an_event_that_was_altered_is_old_or_for_another_app_is_refused() -> None:
    delivery = deliver(SAMPLES["user.add_org"], FIRST, AT)
    altered = json.dumps({"encrypt": "A" + json.loads(delivery.body)["encrypt"]}).encode()
    with pytest.raises(Refused, match="the signature is not of this token"):
        dingtalk.verify(replace(delivery, body=altered), [FIRST], SETTINGS)
    with pytest.raises(Refused, match="signed more than"):
        dingtalk.verify(replace(delivery, at=AT + timedelta(minutes=61)), [FIRST], SETTINGS)
    with pytest.raises(Refused, match="encrypted for another app"):
        dingtalk.verify(delivery, [FIRST], DingTalkSettings("dingother"))
    for body in (b"[]", b"no JSON"):
        with pytest.raises(Malformed):
            dingtalk.verify(replace(delivery, body=body), [FIRST], SETTINGS)


def test_secrets_are_made_but_for_the_apps_own() -> None:
    made = dingtalk.make_secrets({"app_secret": "given"})
    assert made.app_secret == "given"
    assert len(made.encoding_aes_key) == 43
    assert dingtalk.make_secrets({}).app_secret == ""
    with pytest.raises(msgspec.ValidationError, match="owner_key"):
        msgspec.convert({"owner_key": ""}, DingTalkSettings)


def test_each_who_was_removed_was_kicked() -> None:
    delivery = dingtalk.verify(deliver(SAMPLES["chat.remove_member"], FIRST, AT), [FIRST], SETTINGS)
    first, second = dingtalk.translate(delivery, SETTINGS).seen
    assert (first.type, first.actor, first.group) == ("member.kicked", "dingtalk:staff1", "dingtalk:cidMadeUp")
    assert (first.at, first.notice, first.data) == (WHEN, True, {})
    assert (first.id, second.id) == ("made-up-event-1:dingtalk:staff1", "made-up-event-1:dingtalk:staff2")


def test_who_added_somebody_is_named_and_who_came_alone_was_not_invited() -> None:
    added, own = told(
        {"EventType": "chat_add_member", "userId": ["s1", "s2"], "operator": "s2", "chatId": "chat1"}
    ).seen
    assert (added.type, added.data, added.group) == ("member.joined", {"invited_by": "dingtalk:s2"}, "dingtalk:chat1")
    assert own.data == {}


def test_who_quits_is_who_did_it() -> None:
    [seen] = told({"EventType": "chat_quit", "operator": "s1", "openConversationId": "cid1"}).seen
    assert (seen.type, seen.actor, seen.group) == ("member.left", "dingtalk:s1", "dingtalk:cid1")


def test_the_older_form_of_an_event_has_capitals_and_times_as_text() -> None:
    delivery = dingtalk.verify(deliver(SAMPLES["user.add_org"], FIRST, AT), [FIRST], SETTINGS)
    [seen] = dingtalk.translate(delivery, SETTINGS).seen
    assert (seen.type, seen.actor, seen.group, seen.at) == ("member.joined", "dingtalk:staff1", None, WHEN)
    assert seen.data == {"scope": "organization"}
    again = dingtalk.verify(deliver(SAMPLES["user.add_org"], OTHER, AT), SENDER.secrets, SETTINGS)
    assert dingtalk.translate(again, SETTINGS).seen[0].id == seen.id


def test_leaving_the_organisation_is_leaving() -> None:
    [seen] = told({"EventType": "user_leave_org", "userId": "s1"}).seen
    assert (seen.type, seen.actor, seen.data) == ("member.left", "dingtalk:s1", {"scope": "organization"})


def test_a_changed_employee_is_ignored() -> None:
    assert told({"EventType": "user_modify_org", "userId": ["s1"]}).ignored == "housekeeping"


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    event = {"EventType": "chat_update_title", "title": "secret", "operator": "s1", "openConversationId": "cid1"}
    [seen] = told(event).seen
    assert (seen.type, seen.id, seen.actor) == ("dingtalk.chat_update_title", "event-1", "dingtalk:s1")
    assert (seen.group, seen.data) == ("dingtalk:cid1", {})
    assert told({"EventType": "chat_add_member"}).seen[0].type == "dingtalk.chat_add_member"


def test_a_message_to_the_robot_is_by_the_employee_in_the_group() -> None:
    [seen] = dingtalk.translate(Delivery({}, {}, SAMPLES["robot.text"].body, AT), SETTINGS).seen
    assert (seen.type, seen.id, seen.subject) == ("message.created", "message:msgMadeUp1", "msgMadeUp1")
    assert (seen.actor, seen.group, seen.at) == ("dingtalk:staff1", "dingtalk:cidMadeUp", WHEN)
    assert (seen.text, seen.shared) == (" hello", True)
    assert seen.data == {"kind": "text", "mentions": ["dingtalk:$:LWCP_v1:$robot==", "dingtalk:staff2"]}


def test_a_rich_text_in_private_has_its_words_as_text_and_no_group() -> None:
    [seen] = dingtalk.translate(Delivery({}, {}, SAMPLES["robot.richtext"].body, AT), SETTINGS).seen
    assert (seen.actor, seen.group) == ("dingtalk:$:LWCP_v1:$outside==", None)
    assert (seen.text, seen.data) == ("one\ntwo", {"kind": "rich_text", "has_media": True})


def test_kinds_are_named_as_everywhere_and_an_answer_names_its_message() -> None:
    assert [written(msgtype=kind).data["kind"] for kind in ("picture", "audio", "video", "file")] == [
        "image",
        "voice",
        "video",
        "file",
    ]
    assert written(msgtype="picture").data["has_media"] is True
    assert written(text={"content": "x", "repliedMsg": {"msgId": "m0"}}).data["reply_to"] == "m0"
    assert written(originalMsgId="m0").data["reply_to"] == "m0"


def test_hostile_values_become_nothing() -> None:
    seen = written(msgId=["x"], senderStaffId={}, createAt=10**28, text="x", content=[1], atUsers="x")
    assert (seen.actor, seen.at, seen.text, seen.subject, seen.shared) == (None, None, None, None, False)
    odd = told({"EventType": "chat_add_member", "userId": [None, {"a": 1}, "s1", "s1"], "timeStamp": 10**28})
    assert [one.actor for one in odd.seen] == ["dingtalk:s1"]
    assert odd.seen[0].at is None
