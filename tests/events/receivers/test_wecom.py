"""WeCom's callbacks, one by one: how they are opened, and what each becomes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.events.receivers import markup, sealed, wecom
from services.events.receivers.form import Answer, Delivery, Malformed, Refused, Seen, Translation
from services.events.receivers.sealed import EnvelopeSecrets
from services.events.receivers.wecom import WeComSettings
from tests.events.receivers.senders.wecom import CORP, SECRETS, ask, deliver, encrypted, query, samples
from tests.events.receivers.sending import AT, Sample

SETTINGS = WeComSettings(CORP)
SAMPLES = {sample.name: sample for sample in samples()}
WHEN = datetime(2026, 11, 25, 11, 59, tzinfo=UTC)


def told(xml: str) -> Translation:
    return wecom.translate(Delivery({}, {}, f"<xml>{xml}</xml>".encode(), AT), SETTINGS)


def event(name: str, **fields: str) -> str:
    given = {"FromUserName": "sys", "CreateTime": "1795607940", "MsgType": "event", "Event": name, **fields}
    return "".join(f"<{field}><![CDATA[{value}]]></{field}>" for field, value in given.items())


def group(detail: str, people: str = "", **fields: str) -> tuple[Seen, ...]:
    told_of = event("change_external_chat", ChatId="wr1", ChangeType="update", UpdateDetail=detail, **fields)
    return told(told_of + (f"<MemChangeList>{people}</MemChangeList>" if people else "")).seen


def test_the_documentations_question_is_opened_and_answered_with_what_was_encrypted() -> None:
    secret = EnvelopeSecrets("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")
    settings = WeComSettings("wx5823bf96d3bd56c7")
    asked = {
        "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
        "timestamp": "1409659589",
        "nonce": "263014780",
        "echostr": "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
    }
    at = datetime.fromtimestamp(1409659589, UTC)
    delivery = wecom.verify(Delivery({}, asked, b"", at, "GET"), [secret], settings)
    assert wecom.greet(delivery, secret, settings) == Answer(200, b"1616140317555161061", "text/plain")


def test_the_question_is_answered_with_either_secret_and_to_nobody_else() -> None:
    for place, secret in enumerate(SECRETS):
        delivery = wecom.verify(ask("made up", secret, AT), SECRETS, SETTINGS)
        assert delivery.signed_with == place
        assert wecom.greet(delivery, secret, SETTINGS) == Answer(200, b"made up", "text/plain")
    with pytest.raises(Refused):
        wecom.verify(ask("made up", SECRETS[1], AT), SECRETS[:1], SETTINGS)


def test_a_delivery_is_no_question() -> None:
    delivery = wecom.verify(deliver(SAMPLES["message.text"], SECRETS[0], AT), SECRETS, SETTINGS)
    assert wecom.greet(delivery, SECRETS[0], SETTINGS) is None


def test_an_encrypted_text_that_was_altered_and_another_companys_are_refused() -> None:
    delivery = deliver(SAMPLES["message.text"], SECRETS[0], AT)
    altered = delivery.body.replace(b"<Encrypt><![CDATA[", b"<Encrypt><![CDATA[A")
    with pytest.raises(Refused, match="the signature is not of this token"):
        wecom.verify(replace(delivery, body=altered), SECRETS, SETTINGS)
    with pytest.raises(Refused, match="encrypted for another company"):
        wecom.verify(delivery, SECRETS, WeComSettings("wwsomebodyelse"))


def test_what_is_signed_but_cannot_be_opened_is_malformed() -> None:
    for text in ("no base64!", "QUJD", "A" * 24 + "==", encrypted(b"", SECRETS[1], CORP)):
        body = f"<xml><Encrypt>{text}</Encrypt></xml>".encode()
        with pytest.raises(Malformed):
            wecom.verify(Delivery({}, query(SECRETS[0], text, AT), body, AT), SECRETS[:1], SETTINGS)


def test_a_delivery_an_hour_old_is_refused() -> None:
    delivery = replace(deliver(SAMPLES["message.text"], SECRETS[0], AT - timedelta(hours=1)), at=AT)
    with pytest.raises(Refused, match="signed more than"):
        wecom.verify(delivery, SECRETS, SETTINGS)


def test_secrets_are_made_in_the_form_the_page_wants_and_wrong_ones_are_named() -> None:
    made = sealed.made({})
    assert len(made.token) == 32
    assert len(made.encoding_aes_key) == 43
    assert len(made.key) == 32
    assert sealed.made({"token": "abc"}).token == "abc"
    with pytest.raises(Malformed) as wrong:
        sealed.made({"encoding_aes_key": "too short"})
    assert wrong.value.pointer == "/encoding_aes_key"
    with pytest.raises(msgspec.ValidationError, match="43 letters"):
        msgspec.convert({"token": "a", "encoding_aes_key": "b"}, EnvelopeSecrets)
    with pytest.raises(msgspec.ValidationError, match="corp_id"):
        msgspec.convert({"corp_id": "a b"}, WeComSettings)


def test_each_who_came_into_a_customers_group_joined_it() -> None:
    first, second = wecom.translate(Delivery({}, {}, SAMPLES["group.add_member"].body, AT), SETTINGS).seen
    assert (first.type, first.actor, first.group) == (
        "member.joined",
        "wecom:wmMadeUpCustomer1",
        "wecom:wrMadeUpGroup1",
    )
    assert (first.at, first.data, first.shared, first.notice) == (WHEN, {"via": "qr_code"}, True, True)
    assert second.actor == "wecom:wmMadeUpCustomer2"
    assert first.id != second.id


def test_people_are_also_found_in_the_older_list_with_commas_and_count_once() -> None:
    assert [one.actor for one in group("add_member", "<![CDATA[wm1, wm2,,wm1]]>")] == ["wecom:wm1", "wecom:wm2"]
    same = "<Item>wm1</Item><Item>wm2</Item>"
    assert [one.id for one in group("add_member", same)] == [one.id for one in group("add_member", "wm1,wm2")]


def test_who_leaves_a_group_left_and_whom_its_owner_removes_was_kicked() -> None:
    [left] = group("del_member", "<Item>wm1</Item>", QuitScene="0")
    [kicked] = group("del_member", "<Item>wm1</Item>", QuitScene="1")
    assert (left.type, kicked.type) == ("member.left", "member.kicked")


def test_coming_again_is_another_thing_and_a_redelivery_is_not() -> None:
    ids = [
        group("add_member", "<Item>wm1</Item>", CreateTime=time, CurMemVer=version)[0].id
        for time, version in (("1795607940", "a"), ("1795607940", "a"), ("1795607999", "a"), ("1795607940", "b"))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_change_without_names_is_kept_with_how_many_and_without_people() -> None:
    [seen] = group("add_member", MemChangeCnt="10")
    assert (seen.type, seen.actor, seen.group) == ("wecom.change_external_chat_add_member", None, "wecom:wr1")
    assert seen.data == {"count": 10}


def test_other_changes_of_a_group_are_kept_under_their_names() -> None:
    assert [group(detail)[0].type for detail in ("change_owner", "change_name", "change_notice")] == [
        "wecom.change_external_chat_change_owner",
        "wecom.change_external_chat_change_name",
        "wecom.change_external_chat_change_notice",
    ]
    for change in ("create", "dismiss"):
        [seen] = told(event("change_external_chat", ChatId="wr1", ChangeType=change)).seen
        assert (seen.type, seen.group) == (f"wecom.change_external_chat_{change}", "wecom:wr1")


def test_a_new_contact_came_by_its_channel_and_to_its_employee() -> None:
    [seen] = wecom.translate(Delivery({}, {}, SAMPLES["contact.added"].body, AT), SETTINGS).seen
    assert (seen.type, seen.actor, seen.group, seen.at) == ("member.joined", "wecom:wmMadeUpCustomer1", None, WHEN)
    assert seen.data == {"scope": "contact", "via": "poster-2026", "invited_by": "wecom:helper"}


def test_contacts_end_from_either_side_and_half_ones_are_kept_as_such() -> None:
    def contact(change: str) -> Seen:
        fields = {"ChangeType": change, "UserID": "helper", "ExternalUserID": "wm1", "State": "poster"}
        return told(event("change_external_contact", **fields)).seen[0]

    assert contact("del_follow_user").type == "member.left"
    assert contact("del_external_contact").type == "member.kicked"
    assert contact("del_external_contact").data == {"scope": "contact"}
    half = contact("add_half_external_contact")
    assert half.type == "wecom.change_external_contact_add_half_external_contact"
    assert (half.actor, half.data["via"]) == ("wecom:wm1", "poster")


def test_a_message_to_the_app_is_a_message_outside_of_groups_and_its_text_is_only_in_text() -> None:
    [seen] = wecom.translate(Delivery({}, {}, SAMPLES["message.text"].body, AT), SETTINGS).seen
    assert (seen.type, seen.id, seen.subject) == ("message.created", "message:1234567890123456", "1234567890123456")
    assert (seen.actor, seen.group, seen.at) == ("wecom:helper", None, WHEN)
    assert (seen.text, seen.data) == ("what does <!DOCTYPE html> & co. mean?", {"kind": "text"})


def test_pictures_and_videos_have_media() -> None:
    message = "<FromUserName>u</FromUserName><MsgId>1</MsgId><MsgType>{}</MsgType><PicUrl>x</PicUrl>"
    assert told(message.format("image")).seen[0].data == {"kind": "image", "has_media": True}
    assert told(message.format("shortvideo")).seen[0].data == {"kind": "video", "has_media": True}
    assert told(message.format("location")).seen[0].data == {"kind": "location"}


def test_looking_at_the_app_and_editing_a_contact_is_ignored() -> None:
    assert told(event("enter_agent", FromUserName="u")).ignored == "only_looked_at"
    assert told(event("LOCATION", FromUserName="u", Latitude="1")).ignored == "only_looked_at"
    assert told(event("change_external_contact", ChangeType="edit_external_contact")).ignored == "housekeeping"


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    [seen] = told(event("subscribe", FromUserName="u", Remark="secret")).seen
    assert (seen.type, seen.actor, seen.data) == ("wecom.subscribe", "wecom:u", {})
    assert told(event("change_contact", ChangeType="create_user")).seen[0].actor is None


@pytest.mark.parametrize(
    "xml",
    [
        b'<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Content>&b;</Content></xml>',
        b'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Content>&a;</Content></xml>',
        b'<?xml version="1.0"?><!DOCTYPE xml SYSTEM "http://example.org/x.dtd"><xml/>',
        b'<?x <![CDATA[ ?><!DOCTYPE xml [<!ENTITY a "b">]><xml>&a;]]></xml>',
        b"<!-- <![CDATA[ --><!DOCTYPE xml><xml>]]></xml>",
        '<!DOCTYPE xml [<!ENTITY a "b">]><xml/>'.encode("utf-16"),
        b"<xml>" + b"<a>" * 10_000,
        b"<xml><a>" + b"x" * 300_000 + b"</a></xml>",
        b"<xml>&unknown;</xml>",
        b"<xml",
        b"",
    ],
)
def test_xml_that_declares_expands_or_never_ends_is_refused_before_anything_is_made_of_it(xml: bytes) -> None:
    with pytest.raises(Malformed):
        markup.fields(xml)
    delivery = deliver(Sample("hostile", xml), SECRETS[0], AT)
    with pytest.raises(Malformed):
        wecom.translate(wecom.verify(delivery, SECRETS, SETTINGS), SETTINGS)
    with pytest.raises(Malformed):
        wecom.verify(Delivery({}, query(SECRETS[0], "x", AT), xml, AT), SECRETS, SETTINGS)


def test_nothing_secret_is_kept() -> None:
    seen = wecom.translate(Delivery({}, {}, SAMPLES["contact.added"].body, AT), SETTINGS).seen
    assert "MADEUPCODE" not in json.dumps([one.data for one in seen])
