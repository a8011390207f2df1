"""What was acknowledged is stored once, in order, with its times, and its people announced once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import msgspec
from sqlalchemy import delete

from kit.consumer import Consumer
from kit.contracts import ACTIVITY_TOPIC, activity_event_id, identity_member_id
from kit.log import LogUnavailable, Position, Record
from kit.log.embedded import EmbeddedLog
from tests.events.support import BATCHED, Events, at, event, serving
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


async def test_a_posted_activity_is_on_the_timeline_as_it_was_sent(events: Events) -> None:
    sent = event(
        id="a1", subject="77", time=at(events.clock, minutes=-2), data={"reply_to": "76", "own": {"deep": [1]}}
    )
    answer = await events.place.post(sent)
    assert (answer["accepted"], answer["rejected"]) == (1, 0)
    assert answer["results"] == [{"index": 0, "id": "a1", "status": "accepted"}]
    await events.settle()
    [stored] = await events.place.timeline()
    assert stored == {
        "event_id": str(activity_event_id(events.place.id, "/bots/one", "a1")),
        "connection_id": None,
        "source": "/bots/one",
        "id": "a1",
        "type": "message.created",
        "subject": "77",
        "actor": "qq:1",
        "actor_id": str(identity_member_id(events.place.id, "qq:1")),
        "author": None,
        "author_id": None,
        "group": "qq:100",
        "occurred_at": "2026-11-23T08:58:00Z",
        "received_at": "2026-11-23T09:00:00Z",
        "effective_at": "2026-11-23T08:58:00Z",
        "import_name": None,
        "replay_id": None,
        "flags": [],
        "problem": None,
        "data": sent["data"],
    }
    assert await events.place.get("/v1/events/by-key", source="/bots/one", id="a1") == stored
    assert await events.place.get(f"/v1/events/{stored['event_id']}") == stored


async def test_one_event_twice_in_a_body_is_accepted_twice_and_stored_once(events: Events) -> None:
    sent = event(data={"actor": "qq:9"})
    answer = await events.place.post(sent, sent, sent)
    assert [r["status"] for r in answer["results"]] == ["accepted"] * 3
    await events.settle()
    assert len(await events.place.timeline()) == 1
    [seen] = [t for t in (await events.place.get("/v1/event-types"))["items"] if t["seen"]]
    assert (seen["type"], seen["seen"]) == ("message.created", 1)
    assert [o.identity for o in await events.observed()] == ["qq:9"]


async def test_an_event_sent_again_later_changes_nothing_even_with_other_content(events: Events) -> None:
    await events.place.post(event(id="m1", subject="first"))
    await events.settle()
    answer = await events.place.post(event(id="m1", subject="second"))
    assert answer["accepted"] == 1
    await events.settle()
    assert [e["subject"] for e in await events.place.timeline()] == ["first"]


async def test_a_source_is_part_of_the_identity(events: Events) -> None:
    await events.place.post(event(id="m1", source="/bots/one"), event(id="m1", source="/bots/two"))
    await events.settle()
    assert {e["source"] for e in await events.place.timeline()} == {"/bots/one", "/bots/two"}


async def test_a_community_is_part_of_the_identity(events: Events) -> None:
    other = await events.new_place()
    sent = event(id="m1")
    await events.place.post(sent)
    await other.post(sent)
    await events.settle()
    [ours], [theirs] = await events.place.timeline(), await other.timeline()
    assert ours["event_id"] != theirs["event_id"]
    assert ours["actor_id"] != theirs["actor_id"]


async def test_source_and_id_cannot_be_shifted_into_one_another(events: Events) -> None:
    await events.place.post(event(source="/a", id="b/c"), event(source="/a/b", id="c"))
    await events.settle()
    assert len(await events.place.timeline()) == 2


async def test_a_consumer_that_reads_everything_again_stores_nothing_twice(events: Events) -> None:
    """The offset of a batch can be lost after its commit; and the inbox forgets after a month."""
    await events.place.post(*(event(id=f"m{n}") for n in range(20)))
    await events.settle()
    async with events.db.begin() as tx:
        await tx.execute(delete(events.db.table("inbox")))
    one = events.runtime.services["events"]
    again = Consumer(one, ACTIVITY_TOPIC, one.handlers)
    again.group = f"again:{ACTIVITY_TOPIC}"
    events.runtime.consumers.append(again)
    reading = asyncio.create_task(again.run(events.runtime.stopping))
    await events.settle()
    assert len(await events.place.timeline(limit=200)) == 20
    [seen] = [t for t in (await events.place.get("/v1/event-types"))["items"] if t["seen"]]
    assert seen["seen"] == 20
    assert len(await events.observed()) == 1
    events.runtime.stopping.set()
    await reading


async def test_the_activities_of_a_member_keep_their_order(events: Events) -> None:
    for start in range(0, 60, 20):
        await events.place.post(*(event(id=f"{n:03}", data={"actor": f"qq:{n % 3}"}) for n in range(start, start + 20)))
    await events.settle()
    rows = sorted(await events.rows("activities"), key=lambda r: (r.log_partition, r.log_offset))
    for actor in ("qq:0", "qq:1", "qq:2"):
        mine = [r for r in rows if r.actor == actor]
        assert len({r.log_partition for r in mine}) == 1
        assert [r.source_id for r in mine] == sorted(r.source_id for r in mine)


async def test_people_are_announced_once_each_with_the_first_sight_of_them(events: Events) -> None:
    early, late = at(events.clock, hours=-5), at(events.clock, hours=-1)
    await events.place.post(
        event(time=late, data={"actor": "qq:1", "mentions": ["qq:2", "nonsense", 7, "member:x"]}),
        event(time=early, data={"actor": "qq:3", "author": "qq:1"}),
        event(data={"actor": "qq:4", "bot": True}),
        event(type="member.joined", data={"actor": "qq:4", "invited_by": "qq:5"}),
    )
    await events.settle()
    await events.place.post(event(data={"actor": "qq:3", "mentions": ["qq:2"]}))
    await events.settle()
    found = {o.identity: o for o in await events.observed()}
    assert len(await events.observed()) == len(found)
    assert {name: (o.first_seen_at.hour, o.is_bot) for name, o in found.items()} == {
        "qq:1": (4, False),
        "qq:2": (8, False),
        "qq:3": (4, False),
        "qq:4": (9, True),
        "qq:5": (9, False),
    }
    assert all(o.member_id == identity_member_id(events.place.id, name) for name, o in found.items())


async def test_a_member_named_by_id_is_nobody_new(events: Events) -> None:
    member = uuid4()
    await events.place.post(event(data={"actor": f"member:{member}"}))
    await events.settle()
    [stored] = await events.place.timeline(member=member)
    assert stored["actor_id"] == str(member)
    assert await events.observed() == []


async def test_an_activity_nobody_did_is_stored_without_an_actor(events: Events) -> None:
    bare = event(id="up", type="connection.up")
    del bare["data"]
    await events.place.post(bare, {**event(type="connection.down"), "data": None})
    await events.settle()
    assert [(e["actor"], e["data"]) for e in await events.place.timeline()] == [(None, {}), (None, {})]


async def test_what_people_wrote_is_reduced_before_it_reaches_the_log(events: Events) -> None:
    text = "see HTTPS://example.org 你好"
    await events.place.post(event(data={"text": text}), event(data={"text": "plain", "length": 99}))
    await events.settle()
    datas = [e["data"] for e in await events.place.timeline()]
    assert all("text" not in d for d in datas)
    assert {(d["length"], d["has_link"]) for d in datas} == {(len(text), True), (99, False)}
    assert b"example.org" not in (events.runtime.settings.data_dir / "log.sqlite").read_bytes()


class _AnswerLost(EmbeddedLog):
    """A log that dies between the durable append and the answer, as often as told, whoever appends."""

    deaths = 0

    async def append(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        done = await super().append(topic, records)
        if self.deaths:
            self.deaths -= 1
            raise LogUnavailable("the process went away after the append")
        return done


async def test_who_got_no_answer_sends_again_and_is_stored_once(
    make_database: MakeDatabase, clock: ManualClock, tmp_path: Path
) -> None:
    log = _AnswerLost(tmp_path / "log.sqlite", clock=clock)
    async with serving(await make_database("events"), log, clock, tmp_path) as events:
        log.deaths = 3
        batch = msgspec.json.encode([event(id=f"r{n}", data={"actor": f"qq:{n}"}) for n in range(9)])
        answers: list[int] = []
        while 200 not in answers:
            headers = {"Content-Type": BATCHED}
            answers.append((await events.place.client.post("/v1/events", content=batch, headers=headers)).status_code)
        assert answers[0] == 503
        await events.settle()
        assert sorted(e["id"] for e in await events.place.timeline()) == [f"r{n}" for n in range(9)]
        assert {o.identity for o in await events.observed()} == {f"qq:{n}" for n in range(9)}
