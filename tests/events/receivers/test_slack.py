"""Slack's events, one by one: what each becomes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from slack_sdk import signature

from services.events.receivers import slack
from services.events.receivers.form import (
    Answer,
    Delivery,
    Malformed,
    NoSettings,
    OneSecret,
    Refused,
    Seen,
    Translation,
)
from tests.events.receivers.senders.slack import SENDER, deliver, enveloped, samples
from tests.events.receivers.sending import AT, Sample

RECORDED = {sample.name: sample for sample in samples()}
recorded = pytest.mark.skipif("rtm.message.plain.0" not in RECORDED, reason="the shared data is not at hand")


def told(event: dict[str, Any], **outer: Any) -> Translation:
    body = json.dumps({**enveloped(event), **outer}).encode()
    return slack.translate(Delivery({}, {}, body, AT), NoSettings())


def one(event: dict[str, Any], **outer: Any) -> Seen:
    [seen] = told(event, **outer).seen
    return seen


def message(**more: Any) -> dict[str, Any]:
    plain = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "ts": "1795607940.000100"}
    return {**plain, "text": "hello", **more}


def changed(now: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    written = {"type": "message", "user": "U1", "ts": "1795607940.000100", "text": "hello"}
    event = {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1795608000.000200"}
    return {**event, "message": {**written, **now}, "previous_message": {**written, **(before or {})}}


def reaction(**more: Any) -> dict[str, Any]:
    item = {"type": "message", "channel": "C1", "ts": "1795607940.000100"}
    event = {"type": "reaction_added", "user": "U2", "reaction": "thumbsup", "item_user": "U1", "item": item}
    return {**event, "event_ts": "1795608000.000300", **more}


VECTOR = Delivery(
    {
        "x-slack-signature": "v0=5025a102182f11161096c0dc2fc26d579158446c928c56fabda14fecd7be4a08",
        "x-slack-request-timestamp": "1531420618",
    },
    {},
    b'{"type":"event_callback"}',
    datetime.fromtimestamp(1531420618, UTC),
)
VECTOR_SECRET = OneSecret("8f742231b10e8888abcd99yyyzzz85a5")


def test_a_known_signature_is_taken_within_five_minutes_and_not_after() -> None:
    for moved in (timedelta(), timedelta(minutes=5), timedelta(minutes=-5)):
        slack.verify(replace(VECTOR, at=VECTOR.at + moved), [VECTOR_SECRET], NoSettings())
    with pytest.raises(Refused) as caught:
        slack.verify(replace(VECTOR, at=VECTOR.at + timedelta(seconds=301)), [VECTOR_SECRET], NoSettings())
    assert caught.value.code == "timestamp_old"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-slack-signature": ""}, "signature_missing"),
        ({"x-slack-signature": "v1=00"}, "signature_missing"),
        ({"x-slack-signature": "v0=é"}, "signature_wrong"),
        ({"x-slack-request-timestamp": "1531420619"}, "signature_wrong"),
        ({"x-slack-request-timestamp": "now"}, "timestamp_missing"),
    ],
)
def test_what_is_wrong_with_a_signature_is_said(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        slack.verify(replace(VECTOR, headers={**VECTOR.headers, **headers}), [VECTOR_SECRET], NoSettings())
    assert caught.value.code == code


def test_slacks_own_library_agrees_with_what_we_let_in() -> None:
    delivery = deliver(Sample("x", b'{"a": 1}'), OneSecret("one"), AT)

    class Clock(signature.Clock):
        def now(self) -> float:
            return AT.timestamp()

    for secret, fits in (("one", True), ("other", False)):
        verifier = signature.SignatureVerifier(secret, Clock())
        assert verifier.is_valid_request(delivery.body, dict(delivery.headers)) is fits


def test_only_slack_can_tell_the_signing_secret() -> None:
    with pytest.raises(Malformed) as caught:
        slack.make_secrets({})
    assert caught.value.pointer == "/secret"
    assert slack.make_secrets({"secret": "abc"}) == OneSecret("abc")


def test_the_challenge_is_given_back() -> None:
    body = json.dumps({"token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}).encode()
    delivery = Delivery({}, {}, body, AT)
    assert slack.greet(delivery, OneSecret("x"), NoSettings()) == Answer(200, b"3eZbrw1aBm2rZgRNFdxV", "text/plain")
    assert slack.translate(delivery, NoSettings()).ignored == "greeting"
    for other in (b'{"type": "event_callback"}', b"no json"):
        assert slack.greet(replace(delivery, body=other), OneSecret("x"), NoSettings()) is None


def test_a_message_is_named_by_its_channel_and_time() -> None:
    seen = one(message())
    assert (seen.type, seen.actor, seen.group, seen.text) == ("message.created", "slack:U1", "slack:C1", "hello")
    assert (seen.id, seen.subject) == ("message:C1:1795607940.000100", "C1:1795607940.000100")
    assert (seen.shared, seen.data) == (True, {"kind": "text"})
    assert seen.at == datetime(2026, 11, 25, 11, 59, 0, 100, UTC)


def test_what_slack_sends_again_is_let_in_and_is_the_same() -> None:
    sample = Sample("again", json.dumps(enveloped(message())).encode(), {"x-slack-retry-num": "1"})
    delivery = deliver(sample, SENDER.secrets[0], AT)
    assert slack.verify(delivery, SENDER.secrets, NoSettings()) == delivery
    assert slack.translate(delivery, NoSettings()) == told(message())
    assert one(message(), event_id="Ev2") == one(message()), "another app of the workspace has another event id"


def test_a_reply_in_a_thread_names_its_first_message_which_replies_to_nothing() -> None:
    assert one(message(thread_ts="1795600000.000001")).data["reply_to"] == "C1:1795600000.000001"
    assert "reply_to" not in one(message(thread_ts="1795607940.000100")).data


def test_mentions_are_taken_from_the_text() -> None:
    seen = one(message(text="<@U2> <@W3|name> <@U2> <!subteam^S1> <!here> <@notone>"))
    assert seen.data == {"kind": "text", "mentions": ["slack:U2", "slack:W3"], "mentions_all": True}


@pytest.mark.parametrize(
    ("file", "kind"),
    [({"mimetype": "image/png"}, "image"), ({"mimetype": "text/x-c"}, "file"), ({"subtype": "slack_audio"}, "voice")],
)
def test_what_a_message_holds_is_its_kind(file: dict[str, Any], kind: str) -> None:
    seen = one(message(subtype="file_share", files=[file, {}]))
    assert seen.data == {"kind": kind, "has_media": True}


def test_a_bots_message_is_marked_whether_it_is_a_user_or_not() -> None:
    assert one(message(bot_id="B1")).data["bot"] is True
    old = one({"type": "message", "subtype": "bot_message", "bot_id": "B1", "channel": "C1", "ts": "1.2", "text": "x"})
    assert (old.actor, old.data["bot"]) == (None, True)


def test_a_conversation_with_the_bot_alone_is_of_no_group() -> None:
    seen = one(message(channel="D1", channel_type="im"))
    assert (seen.group, seen.data["private"], seen.subject) == (None, True, "D1:1795607940.000100")


def test_an_edit_is_one_each_time_somebody_edits_and_previews_are_none() -> None:
    first = {"edited": {"user": "U1", "ts": "1795608000.000000"}}
    seen = one(changed({**first, "text": "better"}))
    assert (seen.type, seen.actor, seen.author, seen.text) == ("message.edited", "slack:U1", None, "better")
    assert (seen.id, seen.subject) == ("edited:C1:1795607940.000100:1795608000.000000", "C1:1795607940.000100")
    assert one(changed({"edited": {"user": "U1", "ts": "1795608060.000000"}}, first)).id != seen.id
    assert told(changed({"attachments": [{}]})).ignored == "not_edited"
    assert told(changed({**first, "attachments": [{}]}, first)).ignored == "not_edited"


def test_what_somebody_else_edited_has_the_writer_as_author() -> None:
    seen = one(changed({"edited": {"user": "U9", "ts": "1795608000.000000"}}))
    assert (seen.actor, seen.author) == ("slack:U9", "slack:U1")


def test_a_deleted_message_has_its_writer_and_nobody_who_did_it() -> None:
    event = {"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": "1795607940.000100"}
    seen = one({**event, "ts": "1795608000.000200", "previous_message": {"user": "U1", "text": "hello"}})
    assert (seen.type, seen.actor, seen.author) == ("message.deleted", None, "slack:U1")
    assert (seen.subject, seen.about, seen.text) == ("C1:1795607940.000100", None, None)
    bare = one({**event, "ts": "1795608000.000200"})
    assert (bare.about, bare.id) == ("C1:1795607940.000100", seen.id)
    emptied = one(changed({"subtype": "tombstone", "user": "USLACKBOT", "edited": {"ts": "1795608000.000000"}}))
    assert (emptied.type, emptied.author, emptied.id) == ("message.deleted", "slack:U1", seen.id)


def test_a_reaction_has_the_writer_as_author() -> None:
    seen = one(reaction())
    assert (seen.type, seen.actor, seen.author) == ("reaction.added", "slack:U2", "slack:U1")
    assert (seen.subject, seen.group, seen.data) == ("C1:1795607940.000100", "slack:C1", {"kind": "thumbsup"})
    assert one(reaction(type="reaction_removed")).type == "reaction.removed"
    assert one(reaction(event_ts="1795608001.000000")).id != seen.id, "taken back and given again"
    assert one(reaction(item_user="U2")).author is None
    nameless = one(reaction(item_user=None))
    assert (nameless.author, nameless.about) == (None, "C1:1795607940.000100")


def test_coming_to_a_channel_is_of_the_channel_and_coming_to_the_workspace_is_not() -> None:
    event = {"type": "member_joined_channel", "user": "U2", "channel": "C1", "team": "T1", "inviter": "U1"}
    seen = one({**event, "event_ts": "1795608000.000300"})
    assert (seen.type, seen.actor, seen.group, seen.notice) == ("member.joined", "slack:U2", "slack:C1", True)
    assert seen.data == {"scope": "channel", "invited_by": "slack:U1"}
    left = one({"type": "member_left_channel", "user": "U2", "channel": "C1", "event_ts": "1795608000.000300"})
    assert (left.type, left.data) == ("member.left", {"scope": "channel"})
    team = one({"type": "team_join", "user": {"id": "U3", "is_bot": True}})
    assert (team.type, team.actor, team.group, team.data) == (
        "member.joined",
        "slack:U3",
        "slack:T0MADE",
        {"bot": True},
    )


def test_an_account_that_is_closed_has_left_and_other_changes_of_it_say_nothing() -> None:
    person = {"id": "U3", "updated": 1795608000}
    seen = one({"type": "user_change", "user": {**person, "deleted": True}})
    assert (seen.type, seen.actor, seen.data) == ("member.left", "slack:U3", {})
    assert told({"type": "user_change", "user": {**person, "deleted": False}}).ignored == "profile"


def test_a_shared_file_is_uploaded() -> None:
    seen = one({"type": "file_shared", "file_id": "F1", "user_id": "U1", "channel_id": "C1", "event_ts": "1.2"})
    assert (seen.type, seen.actor, seen.group, seen.subject) == ("file.uploaded", "slack:U1", "slack:C1", "file:F1")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (message(subtype="channel_join"), "told_as_member_joined_channel"),
        (message(subtype="group_leave"), "told_as_member_left_channel"),
        (message(subtype="message_replied"), "told_as_message"),
        (message(subtype="channel_topic", topic="x"), "housekeeping"),
        (message(subtype="pinned_item"), "housekeeping"),
        ({"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.2"}, "told_as_message"),
        ({"type": "channel_rename", "channel": {"id": "C1", "name": "x"}}, "housekeeping"),
        ({"type": "pin_added", "user": "U1"}, "housekeeping"),
    ],
)
def test_what_is_told_elsewhere_or_says_nothing_about_people_is_ignored(event: dict[str, Any], reason: str) -> None:
    assert told(event) == Translation(ignored=reason)


def test_being_limited_is_kept() -> None:
    body = {"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820, "api_app_id": "A1"}
    [seen] = slack.translate(Delivery({}, {}, json.dumps(body).encode(), AT), NoSettings()).seen
    assert (seen.type, seen.id, seen.group) == ("slack.app_rate_limited", "app_rate_limited:T1:1518467820", "slack:T1")
    assert seen.at == datetime(2018, 2, 12, 20, 37, tzinfo=UTC)


@pytest.mark.parametrize("kind", sorted(slack._KINDS))
def test_what_is_called_like_an_event_and_is_in_no_envelope_is_none(kind: str) -> None:
    body = json.dumps({"type": kind, "event": 1}).encode()
    translation = slack.translate(Delivery({}, {}, body, AT), NoSettings())
    assert {seen.type for seen in translation.seen} <= {f"slack.{kind}"}
    assert translation.seen or translation.ignored == "housekeeping"


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    seen = one(
        {"type": "link_shared", "user": "U1", "channel": "C1", "links": [{"url": "x"}], "event_ts": "1795608000.5"}
    )
    assert (seen.type, seen.id, seen.actor, seen.group, seen.data) == (
        "slack.link_shared", "event:Ev0MADE0", "slack:U1", "slack:C1", {},
    )  # fmt: skip
    assert one(message(subtype="bot_add")).type == "slack.message_bot_add"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": "event_callback"}', b"payload=%7B%7D"])
def test_what_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        slack.translate(Delivery({}, {}, body, AT), NoSettings())


def test_the_manifest_asks_for_every_event_it_understands_and_tells_no_secret() -> None:
    snippet = slack.setup("https://example.org/v1/hooks/1", OneSecret("the-secret"), NoSettings()).snippet
    assert "the-secret" not in snippet
    manifest = json.loads(snippet)
    asked = manifest["settings"]["event_subscriptions"]
    assert asked["request_url"] == "https://example.org/v1/hooks/1"
    assert {name.partition(".")[0] for name in asked["bot_events"]} == set(slack._KINDS)


@recorded
def test_recorded_events_become_what_they_are() -> None:
    def kind(name: str) -> str:
        translation = slack.translate(Delivery({}, {}, RECORDED[name].body, AT), NoSettings())
        return translation.seen[0].type if translation.seen else translation.ignored

    assert [kind(f"rtm.message.message_changed.{n}") for n in range(3)] == ["message.edited"] * 2 + ["not_edited"]
    assert kind("rtm.message.message_deleted.0") == "message.deleted"
    assert kind("rtm.message.message_replied.0") == "told_as_message"
    assert kind("rtm.message.file_comment.0") == "message.created"
    [comment] = slack.translate(Delivery({}, {}, RECORDED["rtm.message.file_comment.0"].body, AT), NoSettings()).seen
    assert comment.actor == "slack:U00000025"
