"""Slack's exports: what each message becomes, and that it is what the Events API would have told."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import detect, read
from services.events.receivers.form import NoSettings
from services.events.receivers.slack import RECEIVER
from tests.events.importers.exports import changed, events, lines, live, places, same, survives, values, written, wrong

SECRET = "what nobody may read"
TS = "1600000000.000200"


def message(**more: Any) -> dict[str, Any]:
    return {"type": "message", "user": "U7", "ts": TS, "text": "hello", "user_profile": {"real_name": SECRET}, **more}


def export(folder: Path, **days: Any) -> Path:
    """One channel with these files; a private one; conversations."""
    written(folder / "channels.json", [{"id": "C1", "name": "general"}, {"id": "C2", "name": "empty"}])
    written(folder / "groups.json", [{"id": "G1", "name": "staff"}])
    written(folder / "dms.json", [{"id": "D1", "members": ["U7"]}])
    written(folder / "mpims.json", [{"id": "G9", "name": "mpdm-a--b-1"}])
    written(folder / "users.json", [{"id": "U7", "name": SECRET}, {"id": "U0", "is_bot": True}])
    for name, value in days.items():
        written(folder / "general" / f"{name.replace('_', '-')}.json", value)
    return folder


def of(folder: Path, *messages: Any) -> list[dict[str, Any]]:
    return events(export(folder, **{"2020_09_13": list(messages)}))


def callback(type: str = "message", **more: Any) -> dict[str, Any]:
    event = {"type": type, "user": "U7", "ts": TS, "channel": "C1", "channel_type": "channel", "text": "hello", **more}
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}


LIVE: list[dict[str, Any]] = [
    {},
    {"text": "<@U8> and <!here>"},
    {"thread_ts": "1500000000.000100"},
    {"thread_ts": TS},
    {"subtype": "thread_broadcast", "thread_ts": "1500000000.000100"},
    {"files": [{"id": "F1", "mimetype": "image/png"}], "upload": True},
    {"subtype": "bot_message", "bot_id": "B1", "user": None},
    {"subtype": "me_message"},
]


@pytest.mark.parametrize("more", LIVE)
def test_it_is_what_slack_told(tmp_path: Path, more: dict[str, Any]) -> None:
    [heard] = live(RECEIVER, callback(**more), NoSettings())
    [event] = of(tmp_path, message(**more))
    assert same(event) == same(heard)
    assert event["source"] == "/platforms/slack"
    assert event["time"].startswith("2020-09-13T12:26:40")


def test_reactions_are_one_for_each_giver(tmp_path: Path) -> None:
    first, other, own, bots = of(
        tmp_path, message(reactions=[{"name": "+1", "users": ["U8", "U7", "U8", "U0"], "count": 3}])
    )
    assert (other["id"], other["data"]) == (
        f"added:C1:{TS}:U8:+1",
        {"actor": "slack:U8", "author": "slack:U7", "group": "slack:C1", "kind": "+1"},
    )
    assert "author" not in own["data"]
    assert bots["data"]["bot"] is True
    assert first["subject"] == other["subject"]


def test_who_came_and_went(tmp_path: Path) -> None:
    came, went = of(
        tmp_path,
        message(subtype="channel_join", inviter="U8"),
        message(subtype="channel_leave"),
        message(subtype="channel_topic"),
        message(subtype="tombstone"),
    )
    assert (came["type"], came["id"]) == ("member.joined", f"joined:C1:U7:{TS}")
    assert came["data"] == {"actor": "slack:U7", "group": "slack:C1", "scope": "channel", "invited_by": "slack:U8"}
    assert went["type"] == "member.left"


def test_conversations_are_left_out_and_strange_folders_reported_once(tmp_path: Path) -> None:
    path = export(tmp_path / "out", **{"2020_09_14": [message()]})
    for folder, text in {"D1": SECRET, "mpdm-a--b-1": SECRET, "staff": "hello", "elsewhere": SECRET}.items():
        for day in ("2020-09-13", "2020-09-14"):
            written(path / folder / f"{day}.json", [message(text=text)])
    assert [line.event["data"]["group"] for line in lines(path) if hasattr(line, "event")] == [
        "slack:C1",
        "slack:G1",
        "slack:G1",
    ]
    assert wrong(path) == [("elsewhere", "the folder is of no channel in channels.json or groups.json")]
    assert SECRET not in str(lines(path))


def test_a_zip_is_read_as_its_folder_is_also_with_a_folder_around_it(tmp_path: Path) -> None:
    path = export(tmp_path / "out", **{"2020_09_13": [message(), 7], "2020_09_14": [message(ts="1600000001.000100")]})
    for prefix in ("", "my export/"):
        packed = tmp_path / "export.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for file in path.rglob("*.json"):
                archive.write(file, prefix + file.relative_to(path).as_posix())
        assert detect(packed) == detect(path) == "slack"
        assert lines(packed) == lines(path)
    assert wrong(path) == [("general/2020-09-13.json[1]", "not a JSON object")]


def test_damage_is_reported_where_it_is_and_the_rest_is_read(tmp_path: Path) -> None:
    path = export(
        tmp_path / "out",
        **{
            "2020_09_12": b'[{"ts":',
            "2020_09_13": {"a": 1},
            "2020_09_14": [message(ts=1), message()],
            "2020_09_15": b"[",
        },
    )
    assert [where for where, _ in wrong(path)] == [
        "general/2020-09-12.json",
        "general/2020-09-13.json",
        "general/2020-09-14.json[0]",
        "general/2020-09-15.json",
    ]
    assert len(lines(path)) == 5


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x1f\x8b no tar"])
def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "file.zip", content)
    with pytest.raises(ValueError, match=r"file\.zip"):
        list(read(path))
    with pytest.raises(ValueError, match=r"file\.zip"):
        list(read(path, "slack"))
    with pytest.raises(ValueError, match=r"channels\.json"):
        list(read(tmp_path, "slack"))


EXPORT = {
    "channels.json": [{"id": "C1", "name": "general"}],
    "users.json": [{"id": "U0", "is_bot": True}],
    "dms.json": [{"id": "D1"}],
    "general/2020-09-13.json": [
        message(files=[{"mimetype": "image/png"}], reactions=[{"name": "+1", "users": ["U8"]}], thread_ts="1.2"),
        message(subtype="channel_join"),
    ],
}


@settings(max_examples=300)
@given(where=st.sampled_from(list(places(EXPORT))), value=values)
def test_whatever_stands_in_a_place_it_is_read_or_reported(tmp_path: Path, where: tuple[Any, ...], value: Any) -> None:
    for name, content in changed(EXPORT, where, value).items():
        written(tmp_path / name, content)
    survives(lambda: lines(tmp_path))


@settings(max_examples=100)
@given(at=st.integers(0, 1200), junk=st.binary(min_size=1, max_size=30))
def test_whatever_bytes_of_a_zip_are_damaged_it_is_read_or_reported(tmp_path: Path, at: int, junk: bytes) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in EXPORT.items():
            archive.writestr(name, json.dumps(content))
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    survives(lambda: lines(path))
