"""OneBot v11: who sent it, messages, signs of life, and what is none of these."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.events.receivers import onebot_v11
from services.events.receivers.door import event_of
from services.events.receivers.form import Beat, Delivery, Malformed, NoSettings, OneSecret, Refused, Translation
from services.events.wire import Accepted, Arrival, check
from tests.events.receivers.onebot_events import (
    BOT,
    GROUP,
    OTHER_BOT,
    TIME,
    A,
    B,
    message,
    meta,
    notice,
    one,
    request,
    told,
)
from tests.events.receivers.sending import AT

SECRET = OneSecret("Jefe")


# --- who sent it


def posted(body: bytes, **headers: str) -> Delivery:
    return Delivery({name.replace("_", "-"): value for name, value in headers.items()}, {}, body, AT)


def test_the_signature_is_hmac_sha1_of_the_body() -> None:
    body, signature = b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"  # RFC 2202, case 2
    for given in (f"sha1={signature}", f"sha1={signature.upper()}"):
        onebot_v11.verify(posted(body, x_signature=given), [SECRET], NoSettings())


@pytest.mark.parametrize("given", ["Bearer Jefe", "bearer Jefe", "Token Jefe", " Bearer  Jefe "])
def test_a_bearer_token_is_the_secret_also_as_go_cqhttp_writes_it(given: str) -> None:
    handshake = replace(posted(b"", authorization=given), method="GET")
    assert onebot_v11.verify(handshake, [OneSecret("new"), SECRET], NoSettings()) == handshake


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature_missing"),
        ({"x_self_id": "700001"}, "signature_missing"),
        ({"x_signature": "sha256=00"}, "signature_missing"),
        ({"x_signature": "sha1="}, "signature_missing"),
        ({"authorization": "Basic SmVmZQ=="}, "signature_missing"),
        ({"authorization": "Bearer "}, "signature_missing"),
        ({"authorization": "Bearer jefe"}, "token_wrong"),
        ({"authorization": "Bearer Jefé"}, "token_wrong"),
        ({"x_signature": "sha1=00"}, "signature_wrong"),
        ({"x_signature": "sha1=é", "authorization": "Bearer Jefe"}, "signature_wrong"),
    ],
)
def test_who_has_not_the_secret_is_refused_and_told_what_to_look_at(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        onebot_v11.verify(posted(b"{}", **headers), [SECRET], NoSettings())
    assert refused.value.code == code
    assert "Jefe" not in refused.value.message


# --- messages


def test_a_message_in_a_group_is_known_by_the_groups_own_number() -> None:
    seen = one(**message())
    assert (seen.type, seen.actor, seen.group) == ("message.created", f"qq:{A}", f"qq:{GROUP}")
    assert (seen.subject, seen.ref) == ("2108901", "-1340512200")
    assert (seen.id, seen.shared, seen.sequence) == (f"message:qq:{GROUP}:2108901", True, (f"qq:{GROUP}", 2108901))
    assert (seen.text, seen.data, seen.at) == ("see https://example.org", {"kind": "text"}, AT)


def test_two_bots_in_one_group_see_one_message_whatever_programs_they_run() -> None:
    napcat = one(**message())
    again = one(**message(self_id=OTHER_BOT, message_id=77, message_seq=77))
    lone = one(**message(real_seq=None, message_id=-5, message_seq=2108901))
    cqhttp = one(**message(real_seq=None, message_id=9, message_seq=2108901, message="see https://example.org"))
    assert len({seen.id for seen in (napcat, again, lone, cqhttp)}) == 1
    assert all(seen.shared for seen in (napcat, again, lone, cqhttp))


@pytest.mark.parametrize("more", [{"message_seq": -1340512200}, {"message_seq": 0}, {"message_seq": None}])
def test_a_message_without_a_number_is_the_connections_own(more: dict[str, Any]) -> None:
    seen = one(**message(real_seq=None, **more))
    assert (seen.subject, seen.ref, seen.shared, seen.sequence) == ("-1340512200", "-1340512200", False, None)
    assert seen.id == f"message:-1340512200:{TIME}"
    later = one(**message(real_seq=None, time=TIME + 86400, **more))
    assert later.id != seen.id, "the hash may come again"


def test_a_message_that_nothing_names_is_still_told_apart() -> None:
    first, second = (one(**message(real_seq=None, message_id=0, message_seq=0, message=said)) for said in "ab")
    assert first.id != second.id
    assert (first.subject, first.ref) == (None, None)


def test_a_private_message_has_no_group_and_no_sequence() -> None:
    seen = one(**message(message_type="private", sub_type="group", real_seq="87"))
    assert (seen.type, seen.actor, seen.group) == ("message.created", f"qq:{A}", None)
    assert (seen.shared, seen.sequence, seen.subject) == (False, None, "-1340512200")


def test_both_formats_say_whom_it_names_and_what_it_answers() -> None:
    parts = [
        {"type": "reply", "data": {"id": "-1340512199"}},
        {"type": "at", "data": {"qq": str(BOT)}},
        {"type": "at", "data": {"qq": "all"}},
        {"type": "text", "data": {"text": " [look], & "}},
        {"type": "image", "data": {"file": "A.jpg"}},
    ]
    code = f"[CQ:reply,id=-1340512199][CQ:at,qq={BOT}][CQ:at,qq=all] &#91;look&#93;, &amp; [CQ:image,file=A.jpg]"
    for written in (parts, code):
        seen = one(**message(message=written))
        assert seen.text == "[look], &"
        assert seen.data == {
            "kind": "image",
            "has_media": True,
            "mentions": [f"qq:{BOT}"],
            "mentions_all": True,
            "reply_to": "-1340512199",
        }


def test_a_message_that_has_only_its_raw_form_is_read_from_that() -> None:
    assert one(**message(message=None, raw_message="[CQ:face,id=1]")).data == {"kind": "face"}


def test_an_anonymous_writer_is_nobody() -> None:
    mask = {"id": 80000000, "name": "a mask", "flag": "f"}
    assert one(**message(sub_type="anonymous", user_id=80000000, anonymous=mask)).actor is None
    assert one(**message(anonymous=mask)).actor is None
    assert one(**message(user_id=80000000)).actor is None


def test_nothing_of_the_sender_is_kept_but_the_number() -> None:
    sender = {"user_id": B, "nickname": "a name", "card": "a card", "role": "owner", "title": "a title"}
    seen = one(**message(sender=sender, group_name="a group"))
    assert seen.actor == f"qq:{A}"
    assert "a " not in repr(seen)


def test_what_the_bot_wrote_is_not_counted_but_its_number_is_not_missing() -> None:
    for own in (message(post_type="message_sent", user_id=BOT), message(user_id=BOT)):
        translation = told(**own)
        assert (translation.seen, translation.ignored) == ((), "own_message")


def test_what_qq_itself_says_in_a_group_is_nobodys_message() -> None:
    translation = told(**message(sub_type="notice"))
    assert translation.ignored == "system_message"


@pytest.mark.parametrize("robot", [2854196310, 3889000001, 66600000])
def test_qqs_own_robots_are_marked(robot: int) -> None:
    assert one(**message(user_id=robot)).data["bot"] is True
    assert "bot" not in one(**message()).data


def test_numbers_may_be_written_as_text() -> None:
    assert one(**message(user_id=str(A), group_id=str(GROUP), real_seq=2108901)) == one(**message())


# --- signs of life, and the rest


@pytest.mark.parametrize(
    ("status", "online"),
    [
        ({"online": True, "good": True}, True),
        ({"online": False, "good": True}, False),
        ({"online": True, "good": False}, False),
        ({"good": True}, True),
        ({"online": None, "good": True}, True),
        (None, True),
    ],
)
def test_a_heartbeat_says_whether_the_account_is_online(status: Any, online: bool) -> None:
    translation = told(**meta("heartbeat", status=status, interval=15000))
    assert translation == Translation(beat=Beat(online, timedelta(seconds=15)))


@pytest.mark.parametrize("interval", [None, 0, -1, "soon", 10**30, 1.5])
def test_an_interval_that_is_none_is_not_waited_for(interval: Any) -> None:
    assert told(**meta("heartbeat", interval=interval)).beat == Beat(online=True)


def test_a_connection_says_when_it_stands_and_when_it_ends() -> None:
    for sub, online in (("connect", True), ("enable", True), ("disable", False)):
        assert told(**meta("lifecycle", sub_type=sub)).beat == Beat(online)
    assert told(**notice("bot_offline", group_id=None, message="elsewhere")).beat == Beat(online=False)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (notice("notify", sub_type="input_status"), "typing"),
        (notice("client_status", online=True), "housekeeping"),
        (notice("flash_file", sub_type="downloading"), "housekeeping"),
        (meta("something_new"), "housekeeping"),
    ],
)
def test_what_says_nothing_about_people_is_ignored_for_a_reason(body: dict[str, Any], why: str) -> None:
    assert told(**body) == Translation(ignored=why)


def test_an_answer_on_the_same_socket_is_no_event() -> None:
    body = json.dumps({"status": "ok", "retcode": 0, "data": {"message_id": 1}, "echo": "1"}).encode()
    assert onebot_v11.translate(Delivery({}, {}, body, AT), NoSettings()).ignored == "answer_to_a_call"


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (notice("notify", sub_type="title", title="the great"), "onebot-v11.notify_title"),
        (notice("notify", sub_type="group_name", name_new="new"), "onebot-v11.notify_group_name"),
        (notice("notify", sub_type="poke_recall", target_id=B), "onebot-v11.notify_poke_recall"),
        (notice("group_dismiss"), "onebot-v11.group_dismiss"),
        (notice("Something New!"), "onebot-v11.something_new"),
        (notice("group_decrease"), "onebot-v11.group_decrease"),
        (request("channel"), "onebot-v11.request_channel"),
        (message(message_type="guild", sub_type="channel"), "onebot-v11.message_guild"),
    ],
)
def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says(body: dict[str, Any], type: str) -> None:
    seen = one(**body)
    assert (seen.type, seen.actor, seen.data, seen.text, seen.shared) == (type, f"qq:{A}", {}, None, False)
    assert one(**body) == seen


def test_what_is_no_event_is_malformed() -> None:
    for body in (b"[]", b"{}", b'{"post_type":7.5}', b""):
        with pytest.raises(Malformed):
            onebot_v11.translate(Delivery({}, {}, body, AT), NoSettings())
    assert one(post_type="something_else").type == "onebot-v11.something_else"


@pytest.mark.parametrize("time", [None, "now", 1.5, -1, TIME * 1000, 10**40])
def test_a_time_that_is_none_is_that_of_arrival(time: Any) -> None:
    for body in (message(), notice("group_increase", sub_type="approve")):
        seen = one(**{**body, "time": time})
        assert seen.at is None or seen.at.year < 1971
        assert seen == one(**{**body, "time": time})


def test_the_longest_message_with_the_most_mentions_goes_in_whole() -> None:
    at = [{"type": "at", "data": {"qq": str(10**18 + n)}} for n in range(2000)]
    seen = one(**message(message=[*at, {"type": "text", "data": {"text": "\x01" * 100_000}}]))
    event = event_of(seen, "onebot-v11", UUID(int=8))
    assert isinstance(check(event, Arrival(UUID(int=7), AT, None, "test", 65536)), Accepted)
    assert msgspec.json.decode(event)["data"]["length"] == 100_000


@pytest.mark.parametrize(
    ("address", "connects_to"),
    [
        ("https://example.org/v1/hooks/1", "wss://example.org/v1/hooks/1/onebot"),
        ("http://127.0.0.1:8000/v1/hooks/1", "ws://127.0.0.1:8000/v1/hooks/1/onebot"),
    ],
)
def test_the_snippet_is_a_websocket_client_with_the_secret(address: str, connects_to: str) -> None:
    made = onebot_v11.setup(address, OneSecret('a"secret'), NoSettings())
    [client] = json.loads(made.snippet)["network"]["websocketClients"]
    assert (client["url"], client["token"], client["enable"]) == (connects_to, 'a"secret', True)
    assert any(address in step for step in made.steps)
