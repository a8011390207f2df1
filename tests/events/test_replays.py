"""Stored activities sent once more: with everything they had, all of them, counted beforehand, by one replica (E16)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit.codec import decode
from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.events import Activity
from services.events import replaying
from services.events.handlers import replays as handlers
from tests.events.support import Events, Place, at, event

EVER = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop sleeps; the tests take its steps."""

    async def nothing(one: Any, me: UUID) -> int:
        return 0

    monkeypatch.setattr(replaying, "tick", nothing)


async def tick(events: Events, me: UUID | None = None) -> int:
    one = events.runtime.services["events"]
    async with one.db.read() as tx:
        rows = await handlers.store.running(tx)
    return sum([await handlers.step(one, row.id, me or ME, row.speed) for row in rows])


ME, OTHER = uuid4(), uuid4()


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("events:read", "events:write", "events:import", "events:replay")


async def begin(place: Place, **fields: Any) -> dict[str, Any]:
    reply = await place.client.post("/v1/replays", json={**EVER, **fields})
    assert reply.status_code == (200 if fields.get("dry_run") else 201), reply.text
    made: dict[str, Any] = reply.json()
    return made


async def again(events: Events) -> list[Activity]:
    """What replays have put on the log, in order."""
    subscription = await events.log.subscribe(f"test:{uuid4()}", [ACTIVITY_TOPIC])
    out = []
    try:
        while found := await subscription.fetch(1000, 0.05):
            out += [e.event for e in map(decode, found) if e is not None and isinstance(e.event, Activity)]
    finally:
        await subscription.close()
    return [a for a in out if a.replay_id is not None]


async def test_what_goes_on_the_log_again_is_what_stood_there_and_nothing_is_stored_twice(
    events: Events, place: Place
) -> None:
    await place.post(
        event(id="late", time=at(events.clock, days=-3), subject="s", data={"author": "qq:2", "deep": {"a": [1]}}),
        event(id="ahead", time=at(events.clock, hours=3)),
        event(id="nobody", data={"actor": None}),
    )
    await place.post(event(id="old", time="2012-01-01T00:00:00Z"), headers={"Guildhall-Import": "forum"})
    await events.settle()
    subscription = await events.log.subscribe("before", [ACTIVITY_TOPIC])
    before = await subscription.fetch(1000, 0.5)
    first = {e.event.id: e.event for e in map(decode, before) if e and isinstance(e.event, Activity)}
    keys = {decode(r).event.id: r.key for r in before if r.value and b'"source":"/bots' in r.value}  # type: ignore[union-attr]
    stored = await place.timeline()
    made = await begin(place)
    assert (made["state"], made["total"], made["sent"]) == ("running", 4, 0)
    assert await tick(events) == 4
    sent = await again(events)
    assert [a.id for a in sent][:2] == ["old", "late"]
    assert {a.id for a in sent} == first.keys() == {"old", "late", "nobody", "ahead"}
    for one in sent:
        for name in Activity.__dataclass_fields__:
            if name != "replay_id":
                assert getattr(one, name) == getattr(first[one.id], name), (one.id, name)
        assert one.replay_id == made["id"]
    await events.settle()
    assert await place.timeline() == stored
    assert (await place.get("/v1/imports/forum"))["stored"] == 1
    for record in await subscription.fetch(1000, 0.5):
        assert record.key == keys[decode(record).event.id]  # type: ignore[union-attr]
    await subscription.close()
    done = await place.get(f"/v1/replays/{made['id']}")
    assert (done["state"], done["sent"], done["from"]) == ("done", 4, EVER["from"])


async def test_a_dry_run_counts_what_a_run_sends(events: Events, place: Place) -> None:
    await place.post(
        *[
            event(data={"actor": f"qq:{n % 2}", "group": f"qq:{n % 3}"}, time=at(events.clock, minutes=-n))
            for n in range(12)
        ],
        *[event(type="poke") for _ in range(3)],
    )
    await events.settle()
    [member, *_] = {a["actor_id"] for a in await place.timeline() if a["actor"] == "qq:0"}
    choices: list[dict[str, Any]] = [
        {}, {"types": ["poke"]}, {"types": ["poke", "message.created"]}, {"members": [member]}, {"groups": ["qq:1"]},
        {"members": [member], "groups": ["qq:2"]}, {"from": at(events.clock, minutes=-5)},
        {"to": at(events.clock, minutes=-5)}, {"types": ["none"]},
    ]  # fmt: skip
    counts = []
    for choice in choices:
        dry = await begin(place, **choice, dry_run=True)
        assert (dry["id"], dry["state"], dry["sent"]) == (None, "dry_run", 0)
        made = await begin(place, **choice)
        assert await tick(events) == dry["total"] == made["total"]
        counts.append(dry["total"])
    assert counts == [15, 3, 15, 6, 4, 2, 9, 6, 0]
    assert len((await place.get("/v1/replays"))["items"]) == len(choices)


async def test_speed_pause_cancel_and_resume(events: Events, place: Place) -> None:
    await place.post(*[event(id=f"m{n:02}", time=at(events.clock, minutes=-60 + n)) for n in range(20)])
    await events.settle()
    made = await begin(place, speed=6)
    path = f"/v1/replays/{made['id']}"
    assert await tick(events) == 6
    for turn, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert (await place.client.post(f"{path}/{turn}")).json()["state"] == state
        assert await tick(events) == (6 if state == "running" else 0)
    assert (await place.client.post(f"{path}/pause")).json()["code"] == "replay_over"
    assert (await place.client.post(f"{path}/resume")).json()["state"] == "running"
    assert [await tick(events), await tick(events)] == [6, 2]
    assert [a.id for a in await again(events)] == [f"m{n:02}" for n in range(20)]
    for turn in ("pause", "resume", "cancel"):
        reply = await place.client.post(f"{path}/{turn}")
        assert (reply.status_code, reply.json()["code"]) == (409, "replay_over"), turn


async def test_one_at_a_time_of_a_community(events: Events, place: Place) -> None:
    made = await begin(place)
    reply = await place.client.post("/v1/replays", json=EVER)
    assert (reply.status_code, reply.json()["code"]) == (409, "replay_open")
    await place.client.post(f"/v1/replays/{made['id']}/cancel")
    second = await begin(place)
    reply = await place.client.post(f"/v1/replays/{made['id']}/resume")
    assert (reply.status_code, reply.json()["code"]) == (409, "replay_open")
    assert await tick(events) == 0
    assert (await place.get(f"/v1/replays/{second['id']}"))["state"] == "done"


async def test_two_replicas_send_each_activity_once_and_one_takes_over_from_one_that_was_killed(
    events: Events, place: Place
) -> None:
    await place.post(*[event(id=f"m{n:02}", time=at(events.clock, minutes=-60 + n)) for n in range(40)])
    await events.settle()
    await begin(place, speed=5)
    assert sum(await asyncio.gather(*(tick(events, who) for who in (ME, OTHER)))) == 5
    assert [await tick(events, OTHER), await tick(events, ME)] in ([5, 0], [0, 5])
    mine = await tick(events, ME)
    lost = ME if mine else OTHER
    heir = OTHER if mine else ME
    assert await tick(events, heir) == 0 or mine == 0
    events.clock.advance(handlers.LEASE + timedelta(seconds=1))
    while await tick(events, heir):
        assert await tick(events, lost) == 0
    ids = [a.id for a in await again(events)]
    assert ids == [f"m{n:02}" for n in range(40)]


async def test_killed_between_the_log_and_the_cursor_some_go_again_and_none_is_left_out(
    events: Events, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.post(*[event(id=f"m{n:02}", time=at(events.clock, minutes=-60 + n)) for n in range(10)])
    await events.settle()
    made = await begin(place, speed=4)

    async def killed(*args: Any, **named: Any) -> bool:
        raise ConnectionError("killed")

    with monkeypatch.context() as m:
        m.setattr(handlers, "_keep_place", killed)
        with pytest.raises(ConnectionError):
            await tick(events)
    while await tick(events):
        pass
    ids = [a.id for a in await again(events)]
    assert sorted(set(ids)) == [f"m{n:02}" for n in range(10)]
    assert len(ids) == 14
    assert (await place.get(f"/v1/replays/{made['id']}"))["sent"] == 10
    await events.settle()
    assert len(await place.timeline()) == 10


async def test_scopes_and_other_communities(events: Events, place: Place) -> None:
    made = await begin(place)
    other = await events.new_place("events:read", "events:write", "events:replay")
    path = f"/v1/replays/{made['id']}"
    for reply in (await other.client.get(path), *[await other.client.post(f"{path}/{t}") for t in ("pause", "cancel")]):
        assert (reply.status_code, reply.json()["code"]) == (404, "replay_unknown")
    assert (await other.get("/v1/replays"))["items"] == []
    poster = await events.new_key(place.id, "events:read", "events:write")
    for reply in (await poster.client.post("/v1/replays", json=EVER), await poster.client.post(f"{path}/pause")):
        assert (reply.status_code, reply.json()["scope"]) == (403, "events:replay")
    assert (await poster.get(path))["state"] == "running"
    await other.post(event(id="theirs"))
    await events.settle()
    await tick(events)
    assert await again(events) == []


async def test_a_replay_is_asked_for_once_and_bounded(place: Place) -> None:
    headers = {"Idempotency-Key": "one"}
    replies = [await place.client.post("/v1/replays", json=EVER, headers=headers) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    for wrong in ({"to": EVER["from"]}, {"speed": 0}, {"speed": 100_000}, {"types": ["t"] * 51}, {"what": 1}):
        reply = await place.client.post("/v1/replays", json={**EVER, **wrong})
        assert reply.status_code == 422, wrong


async def test_what_we_noticed_of_connections_is_not_sent(events: Events, place: Place) -> None:
    from kit.contracts.events import ConnectionStateChanged

    await events.hear(
        ConnectionStateChanged(
            community_id=place.id, connection_id=uuid4(), platform="github", name="n", state="down",
            since=events.clock(), reason="r",
        )
    )  # fmt: skip
    assert len(await place.timeline()) == 1
    assert (await begin(place, dry_run=True))["total"] == 0
