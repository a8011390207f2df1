"""Telegram Desktop's exports: what each message becomes, and that it is what a bot would have told."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import detect, run_import
from services.events.importers.formats import count
from services.events.receivers.telegram import RECEIVER, Settings
from tests.events.importers.exports import changed, events, lines, live, places, same, survives, values, written, wrong
from tests.support.platform import App

WRITTEN = 1_600_000_000
CHAT = {"id": -1001234567890, "type": "supergroup"}
SECRET = "what nobody may read"


def message(number: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": "message",
        "date": "2020-09-13T14:26:40",
        "date_unixtime": str(WRITTEN),
        "from": SECRET,
        "from_id": "user77",
        "text": "hello",
        "text_entities": [],
        **more,
    }


def service(action: str, number: int = 6, **more: Any) -> dict[str, Any]:
    one = {**message(number), "type": "service", "action": action, "actor": "Ann", "actor_id": "user77", "text": ""}
    return {name: value for name, value in {**one, **more}.items() if name not in ("from", "from_id")}


def chat(*messages: Any, type: str = "private_supergroup", id: int = 1234567890) -> dict[str, Any]:
    return {"name": SECRET, "type": type, "id": id, "messages": list(messages)}


def account(*chats: Any) -> dict[str, Any]:
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 1},
        "chats": {"about": "…", "list": list(chats)},
        "left_chats": {"about": "…", "list": [chat(message(9), id=99)]},
    }


def update(**more: Any) -> dict[str, Any]:
    told = {"message_id": 5, "date": WRITTEN, "chat": CHAT, "from": {"id": 77, "is_bot": False}, **more}
    return {"update_id": 1, "message": told}


def of(path: Path, *messages: Any, **more: Any) -> list[dict[str, Any]]:
    return events(written(path / "result.json", chat(*messages, **more)))


LIVE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (message(), update(text="hello")),
    (message(text=["a ", {"type": "bold", "text": "b"}, " c"]), update(text="a b c")),
    (
        message(text_entities=[{"type": "mention_name", "text": "Bo", "user_id": 8}]),
        update(text="hello", entities=[{"type": "text_mention", "user": {"id": 8}}]),
    ),
    (message(reply_to_message_id=3), update(text="hello", reply_to_message={"message_id": 3})),
    (message(reply_to_message_id=3, reply_to_peer_id="channel9"), update(text="hello")),
    (message(photo="(File not included…)"), update(photo=[{}], caption="hello")),
    *(
        (message(file="x", media_type=exported), update(**{told: {}}, document={}, caption="hello"))
        for exported, told in {"animation": "animation", "voice_message": "voice", "video_file": "video"}.items()
    ),
    (message(file="x", media_type="sticker"), update(sticker={}, caption="hello")),
    (message(file="x"), update(document={}, caption="hello")),
    (message(poll={"question": "?"}, text=""), update(poll={})),
    (message(from_id="channel1234567890"), update(text="hello", sender_chat={"id": CHAT["id"]})),
    (service("join_group_by_link", inviter="Bo"), update(new_chat_members=[{"id": 77}])),
    (service("invite_members", members=["Ann"]), update(new_chat_members=[{"id": 77}])),
    (service("remove_members", members=["Ann"]), update(left_chat_member={"id": 77})),
]


@pytest.mark.parametrize(("exported", "told"), LIVE)
def test_it_is_what_the_bot_told(tmp_path: Path, exported: dict[str, Any], told: dict[str, Any]) -> None:
    [heard] = live(RECEIVER, told, Settings())
    [event] = of(tmp_path, exported)
    assert same(event) == same(heard)
    assert event["source"] == "/platforms/telegram"
    assert event["time"] == "2020-09-13T12:26:40+00:00"


@pytest.mark.parametrize(("kind", "id"), [("private_channel", -1001234567890), ("private_group", -1234567890)])
def test_channels_and_small_groups_have_the_numbers_a_bot_knows(tmp_path: Path, kind: str, id: int) -> None:
    [event] = of(tmp_path, message(), type=kind)
    assert event["data"]["group"] == f"telegram:{id}"
    # Every member of a small group numbers its messages for themselves.
    assert event["source"] == ("/platforms/telegram" if kind == "private_channel" else "/exports/telegram")


def test_what_was_said_before_a_group_grew_is_told_apart(tmp_path: Path) -> None:
    old, new = of(tmp_path, message(-999_999_995), message(5))
    assert (old["source"], new["source"]) == ("/exports/telegram", "/platforms/telegram")


def test_reactions_are_those_whose_giver_is_named_at_their_own_time(tmp_path: Path) -> None:
    recent = [
        {"from": "Bo", "from_id": "user8", "date": "2020-09-13T14:27:00"},
        {"from": "Ann", "from_id": "user77", "date": "2020-09-13T14:27:01"},
        {"from": "C", "from_id": "channel5", "date": "2020-09-13T14:27:01"},
    ]
    found = of(tmp_path, message(reactions=[{"type": "emoji", "count": 9, "emoji": "👍", "recent": recent}]))
    told = {
        "chat": CHAT,
        "message_id": 5,
        "user": {"id": 8},
        "date": WRITTEN + 20,
        "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": "👍"}],
    }
    [heard] = live(RECEIVER, {"update_id": 2, "message_reaction": told}, Settings())
    assert [event["type"] for event in found] == ["message.created", "reaction.added", "reaction.added"]
    assert same(found[1]) == same(heard)
    assert [event["data"].get("author") for event in found[1:]] == ["telegram:77", None]


def test_topics_are_told_from_replies(tmp_path: Path) -> None:
    _, second = [
        event["data"]
        for event in of(
            tmp_path, service("topic_created", 3), message(4, reply_to_message_id=3), message(5, reply_to_message_id=4)
        )
    ]
    [first, _] = of(tmp_path, service("topic_created", 3), message(4, reply_to_message_id=3), message(5))
    assert first["data"]["topic"] == "3"
    assert "reply_to" not in first["data"]
    assert second["reply_to"] == f"{CHAT['id']}:4"


def test_whom_somebody_invited_or_removed_is_not_told_and_no_name_is_kept(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        service("invite_members", 6, members=["Bo", None]),
        service("remove_members", 7, members=["Bo"]),
        service("pin_message", 8, message_id=5),
        service("phone_call", 9),
    )
    assert [(event["type"], event["data"]) for event in found] == [
        (type, {"actor": "telegram:77", "group": f"telegram:{CHAT['id']}"})
        for type in ("member.invited", "member.kicked")
    ]
    assert found[0]["id"] != found[1]["id"]


def test_of_an_account_only_groups_and_channels_are_taken(tmp_path: Path) -> None:
    private = [chat(message(text=SECRET), type=kind) for kind in ("personal_chat", "bot_chat", "saved_messages")]
    path = written(tmp_path / "result.json", account(*private, chat(message(1), message(2)), private[0]))
    assert detect(path) == "telegram"
    assert [event["subject"] for event in events(path)] == [f"{CHAT['id']}:1", f"{CHAT['id']}:2", "-1000000000099:9"]
    assert SECRET not in json.dumps(events(path))


def test_wrong_messages_are_named_by_their_place_and_the_rest_is_read(tmp_path: Path) -> None:
    bad: list[Any] = [7, {"id": 1}, message("x"), message(date_unixtime=None), message(type="dream"), message()]  # type: ignore[arg-type]
    path = written(tmp_path / "result.json", account(chat(message(), type="odd"), chat(*bad)))
    assert [where for where, _ in wrong(path)] == [
        "chats.list[0].messages[0]",
        *(f"chats.list[1].messages[{index}]" for index in range(5)),
    ]
    assert "newer Telegram Desktop" in wrong(path)[4][1]
    assert len(lines(path)) == 8


def test_a_file_that_breaks_off_gives_what_stands_before_the_break(tmp_path: Path) -> None:
    whole = json.dumps(chat(*(message(number, text=SECRET) for number in range(1, 2000)))).encode()
    for packed in (whole[:-2000], gzip.compress(whole)[:-2000]):
        path = written(tmp_path / "result.json", packed)
        assert detect(path) == "telegram"
        found = lines(path)
        assert 1 < len(found) < 2000
        [(where, reason)] = wrong(path)
        assert where.startswith(("after messages[", "after the beginning"))
        assert "not JSON from here on" in reason
        assert SECRET not in reason


EXPORT = chat(
    service("topic_created", 3),
    message(4, reply_to_message_id=3),
    message(
        5, reactions=[{"type": "emoji", "emoji": "x", "recent": [{"from_id": "user8", "date": "2020-09-13T14:27:00"}]}]
    ),
    service("invite_members", 6, members=["Bo"]),
    service("join_group_by_link", 7),
)


@settings(max_examples=300)
@given(where=st.sampled_from(list(places(EXPORT))), value=values)
def test_whatever_stands_in_a_place_it_is_read_or_reported(tmp_path: Path, where: tuple[Any, ...], value: Any) -> None:
    path = written(tmp_path / "result.json", changed(EXPORT, where, value))
    survives(lambda: lines(path))


@settings(max_examples=100)
@given(at=st.integers(0, 1500), junk=st.binary(max_size=30))
def test_whatever_bytes_are_damaged_it_is_read_or_reported(tmp_path: Path, at: int, junk: bytes) -> None:
    whole = json.dumps(EXPORT).encode()
    path = written(tmp_path / "result.json", whole[:at] + junk + whole[at + len(junk) :])
    survives(lambda: lines(path))


async def test_a_running_installation_counts_what_the_export_holds_and_what_was_live_once(
    app: App, tmp_path: Path
) -> None:
    messages = [message(number, from_id=f"user{number % 9 + 1}") for number in range(1, 201)]
    messages[7] = {"id": 8}
    messages[9]["reactions"] = [
        {"type": "emoji", "emoji": "👍", "count": 1, "recent": [{"from_id": "user3", "date": "2020-09-13T14:27:00"}]}
    ]
    path = written(tmp_path / "result.json", chat(*messages, service("join_group_by_link", 300)))
    asked = {"platform": "telegram", "name": "group"}
    made = await app.client.post("/v1/connections", json=asked, headers={"Idempotency-Key": "1"})
    connection = made.raise_for_status().json()
    hook = f"/v1/hooks/{connection['id']}"
    header = {"X-Telegram-Bot-Api-Secret-Token": connection["secret"]["secrets"]["secret"]}
    for number in (1, 2):
        told = update(message_id=number, text="hello", **{"from": {"id": number % 9 + 1}})
        (await app.client.post(hook, json=told, headers=header)).raise_for_status()
    await app.settle()
    assert count(path) == 202
    report = await run_import(path, url=app.url, key=app.api_key, name="group", resume_path=tmp_path / "position")
    await app.settle()
    assert (report.accepted, report.rejected, report.wrong_lines) == (201, 0, 1)
    assert (await app.client.get("/v1/imports/group")).json()["stored"] == 199
    timeline, cursor = [], ""
    while cursor is not None:
        page = (
            await app.client.get("/v1/events", params={"limit": 200, **({"cursor": cursor} if cursor else {})})
        ).json()
        timeline += page["items"]
        cursor = page["next"]
    assert len([one for one in timeline if one["type"] == "message.created"]) == 199
