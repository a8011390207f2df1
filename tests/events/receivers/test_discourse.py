"""Discourse's webhooks, one by one: what each becomes."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.events.receivers import discourse
from services.events.receivers.form import Delivery, Malformed, OneSecret, Refused, Seen, Translation
from tests.events.receivers.sending import AT

PLAIN = discourse.Settings()


def told(event: str, body: dict[str, Any], settings: discourse.Settings = PLAIN) -> Translation:
    headers = {"x-discourse-event": event, "x-discourse-event-type": next(iter(body)), "x-discourse-event-id": "1"}
    return discourse.translate(Delivery(headers, {}, json.dumps(body).encode(), AT), settings)


def one(event: str, body: dict[str, Any], **more: Any) -> Seen:
    [seen] = told(event, body, **more).seen
    return seen


def post(**more: Any) -> dict[str, Any]:
    plain = {
        "id": 58,
        "user_id": 7,
        "post_number": 3,
        "post_type": 1,
        "topic_id": 29,
        "category_id": 6,
        "created_at": "2026-11-25T11:00:00.440Z",
        "updated_at": "2026-11-25T11:30:00.440Z",
        "raw": "hello",
        "topic_archetype": "regular",
    }
    return {"post": {**plain, **more}}


def test_a_known_signature_is_taken_and_what_is_wrong_with_others_is_said() -> None:
    # RFC 4231, test case 2.
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    body, secrets = b"what do ya want for nothing?", [OneSecret("other"), OneSecret("Jefe")]

    def delivery(signature: str) -> Delivery:
        return Delivery({"x-discourse-event-signature": signature}, {}, body, AT)

    discourse.verify(delivery(f"sha256={digest}"), secrets, PLAIN)
    for wrong, code in (("", "signature_missing"), (digest, "signature_missing"), ("sha256=é", "signature_wrong")):
        with pytest.raises(Refused) as caught:
            discourse.verify(delivery(wrong), secrets, PLAIN)
        assert caught.value.code == code


def test_the_secret_is_as_long_as_discourse_wants_it() -> None:
    assert len(discourse.make_secrets({}).secret) > 30
    with pytest.raises(Malformed) as caught:
        discourse.make_secrets({"secret": "short"})
    assert caught.value.pointer == "/secret"


def test_a_reply_is_named_by_topic_and_number_as_others_name_it_when_they_reply() -> None:
    seen = one("post_created", post(reply_to_post_number=2))
    assert (seen.type, seen.actor, seen.author) == ("message.created", "discourse:7", None)
    assert (seen.id, seen.subject, seen.ref) == ("post:58", "29/3", "post:58")
    assert (seen.group, seen.text) == ("discourse:category/6", "hello")
    assert seen.data == {"kind": "text", "topic": "29", "reply_to": "29/2"}
    assert seen.at == datetime(2026, 11, 25, 11, 0, 0, 440000, UTC)
    assert one("post_created", post()).data["reply_to"] == "29/1", "to the topic as a whole"


def test_the_first_post_is_the_topic() -> None:
    seen = one("post_created", post(post_number=1, raw="![x](upload://x.png)"))
    assert (seen.subject, seen.data) == ("29/1", {"kind": "topic", "topic": "29", "has_media": True})


def test_a_private_message_is_of_no_group_and_the_forum_itself_is_a_bot() -> None:
    seen = one("post_created", post(topic_archetype="private_message", category_id=None, user_id=-1))
    assert (seen.group, seen.data["private"], seen.actor, seen.data["bot"]) == (None, True, "discourse:-1", True)


def test_an_edit_has_its_writer_as_author_because_nobody_is_said_to_have_made_it() -> None:
    seen = one("post_edited", post(raw="better"))
    assert (seen.type, seen.actor, seen.author, seen.text) == ("message.edited", None, "discourse:7", "better")
    assert (seen.subject, seen.ref, seen.about) == ("29/3", None, "post:58")
    assert seen.at == datetime(2026, 11, 25, 11, 30, 0, 440000, UTC)
    later = one("post_edited", post(updated_at="2026-11-25T11:31:00.000Z"))
    assert later.id != seen.id == one("post_edited", post(raw="better")).id


def test_who_takes_a_post_back_recalls_it_and_staff_delete_it() -> None:
    own = one("post_destroyed", post(user_deleted=True))
    assert (own.type, own.actor, own.author, own.text) == ("message.recalled", "discourse:7", None, None)
    assert own.at == datetime(2026, 11, 25, 11, 30, 0, 440000, UTC)
    deleted = {"deleted_at": "2026-11-25T11:45:00.000Z", "deleted_by": {"id": 1}}
    by_staff = one("post_destroyed", post(**deleted))
    assert (by_staff.type, by_staff.actor, by_staff.author) == ("message.deleted", "discourse:1", "discourse:7")
    assert (by_staff.at, by_staff.about) == (datetime(2026, 11, 25, 11, 45, tzinfo=UTC), "post:58")
    unknown = one("post_destroyed", post())
    assert (unknown.type, unknown.actor, unknown.author, unknown.at) == ("message.deleted", None, "discourse:7", None)
    assert one("post_destroyed", post(**{**deleted, "deleted_by": {"id": 7}})).type == "message.recalled"


def test_a_post_that_is_there_again_is_kept_as_that() -> None:
    seen = one("post_recovered", post())
    assert (seen.type, seen.author, seen.subject) == ("discourse.post_recovered", "discourse:7", "29/3")


def test_a_like_has_the_writer_as_author_and_counts_once() -> None:
    body = {"like": {**post(), "user": {"id": 8, "username": "x"}}}
    seen = one("post_liked", body)
    assert (seen.type, seen.actor, seen.author) == ("reaction.added", "discourse:8", "discourse:7")
    assert (seen.id, seen.subject, seen.data, seen.at) == ("like:58:8", "29/3", {"kind": "like"}, None)
    assert seen.text is None


def test_an_accepted_answer_is_its_writers() -> None:
    seen = one("accepted_solution", {"solved": post()["post"]})
    assert (seen.type, seen.actor, seen.author, seen.subject) == ("answer.accepted", None, "discourse:7", "29/3")
    assert seen.data == {"question": "29/1"}
    back = one("unaccepted_solution", {"solved": post()["post"]})
    assert (back.type, back.author) == ("discourse.unaccepted_solution", "discourse:7")


def test_an_account_comes_and_goes() -> None:
    user = {"user": {"id": 9, "username": "x", "created_at": "2026-11-25T11:00:00.000Z", "invited_by": {"id": 7}}}
    came, went = one("user_created", user), one("user_destroyed", user)
    assert (came.type, came.actor, came.notice) == ("member.joined", "discourse:9", True)
    assert (came.data, came.at) == ({"invited_by": "discourse:7"}, datetime(2026, 11, 25, 11, tzinfo=UTC))
    assert (went.type, went.actor, went.data, went.at) == ("member.left", "discourse:9", {}, None)
    for event, type in (("user_suspended", "member.banned"), ("user_unsuspended", "member.unbanned")):
        seen = one(event, user)
        assert (seen.type, seen.actor, seen.data) == (type, None, {"member": "discourse:9"})


def test_several_forums_of_one_community_are_told_apart_by_the_sites_name() -> None:
    named = msgspec.convert({"site": "meta.example.org"}, discourse.Settings)
    seen = one("post_created", post(), settings=named)
    assert (seen.actor, seen.group) == ("discourse:meta.example.org/7", "discourse:meta.example.org/category/6")
    assert (seen.id, seen.shared) == ("meta.example.org:post:58", True)
    assert not one("post_created", post()).shared
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"site": "with space"}, discourse.Settings)


@pytest.mark.parametrize(
    ("event", "body", "reason"),
    [
        ("ping", {"ping": "OK"}, "greeting"),
        ("topic_created", {"topic": {"id": 29}}, "told_as_post"),
        ("topic_edited", {"topic": {"id": 29}}, "housekeeping"),
        ("topic_closed_status_updated", {"topic": {"id": 29}}, "housekeeping"),
        ("post_created", post(post_type=3), "housekeeping"),
        ("user_logged_in", {"user": {"id": 9}}, "session"),
        ("user_updated", {"user": {"id": 9}}, "profile"),
        ("notification_created", {"notification": {"user_id": 9}}, "told_otherwise"),
        ("category_updated", {"category": {"id": 6}}, "housekeeping"),
        ("reviewable_created", {"reviewable": {"id": 6}}, "housekeeping"),
    ],
)
def test_what_is_told_otherwise_or_says_nothing_about_people_is_ignored(
    event: str, body: dict[str, Any], reason: str
) -> None:
    assert told(event, body) == Translation(ignored=reason)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("user_badge_granted", {"user_badge": {"id": 1, "user_id": 9}}),
        ("user_promoted", {"user_promoted": {"id": 9, "trust_level": 2}}),
        ("user_approved", {"user": {"id": 9}}),
        ("topic_upvote", {"topic_voting": {"topic_id": 29, "voter_id": 9}}),
        ("chat_message_created", {"chat_message": {"message": {"message": "x", "user": {"id": 9}}, "channel": {}}}),
        ("user_added_to_group", {"group_user": {"id": 1, "user_id": 9, "group_id": 41}}),
    ],
)
def test_a_kind_it_does_not_know_is_kept_under_its_name_with_who_it_was(event: str, body: dict[str, Any]) -> None:
    seen = one(event, body)
    assert (seen.type, seen.actor, seen.data) == (f"discourse.{event}", "discourse:9", {})
    assert one(event, body).id == seen.id


@pytest.mark.parametrize(("body", "event"), [(b"[]", "post_created"), (b"{}", ""), (b"post=1", "post_created")])
def test_what_is_no_event_is_malformed(body: bytes, event: str) -> None:
    with pytest.raises(Malformed):
        discourse.translate(Delivery({"x-discourse-event": event}, {}, body, AT), PLAIN)


def test_two_posts_without_numbers_are_two() -> None:
    assert one("post_created", {"post": {"raw": "a"}}).id != one("post_created", {"post": {"raw": "b"}}).id
