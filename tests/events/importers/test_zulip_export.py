"""Zulip's exports: what each message becomes, from folders and tarballs of every age."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import detect
from tests.events.importers.exports import changed, events, lines, places, survives, values, written, wrong

SECRET = "what nobody may read"
SENT = 1_600_000_000.5


def realm(**more: Any) -> dict[str, Any]:
    return {
        "zerver_realm": [{"id": 2, "string_id": "lean"}],
        "zerver_userprofile": [
            {"id": 7, "full_name": SECRET, "is_bot": False, "date_joined": SENT - 10},
            {"id": 8, "is_bot": True, "date_joined": SENT - 10},
            {"id": 9, "is_mirror_dummy": True, "date_joined": SENT - 10},
        ],
        "zerver_userprofile_crossrealm": [{"id": 3, "email": SECRET}],
        "zerver_stream": [{"id": 40, "name": SECRET}],
        "zerver_recipient": [
            {"id": 1, "type": 1, "type_id": 7},
            {"id": 2, "type": 2, "type_id": 40},
            {"id": 3, "type": 3},
        ],
        "zerver_reaction": [{"id": 1, "user_profile": 8, "message": 100, "emoji_name": "tada", "emoji_code": "1f389"}],
        **more,
    }


def message(number: int = 100, **more: Any) -> dict[str, Any]:
    one = {"id": number, "sender": 7, "recipient": 2, "subject": SECRET, "content": "hello", "date_sent": SENT}
    return {**one, "rendered_content": SECRET, **more}


def export(folder: Path, *pages: Any, **more: Any) -> Path:
    written(folder / "realm.json", realm(**more))
    written(folder / "attachment.json", {"zerver_attachment": []})
    for number, page in enumerate(pages, 1):
        value = page if isinstance(page, bytes) else {"zerver_message": page, "zerver_usermessage": [{}]}
        written(folder / f"messages-{number:06}.json", value)
    return folder


def test_members_messages_and_reactions(tmp_path: Path) -> None:
    joined, posted, reacted = events(export(tmp_path / "e", [message()]))
    assert (joined["type"], joined["id"], joined["data"]) == ("member.joined", "joined:7", {"actor": "zulip:7"})
    assert {joined["source"], posted["source"], reacted["source"]} == {"/exports/zulip/lean"}
    topic = posted["data"].pop("topic")
    assert len(topic) == 16
    assert posted["data"] == {"actor": "zulip:7", "group": "zulip:40", "kind": "text", "length": 5, "text": "hello"}
    assert posted["time"] == "2020-09-13T12:26:40.500000+00:00"
    assert (reacted["id"], reacted["time"]) == ("added:100:8:tada", posted["time"])
    assert reacted["data"] == {
        "actor": "zulip:8",
        "author": "zulip:7",
        "group": "zulip:40",
        "kind": "tada",
        "bot": True,
    }
    assert SECRET not in json.dumps([joined, posted, reacted])


def test_what_a_message_says_of_others(tmp_path: Path) -> None:
    text = "@**Ann|7** @_**Bo|8** @**Bo** @**all** [a](/user_uploads/2/a.png)"
    data = events(export(tmp_path / "e", [message(content=text)]))[1]["data"]
    assert data["mentions"] == ["zulip:7"]
    assert (data["mentions_all"], data["has_media"]) == (True, True)


def test_direct_messages_are_left_out_and_what_belongs_nowhere_is_reported(tmp_path: Path) -> None:
    page = [message(1, recipient=1, content=SECRET), message(2, recipient=3), message(3, recipient=77), 7, message(4)]
    path = export(tmp_path / "e", page, b"{", [message(5, date_sent="x")])
    assert [line.event["id"] for line in lines(path) if hasattr(line, "event")] == ["joined:7", "message:4"]
    assert [where for where, _ in wrong(path)] == [
        "messages-000001.json: zerver_message[2]",
        "messages-000001.json: zerver_message[3]",
        "messages-000002.json",
        "messages-000003.json: zerver_message[0]",
    ]


def test_newer_names_and_reactions_beside_the_messages(tmp_path: Path) -> None:
    one = {name: value for name, value in message().items() if name not in ("sender", "recipient")}
    page = {
        "zerver_message": [{**one, "sender_id": 3, "recipient_id": 2}],
        "zerver_reaction": [{"user_profile_id": 7, "message_id": 100, "emoji_name": "heart"}],
    }
    path = export(tmp_path / "e", json.dumps(page).encode(), zerver_reaction=[])
    _, posted, reacted = events(path)
    assert posted["data"]["bot"] is True
    assert reacted["data"]["author"] == "zulip:3"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tarball_is_read_as_its_folder_is(tmp_path: Path, mode: str) -> None:
    path, packed = export(tmp_path / "e", [message()], [message(101), 7]), tmp_path / "zulip.tar"
    with tarfile.open(packed, mode) as archive:  # type: ignore[call-overload]
        archive.add(path, "zulip-export-abc")
        archive.add(path / "realm.json", "../../outside.json")
    assert detect(packed) == detect(path) == "zulip"
    assert lines(packed) == lines(path)
    packed.write_bytes(packed.read_bytes()[:-11_000] if mode == "w" else packed.read_bytes()[:300])
    survives(lambda: lines(packed))


def test_a_site_tells_servers_apart(tmp_path: Path) -> None:
    path = export(tmp_path / "e", [message()])
    posted = events(path, site="zulip.example.org")[1]
    assert posted["source"] == "/exports/zulip/zulip.example.org"
    assert posted["data"]["actor"] == "zulip:zulip.example.org/7"
    with pytest.raises(ValueError, match="--site"):
        lines(path, site="a b")


EXPORT = {
    "realm.json": realm(),
    "messages-000001.json": {"zerver_message": [message(content="@**Ann|7**"), message(101, sender=3)]},
}


@settings(max_examples=300)
@given(where=st.sampled_from(list(places(EXPORT))), value=values)
def test_whatever_stands_in_a_place_it_is_read_or_reported(tmp_path: Path, where: tuple[Any, ...], value: Any) -> None:
    for name, content in changed(EXPORT, where, value).items():
        written(tmp_path / name, content)
    survives(lambda: lines(tmp_path))
