"""Channels set up: secrets are not seen again, nobody else's are there, what could not work is refused."""

from typing import Any
from uuid import uuid4

import pytest

from tests.notify.chats import (
    maker,
    set_up,
)  # isort: skip  # fmt: skip
from tests.notify.support import Notify


async def test_secrets_are_never_shown_and_lie_sealed(notify: Notify) -> None:
    made = await set_up(notify.place, "telegram", "https://bots.example")
    client = await maker(notify.place)
    shown = [await client.get("/v1/channels"), await client.get(f"/v1/channels/{made['id']}")]
    shown.append(await client.patch(f"/v1/channels/{made['id']}", json={"secrets": {"token": "9:other-token"}}))
    assert all(reply.status_code == 200 and "token" not in reply.text for reply in shown)
    assert "token" not in str(made)
    [row] = await notify.rows("channels")
    assert b"token" not in bytes(row.sealed)


async def test_another_communitys_channel_is_not_there(notify: Notify) -> None:
    made = await set_up(notify.place, "telegram", "https://bots.example")
    stranger = await maker(await notify.new_place())
    path = f"/v1/channels/{made['id']}"
    replies = [await stranger.get(path), await stranger.patch(path, json={}), await stranger.delete(path)]
    assert [(r.status_code, r.json()["code"]) for r in replies] == [(404, "channel_unknown")] * 3
    assert (await stranger.get("/v1/channels")).json()["items"] == []
    reading = await notify.key(notify.place.id, "notify:read", "notify:write")
    assert (await reading.delete(path)).status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "pigeon"}, "channel_kind_unknown"),
        ({"kind": "telegram", "secrets": {}}, "secrets_invalid"),
        ({"kind": "telegram", "secrets": {"token": "a\nb"}}, "secrets_invalid"),
        ({"kind": "onebot", "settings": {}}, "settings_invalid"),
        ({"kind": "onebot", "settings": {"url": "http://x", "more": 1}}, "settings_invalid"),
        ({"kind": "onebot", "settings": {"url": "ftp://x"}}, "address_refused"),
        ({"kind": "onebot", "settings": {"url": "http://u:p@x"}}, "address_refused"),
        ({"kind": "onebot", "settings": {"url": "http://169.254.169.254"}}, "address_refused"),
        ({"kind": "onebot", "settings": {"url": "http://x?y=1"}}, "address_refused"),
    ],
)
async def test_a_channel_that_could_not_work_is_refused(notify: Notify, body: dict[str, Any], code: str) -> None:
    whole = {"connection_id": str(uuid4()), "secrets": {"token": "t"}, **body}
    reply = await (await maker(notify.place)).post("/v1/channels", json=whole)
    assert (reply.status_code, reply.json()["code"]) == (422, code)


async def test_a_connection_has_one_channel_and_a_repeated_request_makes_no_second(notify: Notify) -> None:
    client = await maker(notify.place)
    body = {"connection_id": str(uuid4()), "kind": "telegram", "secrets": {"token": "t"}}
    first = await client.post("/v1/channels", json=body, headers={"Idempotency-Key": "k"})
    again = await client.post("/v1/channels", json=body, headers={"Idempotency-Key": "k"})
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await client.post("/v1/channels", json=body)
    assert (other.status_code, other.json()["code"]) == (409, "channel_exists")
