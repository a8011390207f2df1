"""Connections and the hooks they are reached at: made with a secret shown once, checked at every delivery, watched."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select

from deploy.local.postgres import PostgresServer
from kit.database import open_database
from kit.log.embedded import EmbeddedLog
from kit.migrations import migrate
from services.events import loops
from services.events import tables as t
from services.events.handlers import connections as handlers
from services.events.handlers.receiving import completed
from services.events.hearing import hearing_of
from services.events.receivers.form import Beat, Seen
from services.events.service import SERVICE
from tests.events import test_commands as chat
from tests.events.support import Events, Place, event, serving
from tests.events.test_tail import scored, tail
from tests.support.clock import ManualClock
from tests.support.http import client_of

MADE = {"platform": "github", "name": "repositories"}


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


async def connected(place: Place, **more: Any) -> dict[str, Any]:
    reply = await place.client.post("/v1/connections", json={**MADE, **more})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def comment(number: int, action: str = "created", sender: int = 12, **more: Any) -> dict[str, Any]:
    at = "2026-11-23T08:59:00Z"
    written = {"id": number, "user": {"id": 12}, "created_at": at, "updated_at": at, "body": "hello there"}
    return {
        "action": action,
        "issue": {"id": 77},
        "comment": written,
        "repository": {"id": 900},
        "sender": {"id": sender},
        **more,
    }


async def deliver(
    place: Place, made: dict[str, Any], body: dict[str, Any], *, event: str = "issue_comment", secret: str = ""
) -> httpx2.Response:
    content = json.dumps(body).encode()
    key = (secret or made["secret"]["secrets"]["secret"]).encode()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, content, "sha256").hexdigest(),
        "Content-Type": "application/json",
    }
    # Platforms bring no key of ours.
    async with client_of(place.client.base_url) as client:
        return await client.post(f"/v1/hooks/{made['id']}", content=content, headers=headers)


async def test_a_connection_is_made_with_its_address_its_secret_and_what_to_do(place: Place) -> None:
    made = await connected(place)
    assert made["url"].endswith(f"/v1/hooks/{made['id']}")
    assert made["secret"]["secrets"]["secret"] in made["secret"]["setup"]["snippet"]
    assert made["url"] in made["secret"]["setup"]["snippet"]
    assert (made["seen_at"], made["active"], made["down"]) == (None, True, False)
    for shown in (await place.get(f"/v1/connections/{made['id']}"), *(await place.get("/v1/connections"))["items"]):
        assert "secret" not in shown


async def test_the_secret_lies_nowhere_as_text(events: Events, place: Place) -> None:
    headers = {"Idempotency-Key": "once"}
    replies = [await place.client.post("/v1/connections", json=MADE, headers=headers) for _ in range(2)]
    first, again = (reply.json() for reply in replies)
    assert first == again
    assert replies[1].headers["idempotent-replayed"] == "true"
    secret = first["secret"]["secrets"]["secret"]
    async with events.db.read() as tx:
        for table in (t.connections, tx.database.table("idempotency")):
            for row in await tx.all(select(table)):
                assert not any(secret in str(value) or secret.encode() == value for value in row)


async def test_what_came_through_one_connection_is_found_by_it_and_watched_live(events: Events, place: Place) -> None:
    ours, other = await connected(place), await connected(place, name="others")
    async with tail(place, connection=ours["id"]) as live:
        await deliver(place, other, comment(1))
        await place.post(event(id="posted"))
        await deliver(place, ours, comment(2))
        await events.settle()
        listed = await place.timeline(connection=ours["id"])
        assert [one["connection_id"] for one in listed] == [ours["id"]]
        await events.hear(
            *(
                scored(place, one["id"], one["source"])
                for one in await place.timeline()
                if one["id"] != listed[0]["id"]
            ),
            scored(place, listed[0]["id"], listed[0]["source"]),
        )
        frames = [await live.next() for _ in range(2)]
    assert [(one.event, one.data["event_id"]) for one in frames] == [
        ("activity", listed[0]["event_id"]),
        ("scored", listed[0]["event_id"]),
    ]
    async with tail(place, after=frames[0].id, connection=ours["id"]) as live:
        again = await live.next()
    assert (again.event, again.data) == ("scored", frames[1].data)


async def test_another_communitys_connection_shows_nothing_of_it(events: Events, place: Place) -> None:
    made = await connected(place)
    await deliver(place, made, comment(1))
    await events.settle()
    stranger = await events.new_place("events:read")
    assert await stranger.timeline(connection=made["id"]) == []


async def test_what_a_platform_delivers_is_on_the_timeline_with_its_connection(events: Events, place: Place) -> None:
    made = await connected(place)
    reply = await deliver(place, made, comment(501))
    assert (reply.status_code, reply.content) == (204, b"")
    await events.settle()
    [stored] = await place.timeline()
    assert (stored["type"], stored["actor"], stored["source"]) == ("message.created", "github:12", "/platforms/github")
    assert "text" not in stored["data"]
    assert stored["data"]["length"] == len("hello there")
    assert stored["connection_id"] == made["id"]


async def test_a_delivery_sent_again_and_one_seen_by_two_connections_count_once(events: Events, place: Place) -> None:
    made, other = await connected(place), await connected(place, name="organisation")
    for connection in (made, made, other):
        assert (await deliver(place, connection, comment(501))).status_code == 204
    await events.settle()
    assert len(await place.timeline()) == 1


async def test_another_connections_secret_and_an_altered_body_are_refused(events: Events, place: Place) -> None:
    made, other = await connected(place), await connected(place)
    reply = await deliver(place, made, comment(1), secret=other["secret"]["secrets"]["secret"])
    assert (reply.status_code, reply.json()["code"]) == (401, "signature_wrong")
    await events.settle()
    assert await place.timeline() == []
    await loops.write_down(events.runtime.services["events"])
    assert (await place.get(f"/v1/connections/{made['id']}"))["today"] == {"refused": 1}


async def test_what_is_no_payload_is_refused_with_a_pointer_and_an_unknown_connection_with_a_reason(
    place: Place,
) -> None:
    made = await connected(place)
    content = b"[]"
    signature = hmac.new(made["secret"]["secrets"]["secret"].encode(), content, "sha256").hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "issues"}
    reply = await place.client.post(f"/v1/hooks/{made['id']}", content=content, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "payload_malformed")
    reply = await place.client.post(f"/v1/hooks/{place.id}", content=content, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (404, "connection_unknown")


async def test_for_a_while_both_secrets_work_and_then_the_new_one_alone(events: Events, place: Place) -> None:
    made = await connected(place)
    reply = await place.client.post(f"/v1/connections/{made['id']}/rotate", json={"overlap_seconds": 60})
    new = reply.json()["secret"]["secrets"]["secret"]
    events.clock.advance(timedelta(seconds=3))
    assert (await deliver(place, made, comment(1))).status_code == 204
    assert (await deliver(place, made, comment(2), secret=new)).status_code == 204
    events.clock.advance(timedelta(seconds=60))
    assert (await deliver(place, made, comment(3))).status_code == 401
    assert (await deliver(place, made, comment(4), secret=new)).status_code == 204


async def test_a_connection_switched_off_takes_nothing_until_it_is_on_again(events: Events, place: Place) -> None:
    made = await connected(place)
    for active, status in ((False, 403), (True, 204)):
        changed = await place.client.patch(f"/v1/connections/{made['id']}", json={"active": active})
        assert changed.json()["active"] is active
        events.clock.advance(timedelta(seconds=3))
        assert (await deliver(place, made, comment(1))).status_code == status


async def test_another_communitys_connection_is_not_found_and_a_scope_is_needed(events: Events, place: Place) -> None:
    made = await connected(place)
    stranger = await events.new_place("connections:write", "events:read", name="Others")
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "mine"}),
        ("POST", "/rotate", {"overlap_seconds": 0}),
    ):
        reply = await stranger.client.request(method, f"/v1/connections/{made['id']}{path}", json=body)
        assert reply.status_code == 404
    assert (await stranger.get("/v1/connections"))["items"] == []
    reader = await events.new_place("events:read", name="Readers")
    assert (await reader.client.post("/v1/connections", json=MADE)).status_code == 403


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({**MADE, "platform": "carrier-pigeon"}, "platform_unknown", "/platform"),
        ({**MADE, "settings": {"colour": "red"}}, "settings_invalid", "/settings"),
        ({**MADE, "secrets": {"password": "x"}}, "secrets_invalid", "/secrets"),
    ],
)
async def test_what_does_not_fit_the_platform_is_named(place: Place, body: Any, code: str, pointer: str) -> None:
    reply = await place.client.post("/v1/connections", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, code)
    assert reply.json()["errors"][0]["pointer"] == pointer


async def test_connections_are_listed_page_by_page_in_the_order_they_were_made(events: Events, place: Place) -> None:
    made = []
    for number in range(5):
        made.append((await connected(place, name=f"number {number}"))["id"])
        events.clock.advance(timedelta(milliseconds=5))
    seen, cursor = [], None
    while True:
        page = await place.get("/v1/connections", limit=2, cursor=cursor)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made
    assert (await place.client.get("/v1/connections", params={"cursor": "eyJ4Ijox"})).status_code == 400


async def test_while_the_database_is_away_deliveries_of_a_connection_seen_before_are_taken(
    postgres_server: PostgresServer, clock: ManualClock, tmp_path: Path
) -> None:
    server = PostgresServer(tmp_path / "pg", fsync=False)
    server.start()
    db = open_database(
        "events",
        clock,
        metadata=SERVICE.metadata,
        publishes=frozenset(SERVICE.publishes),
        url=server.create_database("e"),
    )
    try:
        await migrate(db, SERVICE.migrations)
        async with serving(db, EmbeddedLog(tmp_path / "log.sqlite", clock=clock), clock, tmp_path) as events:
            place = await events.new_place("connections:write", "events:read")
            made, unseen = await connected(place), await connected(place)
            bot = await chat.connected(place)
            assert (await deliver(place, made, comment(1))).status_code == 204
            assert (await chat.post(place, bot, chat.message("hello", clock().timestamp()))).status_code == 204
            await asyncio.to_thread(server.stop)
            clock.advance(timedelta(seconds=3))
            assert (await deliver(place, made, comment(2))).status_code == 204
            assert (await deliver(place, unseen, comment(2))).status_code == 503
            # A command is durable like anything else, although nobody can be asked for its answer.
            command = chat.message("/points", clock().timestamp(), 8)
            assert (await chat.post(place, bot, command)).status_code == 204
            await asyncio.to_thread(server.start)
            await events.settle()
            assert len(await place.timeline()) == 5
    finally:
        server.remove()


async def test_a_deletion_that_names_no_writer_finds_it_by_what_was_written(events: Events, place: Place) -> None:
    """As memory knows it, and as the database does after a restart."""
    made = await connected(place)
    assert (await deliver(place, made, comment(501))).status_code == 204
    await events.settle()
    one = events.runtime.services["events"]
    known = await handlers.known(one, UUID(made["id"]))
    gone = Seen(type="message.deleted", id="d1", about="comment:501", actor="github:5", group="github:repository/900")
    for _ in range(2):
        found = await completed(one, known, gone)
        assert (found.subject, found.author) == ("comment:501", "github:12")
        one.memory.pop("hearing", None)
    nobody = await completed(one, known, replace(gone, about="comment:9"))
    assert (nobody.subject, nobody.author) == ("comment:9", None)


async def test_who_misses_three_heartbeats_is_down_until_it_beats_again(events: Events, place: Place) -> None:
    made = await connected(place)
    one = events.runtime.services["events"]

    async def beat() -> None:
        id = UUID(made["id"])
        hearing_of(one).note(id, place.id, events.clock(), "ignored", 1, Beat(True, timedelta(seconds=15)))
        await loops.write_down(one)

    await beat()
    last = events.clock()
    events.clock.advance(timedelta(seconds=45))
    await loops.look_out(one)
    assert (await place.get(f"/v1/connections/{made['id']}"))["down"] is False
    events.clock.advance(timedelta(seconds=1))
    for _ in range(2):
        await loops.look_out(one)
    shown = await place.get(f"/v1/connections/{made['id']}")
    assert (shown["down"], shown["silent_since"]) == (True, last.isoformat().replace("+00:00", "Z"))
    [gap] = shown["gaps"]
    assert (gap["kind"], gap["until"]) == ("heartbeat", None)
    events.clock.advance(timedelta(minutes=10))
    await beat()
    await loops.look_out(one)
    shown = await place.get(f"/v1/connections/{made['id']}")
    assert (shown["down"], shown["silent_since"]) == (False, None)
    assert shown["gaps"][0]["until"] == events.clock().isoformat().replace("+00:00", "Z")
    await events.settle()
    assert [a["type"] for a in await place.timeline()] == ["connection.up", "connection.down"]


async def test_who_says_it_goes_offline_is_down_at_once_and_up_when_it_says_so(events: Events, place: Place) -> None:
    made = await connected(place)
    one = events.runtime.services["events"]
    downs = []
    for beat in (Beat(True, timedelta(seconds=15)), Beat(True), Beat(False), Beat(True)):
        hearing_of(one).note(UUID(made["id"]), place.id, events.clock(), "ignored", 1, beat)
        await loops.write_down(one)
        events.clock.advance(timedelta(seconds=1))
        await loops.look_out(one)
        downs.append((await place.get(f"/v1/connections/{made['id']}"))["down"])
    assert downs == [False, False, True, False]
    events.clock.advance(timedelta(days=1))
    await loops.look_out(one)
    assert not (await place.get(f"/v1/connections/{made['id']}"))["down"], "it has not said when the next is due"


async def test_a_sign_without_an_interval_leaves_the_one_that_was_said(events: Events, place: Place) -> None:
    made = await connected(place)
    one = events.runtime.services["events"]
    for beat in (Beat(True, timedelta(seconds=15)), Beat(True)):
        hearing_of(one).note(UUID(made["id"]), place.id, events.clock(), "ignored", 1, beat)
        await loops.write_down(one)
        events.clock.advance(timedelta(seconds=1))
    events.clock.advance(timedelta(minutes=1))
    await loops.look_out(one)
    assert (await place.get(f"/v1/connections/{made['id']}"))["down"] is True


async def test_of_a_group_only_so_many_things_are_remembered_the_newest_ones(events: Events, place: Place) -> None:
    made = await connected(place)
    for number in range(12):
        at = f"2026-11-23T08:{number:02d}:00Z"
        body = comment(number)
        body["comment"] |= {"created_at": at, "updated_at": at}
        assert (await deliver(place, made, body)).status_code == 204
    await events.settle()
    await loops.thin(events.db, 5)
    async with events.db.read() as tx:
        left = [row.ref for row in await tx.all(select(t.written).order_by(t.written.c.at))]
        assert await tx.scalar(select(func.count()).select_from(t.activities)) == 12
    assert left == [f"comment:{number}" for number in range(7, 12)]


async def test_what_came_through_a_connection_has_its_text_kept_like_anything_else(events: Events) -> None:
    owner = await events.new_place(
        "connections:write", "events:read", "events:write", "events:text", "communities:write"
    )
    assert (await owner.client.put("/v1/events/settings", json={"keep_text_days": 7})).status_code == 200
    words = "Please read the new house rules before you post here, thanks everybody!"
    body = comment(5)
    body["comment"]["body"] = words
    await deliver(owner, await connected(owner), body)
    await events.settle()
    [stored] = await owner.timeline()
    assert (await owner.get(f"/v1/events/{stored['event_id']}/text"))["text"] == words
    assert (stored["data"]["language"], len(stored["data"]["similarity"])) == ("en", 16)
