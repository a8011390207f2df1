"""Telegram's updates, one by one: what each becomes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.events.receivers import telegram
from services.events.receivers.form import Delivery, Malformed, OneSecret, Passed, Refused, Seen, Translation
from tests.events.receivers.sending import AT

GROUP = {"id": -100, "type": "supergroup"}
ALL = telegram.Settings()


def told(kind: str, body: dict[str, Any], settings: telegram.Settings = ALL, update: int = 1) -> Translation:
    """Without the update's number, which is another for every bot that sees it."""
    delivery = Delivery({}, {}, json.dumps({"update_id": update, kind: body}).encode(), AT)
    found = telegram.translate(delivery, settings)
    assert found.passed == Passed("updates", update)
    assert {seen.sequence for seen in found.seen} <= {("updates", update)}
    return replace(found, passed=None, seen=tuple(replace(seen, sequence=None) for seen in found.seen))


def one(kind: str, body: dict[str, Any], **more: Any) -> Seen:
    [seen] = told(kind, body, **more).seen
    return seen


def message(**more: Any) -> dict[str, Any]:
    return {"message_id": 101, "date": 1795607940, "chat": GROUP, "from": {"id": 7, "is_bot": False}, **more}


def change(old: dict[str, Any], new: dict[str, Any], by: int = 7, **more: Any) -> dict[str, Any]:
    person = {"id": 7, "is_bot": False}
    return {
        "chat": GROUP,
        "from": {"id": by},
        "date": 1795607950,
        "old_chat_member": {"user": person, **old},
        "new_chat_member": {"user": person, **new},
        **more,
    }


OUT, IN, ADMIN, BANNED = ({"status": word} for word in ("left", "member", "administrator", "kicked"))


def reaction(old: list[dict[str, Any]], new: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    who = {"user": {"id": 7}, "chat": GROUP, "message_id": 101, "date": 1795607960}
    return {**who, "old_reaction": old, "new_reaction": new, **more}


LIKE, HEART, OWN = (
    {"type": "emoji", "emoji": "👍"},
    {"type": "emoji", "emoji": "❤\u200d🔥"},
    {"type": "custom_emoji", "custom_emoji_id": "5001"},
)


@pytest.mark.parametrize(
    ("headers", "code"), [({}, "token_missing"), ({"x-telegram-bot-api-secret-token": "é"}, "token_wrong")]
)
def test_without_the_secret_in_its_header_it_is_refused(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        telegram.verify(Delivery(headers, {}, b"{}", AT), [OneSecret("right")], ALL)
    assert caught.value.code == code


def test_the_secret_is_made_of_what_telegram_takes() -> None:
    assert telegram.make_secrets({}) != telegram.make_secrets({})
    assert telegram.make_secrets({"secret": "a_B-9"}) == OneSecret("a_B-9")
    for wrong in ("with space", "é", "x" * 257):
        with pytest.raises(Malformed) as caught:
            telegram.make_secrets({"secret": wrong})
        assert caught.value.pointer == "/secret"


def test_a_message_is_named_by_its_chat_and_number_and_counts_once_for_all_bots_of_a_supergroup() -> None:
    seen = one("message", message(text="hello"))
    assert (seen.type, seen.actor, seen.group) == ("message.created", "telegram:7", "telegram:-100")
    assert (seen.id, seen.subject, seen.shared) == ("message:-100:101", "-100:101", True)
    assert (seen.text, seen.data) == ("hello", {"kind": "text"})
    assert seen.at is not None
    assert seen.at.timestamp() == 1795607940
    assert one("message", message(text="hello"), update=2) == seen, "another bot gives it another update number"


def test_in_a_basic_group_each_bot_counts_for_itself() -> None:
    assert not one("message", message(text="hello", chat={"id": -5, "type": "group"})).shared


def test_a_private_message_is_of_no_group() -> None:
    seen = one("message", message(text="/bind ABC", chat={"id": 7, "type": "private"}))
    assert (seen.group, seen.data["private"], seen.shared) == (None, True, False)


def test_a_reply_in_a_topic_names_what_it_replies_to_and_who_is_mentioned() -> None:
    parent = {"message_id": 90, "chat": GROUP, "from": {"id": 8}}
    entities = [{"type": "text_mention", "user": {"id": 9}}, {"type": "mention"}, {"type": "text_mention", "user": {}}]
    in_topic = {"is_topic_message": True, "message_thread_id": 4, "caption_entities": entities}
    seen = one("message", message(photo=[], caption="look", reply_to_message=parent, **in_topic))
    assert seen.data == {
        "kind": "image", "has_media": True, "mentions": ["telegram:9"], "reply_to": "-100:90", "topic": "4",
    }  # fmt: skip
    assert seen.text == "look"


def test_what_is_only_in_a_topic_replies_to_nothing() -> None:
    made = {"message_id": 4, "chat": GROUP, "forum_topic_created": {"name": "t"}}
    assert one("message", message(text="x", reply_to_message=made)).data == {"kind": "text"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"animation": {}, "document": {}}, "image"),
        ({"voice": {}}, "voice"),
        ({"venue": {}, "location": {}}, "location"),
        ({"document": {}}, "file"),
        ({"poll": {}}, "poll"),
    ],
)
def test_what_a_message_holds_is_its_kind(content: dict[str, Any], kind: str) -> None:
    assert one("message", message(**content)).data["kind"] == kind


def test_who_writes_as_a_chat_is_nobody() -> None:
    anonymous = {"id": 1087968824, "is_bot": True, "username": "GroupAnonymousBot"}
    seen = one("message", {**message(text="x"), "from": anonymous, "sender_chat": GROUP})
    assert (seen.actor, seen.data) == (None, {"kind": "text"})
    post = one("channel_post", {"message_id": 5, "date": 1, "chat": {"id": -200, "type": "channel"}, "text": "x"})
    assert (post.type, post.actor, post.id) == ("message.created", None, "message:-200:5")


def test_a_bots_message_is_marked() -> None:
    assert one("message", {**message(text="x"), "from": {"id": 8, "is_bot": True}}).data["bot"] is True


def test_each_edit_is_a_thing_of_its_own_and_a_change_nobody_made_is_the_last_edit_again() -> None:
    first, again, later = (
        one("edited_message", message(text="x", edit_date=date), update=number)
        for number, date in enumerate((1795608000, 1795608000, 1795608060), 1)
    )
    assert (first.type, first.subject, first.id) == ("message.edited", "-100:101", "edited:-100:101:1795608000")
    assert first.at is not None
    assert first.at.timestamp() == 1795608000
    assert first == again != later
    moving = message(location={"latitude": 1, "live_period": 60}, edit_date=1795608000)
    assert told("edited_message", moving).ignored == "live_location"


def test_joining_by_a_link_says_which() -> None:
    link = {"name": "wx-2026", "creator": {"id": 1}, "creates_join_request": True}
    seen = one("chat_member", change(OUT, IN, by=5, invite_link=link, via_join_request=True))
    assert (seen.type, seen.actor, seen.notice, seen.shared) == ("member.joined", "telegram:7", True, True)
    assert seen.data == {"via": "wx-2026", "via_join_request": True}, "who approves has invited nobody"
    folder = one("chat_member", change(OUT, IN, via_chat_folder_invite_link=True))
    assert folder.data == {"via": "chat_folder"}


def test_who_adds_somebody_has_invited_them() -> None:
    assert one("chat_member", change(OUT, IN, by=5)).data == {"invited_by": "telegram:5"}


@pytest.mark.parametrize(
    ("old", "new", "by", "type", "data"),
    [
        (IN, OUT, 7, "member.left", {}),
        (IN, OUT, 5, "member.kicked", {"member": "telegram:7"}),
        (IN, BANNED, 5, "member.banned", {"member": "telegram:7"}),
        (OUT, {**BANNED, "until_date": 1795607950 + 3600}, 5, "member.banned",
         {"member": "telegram:7", "duration": 3600}),
        (OUT, {**BANNED, "until_date": 0}, 5, "member.banned", {"member": "telegram:7"}),
        (OUT, {**BANNED, "until_date": 10**30}, 5, "member.banned", {"member": "telegram:7"}),
        (BANNED, OUT, 5, "member.unbanned", {"member": "telegram:7"}),
        (BANNED, IN, 7, "member.joined", {}),
        (IN, ADMIN, 5, "member.role_changed", {"member": "telegram:7", "role": "administrator"}),
        (OUT, {"status": "restricted", "is_member": True}, 7, "member.joined", {}),
        (IN, {"status": "restricted", "is_member": True}, 5, "member.role_changed",
         {"member": "telegram:7", "role": "restricted"}),
        ({"status": "restricted", "is_member": True}, {"status": "restricted", "is_member": False}, 7,
         "member.left", {}),
    ],
)  # fmt: skip
def test_a_change_of_status_is_what_it_means(
    old: dict[str, Any], new: dict[str, Any], by: int, type: str, data: dict[str, Any]
) -> None:
    seen = one("chat_member", change(old, new, by=by))
    assert (seen.type, seen.data, seen.actor) == (type, data, f"telegram:{by}")


def test_other_rights_with_the_same_status_are_ignored() -> None:
    assert told("chat_member", change(ADMIN, {**ADMIN, "can_pin_messages": True})).ignored == "rights_changed"
    outside = {"status": "restricted", "is_member": False}
    assert told("chat_member", change(OUT, outside)).ignored == "rights_changed"


def test_a_channels_readers_are_of_a_channel_only() -> None:
    channel = {"id": -200, "type": "channel"}
    assert one("chat_member", {**change(OUT, IN), "chat": channel}).data == {"scope": "channel"}


def test_a_service_message_and_chat_member_tell_one_happening() -> None:
    said = {**message(), "date": 1795607950}
    joined = one("message", {**said, "new_chat_members": [{"id": 7}]})
    assert joined.type == "member.joined"
    assert joined.id == one("chat_member", change(OUT, IN)).id
    left = one("message", {**said, "left_chat_member": {"id": 7}})
    assert left.type == "member.left"
    assert left.id == one("chat_member", change(IN, OUT)).id
    removed = one("message", {**said, "from": {"id": 5}, "left_chat_member": {"id": 7}})
    assert (removed.type, removed.data) == ("member.kicked", {"member": "telegram:7"})
    assert removed.id == one("chat_member", change(IN, BANNED, by=5)).id


def test_several_added_at_once_are_several_and_a_bot_among_them_is_one() -> None:
    said = message(new_chat_members=[{"id": 8}, {"id": 9, "is_bot": True}])
    assert [(s.actor, s.data) for s in told("message", said).seen] == [
        ("telegram:8", {"invited_by": "telegram:7"}),
        ("telegram:9", {"invited_by": "telegram:7", "bot": True}),
    ]


def test_service_messages_about_members_may_be_left_out() -> None:
    alone = telegram.Settings(service_messages=False)
    said = message(new_chat_members=[{"id": 8}])
    assert told("message", said, settings=alone).ignored == "told_as_chat_member"


def test_a_request_to_join_keeps_what_somebody_says_of_themselves_as_text_only() -> None:
    body = {"chat": GROUP, "from": {"id": 7}, "date": 1795607970, "bio": "about me", "invite_link": {"name": "spring"}}
    seen = one("chat_join_request", body)
    assert (seen.type, seen.actor, seen.text) == ("member.join_requested", "telegram:7", "about me")
    assert (seen.data, seen.notice) == ({"via": "spring"}, True)


def test_a_reaction_is_what_was_added_and_what_was_taken_away() -> None:
    seen = told("message_reaction", reaction([LIKE], [HEART, OWN])).seen
    assert [(s.type, s.data) for s in seen] == [
        ("reaction.added", {"kind": "❤\u200d🔥"}),
        ("reaction.added", {"kind": "5001"}),
        ("reaction.removed", {"kind": "👍"}),
    ]
    assert {(s.actor, s.subject, s.about, s.shared) for s in seen} == {("telegram:7", "-100:101", "-100:101", True)}
    assert len({s.id for s in seen}) == 3


def test_taking_a_reaction_back_and_giving_it_again_are_two_reactions() -> None:
    first, again = (one("message_reaction", reaction([], [LIKE], date=date)) for date in (1795607960, 1795607990))
    assert first.id != again.id


def test_reactions_of_nobody_named_and_mere_counts_are_ignored() -> None:
    anonymous = {**reaction([], [LIKE]), "user": None, "actor_chat": GROUP}
    assert told("message_reaction", anonymous).ignored == "nobody_named"
    assert told("message_reaction", reaction([LIKE], [LIKE])).ignored == "no_change"
    assert told("message_reaction_count", {"chat": GROUP}).ignored == "nobody_named"


def test_a_vote_names_the_options_and_each_time_is_one_of_its_own() -> None:
    body = {"poll_id": "6001", "user": {"id": 7}, "option_ids": [0, 2]}
    first, again, later = (one("poll_answer", body, update=number) for number in (1, 1, 2))
    assert (first.type, first.actor, first.subject) == ("poll.voted", "telegram:7", "poll:6001")
    assert first.data == {"options": ["0", "2"]}
    assert first == again
    assert first.id != later.id
    assert one("poll_answer", {**body, "option_persistent_ids": ["a"]}).data == {"options": ["a"]}
    assert one("poll_answer", {**body, "option_ids": []}).type == "telegram.vote_retracted"
    assert told("poll_answer", {"poll_id": "1", "voter_chat": GROUP, "option_ids": [0]}).ignored == "nobody_named"


def test_a_pressed_button_is_kept_without_what_it_says() -> None:
    seen = one("callback_query", {"id": "c1", "from": {"id": 7}, "message": message(), "data": "secret words"})
    assert (seen.type, seen.id, seen.actor, seen.data) == ("telegram.callback_query", "callback:c1", "telegram:7", {})
    assert (seen.group, seen.subject) == ("telegram:-100", "-100:101")


def test_a_group_that_becomes_a_supergroup_tells_its_new_name_once() -> None:
    seen = one("message", message(chat={"id": -5, "type": "group"}, migrate_to_chat_id=-1005))
    assert (seen.type, seen.group) == ("telegram.migrate_to_chat_id", "telegram:-5")
    assert seen.data == {"new_group": "telegram:-1005"}
    assert told("message", message(migrate_from_chat_id=-5)).ignored == "told_as_migrate_to_chat_id"


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("message", message(pinned_message={"message_id": 1}), "housekeeping"),
        ("message", message(new_chat_title="x"), "housekeeping"),
        ("message", message(forum_topic_closed={}), "housekeeping"),
        ("message", message(video_chat_ended={"duration": 3}), "housekeeping"),
        ("my_chat_member", change(OUT, IN), "about_the_bot"),
        ("inline_query", {"id": "1", "query": "x"}, "still_typing"),
        ("poll", {"id": "1"}, "counts_only"),
    ],
)
def test_what_says_nothing_about_people_is_ignored(kind: str, body: dict[str, Any], reason: str) -> None:
    assert told(kind, body) == Translation(ignored=reason)


def test_a_kind_it_does_not_know_is_kept_under_its_name_with_who_did_it() -> None:
    boost = one("chat_boost", {"chat": GROUP, "boost": {"source": {"user": {"id": 7}}}})
    assert (boost.type, boost.actor, boost.group, boost.data) == (
        "telegram.chat_boost",
        "telegram:7",
        "telegram:-100",
        {},
    )
    paid = one("message", message(successful_payment={"total_amount": 5}))
    assert (paid.type, paid.actor, paid.data) == ("telegram.successful_payment", "telegram:7", {})
    assert one("message", message(successful_payment={"total_amount": 5}), update=2) == paid
    assert one("managed_bot", {"user": {"id": 7}}, update=1).id != one("managed_bot", {"user": {"id": 7}}, update=2).id


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"update_id": 1}', b'{"message": []}', b"\xff"])
def test_what_is_no_update_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        telegram.translate(Delivery({}, {}, body, AT), ALL)


def test_two_messages_without_numbers_are_two() -> None:
    assert one("message", {"text": "a"}).id != one("message", {"text": "b"}).id
