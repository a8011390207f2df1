"""QQ's deliveries to official bots, one by one: who signed them, and what each becomes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.events.receivers import qq_official
from services.events.receivers.form import Delivery, Malformed, NoSettings, OneSecret, Refused, Seen, Translation
from tests.events.receivers.senders.qq_official import deliver, samples
from tests.events.receivers.sending import AT, Sample

SETTINGS = NoSettings()
WHEN = datetime(2026, 11, 25, 11, 59, tzinfo=UTC)


def told(kind: str, d: Any, id: str = "event-1", op: int = 0) -> Translation:
    body = json.dumps({"op": op, "id": id, "s": 1, "t": kind, "d": d}).encode()
    return qq_official.translate(Delivery({}, {}, body, AT), SETTINGS)


def one(name: str) -> Seen:
    [sample] = [sample for sample in samples() if sample.name == name]
    [seen] = qq_official.translate(Delivery({}, {}, sample.body, AT), SETTINGS).seen
    return seen


def test_the_documentations_signature_is_of_its_secret_and_body() -> None:
    headers = {
        "x-signature-timestamp": "1725442341",
        "x-signature-ed25519": "865ad13a61752ca65e26bde6676459cd36cf1be609375b37bd62af366e1dc25a"
        "8dc789ba7f14e017ada3d554c671a911bfdf075ba54835b23391d509579ed002",
    }
    # Its page shows the body on one line; it was signed on five.
    body = b'{\n  "op": 0,\n  "d": {},\n  "t": "GATEWAY_EVENT_NAME"\n}'
    delivery = Delivery(headers, {}, body, datetime.fromtimestamp(1725442341, UTC))
    known = [OneSecret("another"), OneSecret("naOC0ocQE3shWLAfffVLB1rhYPG7")]
    assert qq_official.verify(delivery, known, SETTINGS).signed_with == 1
    with pytest.raises(Refused, match="not of this body"):
        qq_official.verify(replace(delivery, body=body + b" "), known, SETTINGS)


def test_the_documentations_question_is_answered_with_its_signature() -> None:
    body = b'{"d":{"plain_token":"Arq0D5A61EgUu4OxUvOp","event_ts":"1725442341"},"op":13}'
    answer = qq_official.greet(Delivery({}, {}, body, AT), OneSecret("DG5g3B4j9X2KOErG"), SETTINGS)
    assert answer is not None
    assert json.loads(answer.body) == {
        "plain_token": "Arq0D5A61EgUu4OxUvOp",
        "signature": "87befc99c42c651b3aac0278e71ada338433ae26fcb24307bdc5ad38c1adc2d0"
        "1bcfcadc0842edac85e85205028a1132afe09280305f13aa6909ffc2d652c706",
    }


def test_nobody_has_a_delivery_signed_by_asking_for_it() -> None:
    for token in ('{"op":0}', ' {"op":0}', "", "[]", "a" * 300, 7.5, None):
        body = json.dumps({"op": 13, "d": {"plain_token": token, "event_ts": "1725442341"}}).encode()
        with pytest.raises(Malformed):
            qq_official.greet(Delivery({}, {}, body, AT), OneSecret("one"), SETTINGS)
    body = b'{"op":13,"d":{"plain_token":"abc","event_ts":"{"}}'
    with pytest.raises(Malformed):
        qq_official.greet(Delivery({}, {}, body, AT), OneSecret("one"), SETTINGS)


def test_a_question_must_be_signed_too() -> None:
    body = b'{"op":13,"d":{"plain_token":"abc","event_ts":"1725442341"}}'
    with pytest.raises(Refused):
        qq_official.verify(Delivery({}, {}, body, AT), [OneSecret("one")], SETTINGS)
    delivery = qq_official.verify(deliver(Sample("q", body), OneSecret("one"), AT), [OneSecret("one")], SETTINGS)
    assert qq_official.greet(delivery, OneSecret("one"), SETTINGS) is not None


def test_a_delivery_is_no_question() -> None:
    assert qq_official.greet(Delivery({}, {}, b'{"op":0,"t":"READY"}', AT), OneSecret("one"), SETTINGS) is None


def test_a_signature_of_another_form_and_an_empty_secret_are_refused() -> None:
    delivery = deliver(next(samples()), OneSecret("one"), AT)
    with pytest.raises(Refused):
        qq_official.verify(delivery, [OneSecret("")], SETTINGS)
    for wrong in ("zz" * 64, "00" * 63, "00" * 64):
        headers = {**delivery.headers, "x-signature-ed25519": wrong}
        with pytest.raises(Refused):
            qq_official.verify(replace(delivery, headers=headers), [OneSecret("one")], SETTINGS)


def test_only_the_platform_knows_the_secret() -> None:
    assert qq_official.make_secrets({"secret": "s"}) == OneSecret("s")
    with pytest.raises(Malformed) as wrong:
        qq_official.make_secrets({})
    assert wrong.value.pointer == "/secret"


def test_a_message_in_a_group_is_by_the_member_of_that_group() -> None:
    seen = one("group_at_message_create")
    assert (seen.type, seen.id, seen.subject) == ("message.created", "message:ROBOT1.0_madeup1", "ROBOT1.0_madeup1")
    assert (seen.actor, seen.group) == ("qq-official:MEMBEROPENID1", "qq-official:GROUPOPENID1")
    assert (seen.at, seen.text, seen.data) == (WHEN, " hello", {"kind": "image", "has_media": True})
    # Its names are this bot's own.
    assert seen.shared is False


def test_a_private_message_has_no_group_and_another_openid() -> None:
    seen = one("c2c_message_create")
    assert (seen.actor, seen.group, seen.data) == ("qq-official:USEROPENID1", None, {"kind": "text"})


def test_a_message_in_a_channel_counts_once_whichever_bot_and_kind_tells_it() -> None:
    seen = one("message_create")
    assert (seen.actor, seen.group) == ("qq-official:7", "qq-official:channel/100010")
    assert seen.data == {"kind": "text", "mentions": ["qq-official:42"], "reply_to": "08madeup1"}
    assert (seen.id, seen.shared) == ("message:100010:08madeup3", True)
    told_again = {
        "id": "08madeup3",
        "channel_id": "100010",
        "author": {"id": "7", "bot": True},
        "mention_everyone": True,
    }
    [again] = told("AT_MESSAGE_CREATE", told_again, "another").seen
    assert (again.id, again.data) == (seen.id, {"kind": "text", "mentions_all": True, "bot": True})


@pytest.mark.parametrize(
    ("by", "type", "author"), [("7", "message.recalled", None), ("9", "message.deleted", "qq-official:7")]
)
def test_a_message_is_taken_back_by_its_writer_or_removed_by_another(by: str, type: str, author: str | None) -> None:
    message = {"id": "m1", "channel_id": "c1", "guild_id": "g1", "author": {"id": "7"}}
    [seen] = told("PUBLIC_MESSAGE_DELETE", {"message": message, "op_user": {"id": by}}).seen
    assert (seen.type, seen.actor, seen.author) == (type, f"qq-official:{by}", author)
    assert (seen.subject, seen.about, seen.group) == ("m1", "m1", "qq-official:channel/c1")


def test_a_reaction_is_to_a_message_whose_writer_is_looked_up() -> None:
    seen = one("message_reaction_add")
    assert (seen.type, seen.id, seen.actor) == ("reaction.added", "MESSAGE_REACTION_ADD:made-up-4", "qq-official:7")
    assert (seen.subject, seen.about, seen.data) == ("08madeup3", "08madeup3", {"kind": "1:277"})
    assert told("MESSAGE_REACTION_REMOVE", {"user_id": "7"}).seen[0].type == "reaction.removed"


def test_members_of_a_guild_join_leave_and_are_removed() -> None:
    kicked = one("guild_member_remove")
    assert (kicked.type, kicked.actor, kicked.group) == (
        "member.kicked",
        "qq-official:7",
        "qq-official:guild/200000000",
    )
    assert (kicked.at, kicked.notice) == (None, True)
    person = {"guild_id": "2", "joined_at": "2026-11-25T19:59:00+08:00", "op_user_id": "7", "user": {"id": "7"}}
    [joined] = told("GUILD_MEMBER_ADD", person).seen
    assert (joined.type, joined.at, joined.data) == ("member.joined", WHEN, {})
    assert told("GUILD_MEMBER_REMOVE", person).seen[0].type == "member.left"
    [brought] = told("GUILD_MEMBER_ADD", {**person, "op_user_id": "9", "user": {"id": "7", "bot": True}}).seen
    assert brought.data == {"invited_by": "qq-official:9", "bot": True}


def test_friends_come_and_go_without_a_group() -> None:
    [came] = told("FRIEND_ADD", {"openid": "U1", "timestamp": 1795607940}).seen
    assert (came.type, came.actor, came.group, came.at) == ("member.joined", "qq-official:U1", None, WHEN)
    assert came.data == {"scope": "contact"}
    assert told("FRIEND_DEL", {"openid": "U1"}).seen[0].type == "member.left"


def test_who_brings_the_bot_into_a_group_is_named() -> None:
    seen = one("group_add_robot")
    assert (seen.type, seen.actor, seen.group) == (
        "qq-official.bot.added",
        "qq-official:MEMBEROPENID1",
        "qq-official:GROUPOPENID1",
    )
    assert told("GROUP_DEL_ROBOT", {"group_openid": "G"}).seen[0].type == "qq-official.bot.removed"


def test_the_connections_own_and_what_says_nothing_about_people_is_ignored() -> None:
    assert told("READY", {}).ignored == "of_the_connection"
    assert told("", {}, op=13).ignored == "of_the_connection"
    assert told("GUILD_MEMBER_UPDATE", {}).ignored == "housekeeping"


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    [seen] = told("GROUP_MSG_REJECT", {"group_openid": "G", "op_member_openid": "M", "secret": "x"}).seen
    assert (seen.type, seen.id, seen.actor) == ("qq-official.group_msg_reject", "event-1", "qq-official:M")
    assert (seen.group, seen.data) == ("qq-official:G", {})


def test_hostile_values_become_nothing() -> None:
    [seen] = told("GROUP_AT_MESSAGE_CREATE", {"id": ["x"], "author": "me", "timestamp": 10**30, "content": {}}).seen
    assert (seen.id, seen.actor, seen.at, seen.text) == ("event-1", None, None, None)
    assert told("FRIEND_ADD", {"openid": "U\u202e", "timestamp": 10**28}).seen[0].actor is None
