"""Discord's interactions, webhook events and gateway events, one by one: what each becomes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.events.receivers import discord
from services.events.receivers.discord import Secrets
from services.events.receivers.form import Answer, Beat, Delivery, Malformed, NoSettings, Refused, Seen, Translation
from tests.events.receivers.senders.discord import PUBLIC, deliver
from tests.events.receivers.sending import AT, Sample

HEARD = "2026-11-25T11:59:58Z"
SIGNED = Sample("interaction", b'{"type": 1}')
FORWARDED = Sample("message_create", b'{"t": "READY"}')


def understood(body: dict[str, Any], at: datetime = AT) -> Translation:
    return discord.translate(Delivery({}, {}, json.dumps(body).encode(), at), NoSettings())


def told(t: str, d: dict[str, Any], **more: Any) -> Translation:
    return understood({"t": t, "d": d, **more})


def one(t: str, d: dict[str, Any], **more: Any) -> Seen:
    [seen] = told(t, d, **more).seen
    return seen


def message(**more: Any) -> dict[str, Any]:
    place = {"id": "101", "type": 0, "channel_id": "3", "guild_id": "2"}
    return {
        **place,
        "author": {"id": "7", "username": "x"},
        "content": "hello",
        "timestamp": "2026-11-25T11:59:00+00:00",
        **more,
    }


def interaction(kind: int, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    who = {"guild_id": "2", "channel_id": "3", "member": {"user": {"id": "7"}}, "token": "t", "version": 1}
    return {"id": "1443000000000000001", "type": kind, **who, "data": data, **more}


def refused(delivery: Delivery, secrets: Secrets = Secrets("one", PUBLIC[0])) -> str:
    with pytest.raises(Refused) as caught:
        discord.verify(delivery, [secrets], NoSettings())
    return caught.value.code


def test_a_public_key_reads_as_in_the_standards_example() -> None:
    """RFC 8032, section 7.1, test 3."""
    key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    signature = (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    found = discord._key(key)
    assert found is not None
    found.verify(bytes.fromhex(signature), bytes.fromhex("af82"))


def test_what_discord_signs_is_let_in_for_a_quarter_of_an_hour() -> None:
    delivery = deliver(SIGNED, Secrets("one", PUBLIC[0]), AT)
    discord.verify(replace(delivery, at=AT + timedelta(minutes=15)), [Secrets("x", PUBLIC[0])], NoSettings())
    assert refused(replace(delivery, at=AT + timedelta(minutes=16))) == "timestamp_old"


def test_a_wrong_signature_is_refused_even_beside_the_right_secret() -> None:
    delivery = deliver(SIGNED, Secrets("one", PUBLIC[1]), AT)
    assert refused(replace(delivery, headers={**delivery.headers, "authorization": "Bearer one"})) == "signature_wrong"
    for wrong in ("", "zz", "é", "00" * 64):
        headers = {**delivery.headers, "x-signature-ed25519": wrong}
        assert refused(replace(delivery, headers=headers)) == "signature_wrong"
    assert refused(delivery, Secrets("one")) == "public_key_missing"


def test_a_forwarder_shows_the_secret() -> None:
    delivery = deliver(FORWARDED, Secrets("one"), AT)
    assert discord.verify(delivery, [Secrets("one")], NoSettings()) == delivery
    assert refused(delivery, Secrets("other")) == "token_wrong"
    for wrong in ({}, {"authorization": "Basic one"}, {"authorization": "Bearer "}):
        assert refused(replace(delivery, headers=wrong)) == "signature_missing"


def test_the_secret_is_made_here_and_the_public_key_is_discords() -> None:
    made = discord.make_secrets({})
    assert len(made.secret) > 30
    assert made.public_key == ""
    assert discord.make_secrets({"secret": "s", "public_key": PUBLIC[0].upper() + " "}) == Secrets("s", PUBLIC[0])
    for wrong in ("abc", PUBLIC[0][:-2], "g" * 64):
        with pytest.raises(Malformed) as caught:
            discord.make_secrets({"public_key": wrong})
        assert caught.value.pointer == "/public_key"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"type": 1, "id": "1", "version": 1}, Answer(200, b'{"type":1}')),
        ({"type": 0, "application_id": "1", "version": 1}, Answer(204)),
        ({"type": 1, "event": {"type": "ENTITLEMENT_CREATE"}}, None),
        ({"type": 2}, None),
        ({"t": "READY", "type": 1}, None),
        ({}, None),
    ],
)
def test_a_ping_of_either_kind_is_answered(body: dict[str, Any], answer: Answer | None) -> None:
    delivery = Delivery({}, {}, json.dumps(body).encode(), AT)
    assert discord.greet(delivery, Secrets("x"), NoSettings()) == answer
    assert discord.greet(replace(delivery, body=b"no json"), Secrets("x"), NoSettings()) is None


def test_pings_are_ignored() -> None:
    assert understood({"type": 0}) == understood({"type": 1}) == Translation(ignored="greeting")


def test_a_command_has_its_name_and_choices_and_what_was_written_is_text() -> None:
    options = [
        {"name": "to", "type": 6, "value": "9"},
        {"name": "amount", "type": 4, "value": 5},
        {"name": "why", "type": 3, "value": "for the talk"},
        {"name": "huge", "type": 4, "value": 10**30},
    ]
    translation = understood(
        interaction(2, {"name": "points", "options": [{"name": "give", "type": 1, "options": options}]})
    )
    [seen] = translation.seen
    assert (seen.type, seen.actor, seen.group, seen.text) == (
        "command.invoked", "discord:7", "discord:3", "for the talk",
    )  # fmt: skip
    assert seen.data == {"command": "points give", "options": {"to": "discord:9", "amount": 5}}
    assert (seen.id, seen.shared) == ("interaction:1443000000000000001", True)


def test_an_interactions_number_says_when_it_was() -> None:
    """The number is the example of Discord's reference."""
    [seen] = understood(interaction(2, {"name": "points"}, id="175928847299117063")).seen
    assert seen.at == datetime(2016, 4, 30, 11, 18, 25, 796000, UTC)
    assert understood(interaction(2, {"name": "points"}, id="x" * 40)).seen[0].at is None


def test_who_uses_a_command_is_answered_where_discord_asks() -> None:
    asked = interaction(2, {"name": "points"})
    answer = understood(asked).answer
    assert answer is not None
    assert (answer.status, json.loads(answer.body)) == (200, {"type": 4, "data": {"content": "✓", "flags": 64}})
    forwarded = told("INTERACTION_CREATE", asked)
    assert forwarded.answer is None
    assert forwarded.seen == understood(asked).seen


def test_a_command_on_a_message_has_it_as_subject_and_one_on_a_person_as_target() -> None:
    thanked: dict[str, Any] = {"name": "thank", "type": 3, "target_id": "55"}
    thanked.update(resolved={"messages": {"55": {"id": "55", "author": {"id": "9"}}}})
    [on_message] = understood(interaction(2, thanked)).seen
    assert (on_message.subject, on_message.author) == ("55", "discord:9")
    [on_person] = understood(interaction(2, {"name": "thank", "type": 2, "target_id": "9"})).seen
    assert (on_person.subject, on_person.data) == (None, {"command": "thank", "target": "discord:9"})


def test_a_button_is_kept_without_what_it_says_and_typing_is_not() -> None:
    translation = understood(interaction(3, {"custom_id": "click"}, message={"id": "55"}))
    [seen] = translation.seen
    assert (seen.type, seen.actor, seen.subject, seen.data) == (
        "discord.interaction_component", "discord:7", "55", {},
    )  # fmt: skip
    assert translation.answer == Answer(200, b'{"type":6}')
    typing = understood(interaction(4, {"name": "points"}))
    assert (typing.ignored, typing.answer) == ("still_typing", Answer(200, b'{"type":8,"data":{"choices":[]}}'))
    private = understood({"type": 5, "id": "1", "user": {"id": "7"}, "channel_id": "8"}).seen[0]
    assert (private.type, private.actor, private.group, private.data) == (
        "discord.interaction_modal", "discord:7", None, {"private": True},
    )  # fmt: skip


def test_a_webhook_event_is_kept_under_its_name() -> None:
    data = {"user": {"id": "7"}, "guild": {"id": "2"}, "scopes": []}
    event = {"type": "APPLICATION_AUTHORIZED", "timestamp": "2026-11-25T11:59:00.5", "data": data}
    [seen] = understood({"version": 1, "type": 1, "event": event}).seen
    assert (seen.type, seen.actor, seen.group) == ("discord.application_authorized", "discord:7", "discord:2")
    assert seen.at == datetime(2026, 11, 25, 11, 59, 0, 500000, UTC)


def test_a_message_is_named_by_its_number_alone() -> None:
    seen = one("MESSAGE_CREATE", message())
    assert (seen.type, seen.actor, seen.group, seen.subject) == ("message.created", "discord:7", "discord:3", "101")
    assert (seen.id, seen.shared, seen.text, seen.data) == ("message:101", True, "hello", {"kind": "text"})


def test_a_reply_names_what_it_replies_to_and_who_is_mentioned() -> None:
    more = {"mentions": [{"id": "8"}, {"id": "8"}, {}], "mention_everyone": True}
    seen = one("MESSAGE_CREATE", message(type=19, message_reference={"type": 0, "message_id": "90"}, **more))
    assert seen.data == {"kind": "text", "mentions": ["discord:8"], "mentions_all": True, "reply_to": "90"}
    forwarded = message(message_reference={"type": 1, "message_id": "90"})
    assert "reply_to" not in one("MESSAGE_CREATE", forwarded).data


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ({"attachments": [{"content_type": "image/png"}]}, {"kind": "image", "has_media": True}),
        ({"attachments": [{"content_type": "audio/ogg"}], "flags": 8192}, {"kind": "voice", "has_media": True}),
        ({"attachments": [{}]}, {"kind": "file", "has_media": True}),
        ({"sticker_items": [{"id": "1"}]}, {"kind": "sticker", "has_media": True}),
        ({"poll": {"question": {"text": "?"}}}, {"kind": "poll"}),
    ],
)
def test_what_a_message_holds_is_its_kind(content: dict[str, Any], data: dict[str, Any]) -> None:
    assert one("MESSAGE_CREATE", message(**content)).data == data


def test_a_bot_is_marked_and_a_webhook_is_nobody() -> None:
    assert one("MESSAGE_CREATE", message(author={"id": "8", "bot": True})).data["bot"] is True
    webhook = one("MESSAGE_CREATE", message(webhook_id="66", author={"id": "66", "username": "news"}))
    assert (webhook.actor, webhook.data["bot"]) == (None, True)


def test_what_happens_in_no_server_is_of_no_group() -> None:
    seen = one("MESSAGE_CREATE", message(guild_id=None))
    assert (seen.group, seen.data["private"]) == (None, True)


def test_only_a_change_with_a_time_of_editing_is_an_edit() -> None:
    seen = one("MESSAGE_UPDATE", message(edited_timestamp="2026-11-25T12:00:00+00:00", content="better"))
    assert (seen.type, seen.actor, seen.text) == ("message.edited", "discord:7", "better")
    assert seen.at == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert seen.id == "edited:101:2026-11-25T12:00:00+00:00"
    assert told("MESSAGE_UPDATE", message(edited_timestamp=None, embeds=[{}])).ignored == "not_edited"


def test_a_deleted_message_has_no_author_and_says_of_which_to_look_it_up() -> None:
    seen = one("MESSAGE_DELETE", {"id": "101", "channel_id": "3", "guild_id": "2"}, at=HEARD)
    assert (seen.type, seen.actor, seen.author, seen.subject, seen.about) == (
        "message.deleted", None, None, "101", "101",
    )  # fmt: skip
    assert seen.at == datetime(2026, 11, 25, 11, 59, 58, tzinfo=UTC)
    many = told(
        "MESSAGE_DELETE_BULK", {"ids": ["101", "102", "102", None], "channel_id": "3", "guild_id": "2"}, at=HEARD
    )
    assert many.seen[0] == seen
    assert [s.subject for s in many.seen] == ["101", "102"]
    assert told("MESSAGE_DELETE_BULK", {"ids": 5}).ignored == "nothing_named"


def test_a_reaction_is_its_emoji_or_the_custom_emojis_number() -> None:
    plain = {"user_id": "8", "message_id": "101", "channel_id": "3", "guild_id": "2", "emoji": {"name": "❤\u200d🔥"}}
    seen = one("MESSAGE_REACTION_ADD", plain, at=HEARD)
    assert (seen.type, seen.actor, seen.data) == ("reaction.added", "discord:8", {"kind": "❤\u200d🔥"})
    assert (seen.subject, seen.about, seen.author) == ("101", "101", None)
    again = one("MESSAGE_REACTION_ADD", plain, at="2026-11-25T12:30:00Z")
    assert again.id == seen.id, "a reaction has neither id nor time: the same again is the same"
    own = one("MESSAGE_REACTION_REMOVE", {**plain, "emoji": {"id": "44", "name": "shrug~1"}, "message_author_id": "7"})
    assert (own.type, own.data, own.author, own.about) == ("reaction.removed", {"kind": "44"}, "discord:7", None)


def test_a_vote_names_the_answer() -> None:
    seen = one("MESSAGE_POLL_VOTE_ADD", {"user_id": "8", "message_id": "101", "channel_id": "3", "answer_id": 2})
    assert (seen.type, seen.actor, seen.subject, seen.data) == ("poll.voted", "discord:8", "101", {"options": ["2"]})


MEMBER = {"guild_id": "2", "user": {"id": "7", "username": "x"}}


def test_joining_is_told_apart_by_the_day_somebody_joined() -> None:
    joined = {**MEMBER, "joined_at": "2026-11-25T11:00:00+00:00"}
    seen = one("GUILD_MEMBER_ADD", joined)
    assert (seen.type, seen.actor, seen.group, seen.notice) == ("member.joined", "discord:7", "discord:2", True)
    assert seen.at == datetime(2026, 11, 25, 11, tzinfo=UTC)
    assert one("GUILD_MEMBER_ADD", joined, at="2026-11-26T00:00:00Z").id == seen.id
    bot = {"id": "7", "bot": True}
    assert one("GUILD_MEMBER_ADD", {**joined, "user": bot}).data == {"bot": True}


def test_leaving_is_told_apart_by_the_minute_it_was_heard_in() -> None:
    first, again, later = (one("GUILD_MEMBER_REMOVE", MEMBER, at=at) for at in (HEARD, HEARD, "2026-11-25T12:01:00Z"))
    assert (first.type, first.actor, first.at) == (
        "member.left", "discord:7", datetime(2026, 11, 25, 11, 59, 58, tzinfo=UTC),
    )  # fmt: skip
    assert first == again
    assert first.id != later.id
    by_arrival = understood({"t": "GUILD_MEMBER_REMOVE", "d": MEMBER}).seen[0]
    assert by_arrival.at is None
    assert by_arrival.id == one("GUILD_MEMBER_REMOVE", MEMBER, at="2026-11-25T12:00:59+00:00").id


def test_who_is_banned_did_not_do_it() -> None:
    for t, type in (("GUILD_BAN_ADD", "member.banned"), ("GUILD_BAN_REMOVE", "member.unbanned")):
        seen = one(t, MEMBER, at=HEARD)
        assert (seen.type, seen.actor, seen.data) == (type, None, {"member": "discord:7"})


def test_what_changed_of_a_member_is_said_where_it_is_told_how_they_were() -> None:
    now = {**MEMBER, "roles": ["b", "c"], "nick": "new"}
    roles, nick = told("GUILD_MEMBER_UPDATE", now, old={"roles": ["a", "b"], "nick": "old"}, at=HEARD).seen
    assert (roles.type, roles.actor) == ("member.role_changed", None)
    assert roles.data == {"member": "discord:7", "role": "c", "roles_added": ["c"], "roles_removed": ["a"]}
    assert (nick.type, nick.actor, nick.data) == ("member.renamed", "discord:7", {}), "no name is kept"
    same = {"roles": ["c", "b"], "nick": "new"}
    assert told("GUILD_MEMBER_UPDATE", now, old=same).ignored == "nothing_of_ours_changed"
    assert told("GUILD_MEMBER_UPDATE", now).ignored == "change_not_told"


@pytest.mark.parametrize(
    ("t", "d", "reason"),
    [
        ("MESSAGE_CREATE", message(type=7), "told_as_guild_member_add"),
        ("MESSAGE_CREATE", message(type=21), "told_as_message"),
        ("MESSAGE_CREATE", message(type=6), "housekeeping"),
        ("TYPING_START", {}, "still_typing"),
        ("PRESENCE_UPDATE", {}, "presence"),
        ("GUILD_CREATE", {}, "housekeeping"),
        ("GUILD_ROLE_UPDATE", {}, "housekeeping"),
        ("CHANNEL_PINS_UPDATE", {}, "housekeeping"),
        ("THREAD_CREATE", {}, "housekeeping"),
        ("", {}, "no_event"),
    ],
)
def test_what_says_nothing_about_people_is_ignored(t: str, d: dict[str, Any], reason: str) -> None:
    assert told(t, d) == Translation(ignored=reason)


def test_a_new_session_is_a_sign_of_life() -> None:
    assert told("READY", {}) == told("RESUMED", {}) == Translation(beat=Beat(online=True))


@pytest.mark.parametrize(
    ("t", "d", "type"),
    [
        ("VOICE_STATE_UPDATE", {"user_id": "7"}, "discord.voice_state_update"),
        ("MESSAGE_REACTION_REMOVE_ALL", {"message_id": "101"}, "discord.message_reaction_remove_all"),
        ("MESSAGE_REACTION_REMOVE_EMOJI", {"message_id": "101"}, "discord.message_reaction_remove_emoji"),
        ("MESSAGE_CREATE", message(type=8), "discord.guild_boost"),
        ("MESSAGE_CREATE", message(type=99), "discord.message_type_99"),
        ("GUILD_DELETE", {"id": "2"}, "discord.guild_delete"),
        ("SOMETHING_NEW", {"user": {"id": "7"}, "said": "x"}, "discord.something_new"),
    ],
)
def test_a_kind_it_does_not_know_is_kept_under_its_name(t: str, d: dict[str, Any], type: str) -> None:
    seen = one(t, d)
    assert (seen.type, seen.subject, seen.data) == (type, d.get("message_id"), {})
    assert seen.actor in (None, "discord:7")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": "x"}', b"\xff"])
def test_what_is_neither_of_the_three_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        discord.translate(Delivery({}, {}, body, AT), NoSettings())
