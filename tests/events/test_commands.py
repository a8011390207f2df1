"""Commands in chat at the door: what is one, what is made of it, and that what people write still goes no further."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.events import Activity
from services.events.commands import WORDS, Command, command_of
from tests.events.support import Events, Place, on_the_log


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/checkin", Command("checkin")),
        ("  /CheckIn  ", Command("checkin")),
        ("/checkin@our_bot", Command("checkin")),
        ("@our_bot /rank", Command("rank")),
        ("／积分", Command("points")),
        ("打卡", Command("checkin")),
        ("签到", Command("checkin")),
        ("排行", Command("rank")),
        ("退订", Command("stop")),
        ("/bind AB23CD45", Command("bind", "AB23CD45")),
        ("绑定 ab23-cd45", Command("bind", "ab23-cd45")),
        ("绑定AB23CD45", Command("bind", "AB23CD45")),
        ("/bind my password is hunter2", Command("bind", "")),
        ("/bind marmalade", Command("bind", "")),
        ("绑定 abcdefghi", Command("bind", "")),
        ("/bind", Command("bind", "")),
        ("今天打卡了吗", None),
        ("checkin", None),
        ("/", None),
        ("/checkins", None),
        ("I said /checkin", None),
        ("", None),
        ("/checkin read 20 pages", Command("checkin", said="read 20 pages")),
        ("/checkin " + "x" * 100, Command("checkin", said="x" * 100)),
        ("x /checkin " + "x" * 100, None),
        ("/rank " + "x" * 100, None),
        ("打卡 松林47", Command("checkin", said="松林47")),
        ("签到 今天也来了 ｍａｐｌｅ 47", Command("checkin", said="今天也来了 maple 47")),
        ("打卡 成功", None),
        ("打卡 " + "松林47 " * 30, None),
    ],
)
def test_a_command_is_a_prefix_and_a_word_or_a_chinese_word_alone(text: str, command: Command | None) -> None:
    assert command_of(text) == command


def test_prefixes_are_a_connections_own_and_without_any_there_are_no_commands() -> None:
    assert command_of("!points", ("!", "#")) == Command("points")
    assert command_of("/points", ("!",)) is None
    assert command_of("打卡", ("!",)) == Command("checkin")
    assert command_of("打卡", ()) is None


@given(st.text(max_size=100))
def test_of_what_somebody_wrote_only_a_code_is_kept(text: str) -> None:
    found = command_of(text)
    assert found is None or found.name in WORDS.values()
    assert found is None or found.code == "" or len(found.code.replace("-", "")) == 8


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


async def connected(place: Place, **more: Any) -> dict[str, Any]:
    reply = await place.client.post("/v1/connections", json={"platform": "onebot-v11", "name": "our bot", **more})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def message(text: str, at: float, number: int = 7) -> dict[str, Any]:
    return {
        "post_type": "message", "message_type": "group", "sub_type": "normal", "time": int(at), "self_id": 700001,
        "user_id": 9001, "group_id": 100, "message_id": 4000 + number, "real_seq": number,
        "message": [{"type": "text", "data": {"text": text}}], "sender": {"user_id": 9001},
    }  # fmt: skip


async def post(place: Place, made: dict[str, Any], body: dict[str, Any]) -> Any:
    content = json.dumps(body).encode()
    secret = made["secret"]["secrets"]["secret"].encode()
    headers = {"X-Signature": "sha1=" + hmac.new(secret, content, hashlib.sha1).hexdigest()}
    return await place.client.post(f"/v1/hooks/{made['id']}", content=content, headers=headers)


async def told(events: Events) -> list[Activity]:
    await events.settle()
    return [e for e in await on_the_log(events.log, ACTIVITY_TOPIC) if isinstance(e, Activity)]


async def test_a_check_in_by_chat_is_a_message_a_check_in_and_a_command_in_this_order(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    assert (await post(place, made, message("/checkin", events.clock().timestamp()))).status_code == 204
    written, checkin, command = await told(events)
    assert [a.type for a in (written, checkin, command)] == ["message.created", "checkin.submitted", "command.invoked"]
    assert written.data["command"] == "checkin"
    assert command.data["counts"] == checkin.id
    assert {a.actor for a in (written, checkin, command)} == {"qq:9001"}
    assert {a.group for a in (written, checkin, command)} == {"qq:100"}
    assert command.connection_id is not None
    assert (command.data["ref"], command.subject) == ("4007", "7")


async def test_the_same_command_delivered_again_or_by_a_second_bot_is_one_command(events: Events, place: Place) -> None:
    one, two = await connected(place), await connected(place, name="second bot")
    body = message("打卡", events.clock().timestamp())
    for made in (one, one, two):
        assert (await post(place, made, body)).status_code == 204
    await events.settle()
    assert [len(await place.timeline(type=t)) for t in ("message.created", "checkin.submitted", "command.invoked")] == [
        1, 1, 1,
    ]  # fmt: skip


async def test_what_follows_a_command_stays_at_the_door(events: Events, place: Place) -> None:
    made = await connected(place)
    for number, text in enumerate(["/points please tell me marmalade", "/bind marmalade sandwich", "/stop marmalade!"]):
        await post(place, made, message(text, events.clock().timestamp(), 10 + number))
    commands = [a for a in await told(events) if a.type == "command.invoked"]
    assert [(a.data["command"], a.data.get("arguments")) for a in commands] == [
        ("points", None),
        ("bind", None),
        ("stop", None),
    ]
    assert not any("marmalade" in str(a.data) for a in await told(events))


async def test_a_connection_says_what_its_commands_begin_with(events: Events, place: Place) -> None:
    made = await connected(place, command_prefixes=["!"])
    assert made["command_prefixes"] == ["!"]
    now = events.clock().timestamp()
    await post(place, made, message("/points", now, 1))
    await post(place, made, message("!points", now, 2))
    changed = await place.client.patch(f"/v1/connections/{made['id']}", json={"command_prefixes": []})
    assert changed.json()["command_prefixes"] == []
    events.clock.advance(timedelta(seconds=3))
    await post(place, made, message("!points", now, 3))
    assert [a.data["command"] for a in await told(events) if a.type == "command.invoked"] == ["points"]


@pytest.mark.parametrize("wrong", [["a b"], ["four"], ["/"] * 6, "/", [""]])
async def test_prefixes_that_are_none_are_refused(place: Place, wrong: Any) -> None:
    body = {"platform": "onebot-v11", "name": "our bot", "command_prefixes": wrong}
    assert (await place.client.post("/v1/connections", json=body)).status_code == 422


async def test_bots_give_no_commands(events: Events, place: Place) -> None:
    made = await connected(place)
    body = message("/points", events.clock().timestamp())
    body["user_id"] = 2854196305  # one of QQ's own robots
    await post(place, made, body)
    assert [a.type for a in await told(events)] == ["message.created"]
