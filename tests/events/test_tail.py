"""The live tail: what is stored is shown at once, resumed without a gap, and never to another community."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from kit.contracts import activity_event_id, identity_member_id
from kit.contracts.rewards import ActivityScored, Decision
from services.events.store import activities as store
from tests.events.support import Events, Place, event
from tests.support.streams import Frame, Stream, lines_of


class Tail(Stream):
    async def some(self, count: int) -> list[Frame]:
        return [await self.next() for _ in range(count)]

    async def ends(self) -> bool:
        try:
            await self.next()
        except StopAsyncIteration:
            return True
        return False


@asynccontextmanager
async def tail(place: Place, after: str = "", **chosen: str) -> AsyncIterator[Tail]:
    async with lines_of(place.client, "/v1/events/stream", after, **chosen) as lines:
        yield Tail(lines)


def scored(place: Place, id: str, source: str = "/bots/one", amount: int = 1) -> ActivityScored:
    member = identity_member_id(place.id, "qq:1")
    decision = Decision(
        rule_id="message", rule_version=1, member_id=member, unit="points", verdict="granted", wanted=amount,
        amount=amount, transaction_id=uuid4(),
    )  # fmt: skip
    return ActivityScored(
        community_id=place.id, event_id=activity_event_id(place.id, source, id), event_type="message.created",
        actor_id=member, effective_at=datetime(2026, 11, 23, 9, tzinfo=UTC), history=False, decisions=(decision,),
    )  # fmt: skip


async def test_what_is_stored_and_decided_after_the_stream_opened_is_on_it(events: Events) -> None:
    await events.place.post(event(id="before"))
    await events.settle()
    async with tail(events.place) as live:
        await events.place.post(event(id="after", data={"author": "qq:2"}))
        first = await live.next()
        listed = await events.place.get("/v1/events/by-key", source="/bots/one", id="after")
        assert (first.event, first.data) == ("activity", listed)
        await events.hear(scored(events.place, "after", amount=7))
        second = await live.next()
        assert (second.event, second.data["event_id"]) == ("scored", listed["event_id"])
        assert second.data["decisions"][0]["amount"] == 7  # type: ignore[index]


async def test_a_stream_resumed_with_a_place_beyond_the_end_begins_at_the_first_record(events: Events) -> None:
    """As after a move to another log, whose offsets begin anew."""
    await events.place.post(event(id="since"))
    await events.settle()
    async with tail(events.place, "a0:1000000,a7:3,s0:1000000") as live:
        assert (await live.next()).data["id"] == "since"
        await events.place.post(event(id="next", data={"actor": "qq:2"}))
        assert (await live.next()).data["id"] == "next"


async def test_a_stream_resumed_by_its_last_id_shows_everything_since_exactly_once(events: Events) -> None:
    async with tail(events.place) as live:
        await events.place.post(*(event(id=f"a{n}", data={"actor": f"qq:{n}"}) for n in range(30)))
        seen = await live.some(11)
    await events.place.post(*(event(id=f"b{n}", data={"actor": f"qq:{n}"}) for n in range(30)))
    await events.hear(scored(events.place, "a3"), scored(events.place, "b3"))
    async with tail(events.place, seen[-1].id) as live:
        seen += await live.some(51)
    activities = [f.data["id"] for f in seen if f.event == "activity"]
    assert sorted(activities) == sorted(f"{x}{n}" for x in "ab" for n in range(30))
    assert [f.event for f in seen].count("scored") == 2


async def test_a_stream_resumed_again_and_again_at_every_frame_loses_nothing(events: Events) -> None:
    async with tail(events.place) as live:
        await events.place.post(*(event(id=f"m{n}", data={"actor": f"qq:{n}"}) for n in range(12)))
        seen = [await live.next()]
    while len(seen) < 12:
        async with tail(events.place, seen[-1].id) as live:
            seen.append(await live.next())
    assert sorted(str(f.data["id"]) for f in seen) == sorted(f"m{n}" for n in range(12))


async def test_nothing_of_another_community_is_on_a_stream_however_it_is_resumed(events: Events) -> None:
    other = await events.new_place()
    await other.post(*(event(id=f"secret{n}", data={"actor": f"qq:{n}"}) for n in range(5)))
    await events.hear(scored(other, "secret1"))
    beginning = ",".join(f"{s}{p}:0" for s in "as" for p in range(12))
    async with tail(events.place, beginning) as live:
        await other.post(event(id="secret9"))
        await events.settle()
        await events.place.post(event(id="ours"))
        assert (await live.next()).data["id"] == "ours"


async def test_a_stream_of_a_quiet_community_does_not_look_through_the_others_again(events: Events) -> None:
    other = await events.new_place()
    async with tail(events.place) as live:
        await other.post(*(event(data={"actor": f"qq:{n}"}) for n in range(50)))
        await events.settle()
        await events.place.post(event(id="ours", data={"actor": "qq:1"}))
        position = dict(part.split(":") for part in (await live.next()).id.split(","))
    async with events.db.read() as tx:
        ends = await store.tails(tx, stream="activity")
    assert {int(place[1:]): int(n) for place, n in position.items() if place[0] == "a"} == ends


BAD_IDS = ["x", "a1", "a1:", "a1:2,", "b1:2", "a1:-2", "a1:" + "9" * 30, "a" + "9" * 9 + ":1", "a١:٢"]


async def test_an_id_that_is_not_of_this_stream_is_refused(events: Events) -> None:
    for bad in BAD_IDS:
        reply = await events.place.client.get("/v1/events/stream", headers={"Last-Event-ID": bad.encode()})
        assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid"), bad


async def test_a_stream_ends_when_its_key_is_revoked(events: Events) -> None:
    reader = await events.new_key(events.place.id, "events:read")
    async with tail(reader) as live:
        await events.place.post(event())
        assert (await live.next()).event == "activity"
        await events.hear(replace(reader.key, version=2, revoked_at=events.clock()))
        events.clock.advance(timedelta(minutes=1))
        assert await live.ends()


async def test_a_stream_ends_when_the_platform_stops(events: Events) -> None:
    async with tail(events.place) as live:
        events.runtime.stopping.set()
        assert await live.ends()


async def test_a_stream_needs_the_scope_to_read(events: Events) -> None:
    writer = await events.new_key(events.place.id, "events:write")
    reply = await writer.client.get("/v1/events/stream")
    assert (reply.status_code, reply.json()["code"]) == (403, "scope_missing")
