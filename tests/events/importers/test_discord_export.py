"""DiscordChatExporter's JSON: what each message becomes, and that it is what a forwarder would have told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import detect
from services.events.receivers.discord import RECEIVER
from services.events.receivers.form import NoSettings
from tests.events.importers.exports import changed, events, lines, live, places, same, survives, values, written, wrong

SECRET = "what nobody may read"
AT = "2024-03-01T10:00:00.123+01:00"
PLACE = {"guild_id": "10", "channel_id": "20"}


def person(number: str = "77", **more: Any) -> dict[str, Any]:
    return {"id": number, "name": SECRET, "discriminator": "0000", "nickname": SECRET, "isBot": False, **more}


def message(number: str = "500", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": "Default",
        "timestamp": AT,
        "timestampEdited": None,
        "isPinned": False,
        "content": "hello",
        "author": person(),
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        **more,
    }


def channel(*messages: Any, type: str = "GuildTextChat") -> dict[str, Any]:
    return {
        "guild": {"id": "10", "name": SECRET},
        "channel": {"id": "20", "type": type, "categoryId": "1", "name": SECRET},
        "dateRange": {"after": None, "before": None},
        "messages": list(messages),
    }


def created(**more: Any) -> dict[str, Any]:
    d = {"id": "500", "type": 0, "timestamp": "2024-03-01T09:00:00.123000+00:00", "content": "hello", **PLACE}
    return {"t": "MESSAGE_CREATE", "d": {**d, "author": {"id": "77"}, **more}}


def of(path: Path, *messages: Any) -> list[dict[str, Any]]:
    return events(written(path / "export.json", channel(*messages)))


LIVE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (message(), created()),
    (
        message(type="Reply", reference={"messageId": "400", "channelId": "20", "guildId": "10"}),
        created(type=19, message_reference={"message_id": "400"}),
    ),
    (
        message(reference={"type": "Forward", "messageId": "400"}),
        created(message_reference={"type": 1, "message_id": "400"}),
    ),
    (
        message(type="20", author=person(isBot=True, discriminator="1234")),
        created(type=20, author={"id": "77", "bot": True}),
    ),
    (message(author=person(isBot=True)), created(webhook_id="77", author={"id": "77", "bot": True})),
    (message(mentions=[person("8"), person("9")]), created(mentions=[{"id": "8"}, {"id": "9"}])),
    (message(attachments=[{"id": "1", "fileName": "a.PNG"}]), created(attachments=[{"content_type": "image/png"}])),
    (message(attachments=[{"id": "1", "fileName": "a.xyzzy"}]), created(attachments=[{"id": "1"}])),
    (
        message(attachments=[{"fileName": "voice-message.ogg"}]),
        created(attachments=[{"content_type": "audio/ogg"}], flags=1 << 13),
    ),
    (message(stickers=[{"id": "3"}]), created(sticker_items=[{"id": "3"}])),
]


@pytest.mark.parametrize(("exported", "told"), LIVE)
def test_it_is_what_the_forwarder_told(tmp_path: Path, exported: dict[str, Any], told: dict[str, Any]) -> None:
    [heard] = live(RECEIVER, told, NoSettings())
    [event] = of(tmp_path, exported)
    assert same(event) == same(heard)
    assert event["time"] == "2024-03-01T09:00:00.123000+00:00"


@pytest.mark.parametrize("emoji", [{"id": "", "name": "👍"}, {"id": "99", "name": "party"}])
def test_reactions_are_what_the_forwarder_told_at_the_messages_time(tmp_path: Path, emoji: dict[str, str]) -> None:
    given_by = [person("8"), person("77"), person("9", isBot=True)]
    first, one, own, bots = of(tmp_path, message(reactions=[{"emoji": emoji, "count": 3, "users": given_by}]))
    d = {**PLACE, "message_id": "500", "user_id": "8", "emoji": {**emoji, "id": emoji["id"] or None}}
    [heard] = live(RECEIVER, {"t": "MESSAGE_REACTION_ADD", "d": {**d, "message_author_id": "77"}}, NoSettings())
    assert same(one) == same(heard)
    assert one["data"]["author"] == "discord:77"
    assert "author" not in own["data"]
    assert bots["data"]["bot"] is True
    assert one["time"] == first["time"]


def test_a_join_is_of_the_server_and_notices_are_nothing(tmp_path: Path) -> None:
    [event] = of(tmp_path, message(type="GuildMemberJoin"), message(type="ChannelPinnedMessage"), message(type="46"))
    assert (event["type"], event["id"], event["source"]) == ("member.joined", "joined:500", "/platforms/discord")
    assert event["data"] == {"actor": "discord:77", "group": "discord:10"}


def test_a_folder_is_read_by_the_names_of_its_files_and_direct_messages_are_left_out(tmp_path: Path) -> None:
    written(tmp_path / "out" / "b.json", channel(message("2"), 7))
    written(tmp_path / "out" / "a.json", channel(message("1"), type="GuildPublicThread"))
    written(tmp_path / "out" / "c" / "d.json", channel(message("3", content=SECRET), type="DirectTextChat"))
    assert detect(tmp_path / "out") == "discord"
    assert [line.event["subject"] for line in lines(tmp_path / "out") if hasattr(line, "event")] == ["1", "2"]
    assert wrong(tmp_path / "out") == [("b.json: messages[1]", "not a JSON object")]


def test_wrong_messages_are_named_by_their_place(tmp_path: Path) -> None:
    bad = [message(id=None), message(timestamp="2024-03-01T10:00:00"), message(type=None), message()]
    path = written(tmp_path / "export.json", channel(*bad))
    assert [where for where, _ in wrong(path)] == ["messages[0]", "messages[1]", "messages[2]"]
    assert detect(path) == "discord"
    headless = {**channel(message()), "guild": {}}
    assert "guild" in wrong(written(tmp_path / "export.json", headless))[0][1]


def test_no_name_and_nothing_written_stands_anywhere_but_in_text(tmp_path: Path) -> None:
    users = [person("8")]
    found = of(tmp_path, message(content=SECRET, mentions=users, reactions=[{"emoji": {"name": "x"}, "users": users}]))
    assert found[0]["data"].pop("text") == SECRET
    assert SECRET not in json.dumps(found)


EXPORT = channel(
    message("1", type="GuildMemberJoin"),
    message(
        "2",
        attachments=[{"fileName": "a.png"}],
        mentions=[person("8")],
        reference={"messageId": "1"},
        reactions=[{"emoji": {"id": "", "name": "x"}, "users": [person("8")]}],
    ),
)


@settings(max_examples=300)
@given(where=st.sampled_from(list(places(EXPORT))), value=values)
def test_whatever_stands_in_a_place_it_is_read_or_reported(tmp_path: Path, where: tuple[Any, ...], value: Any) -> None:
    path = written(tmp_path / "export.json", changed(EXPORT, where, value))
    survives(lambda: lines(path))


@settings(max_examples=60)
@given(at=st.integers(0, 1500), junk=st.binary(max_size=30))
def test_whatever_bytes_are_damaged_it_is_read_or_reported(tmp_path: Path, at: int, junk: bytes) -> None:
    whole = json.dumps(EXPORT).encode()
    path = written(tmp_path / "export.json", whole[:at] + junk + whole[at + len(junk) :])
    survives(lambda: lines(path))
