"""More than a person does in a minute is stored and marked; an honest member is never (E20)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.floods import MOST, NOBODY, Floods
from services.events.handlers import limiting
from tests.events.support import LINES, STRUCTURED, Events, Place, at, event
from tests.events.test_connections import comment, connected, deliver

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)

acts = st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 4))


@given(st.lists(st.lists(acts, min_size=1, max_size=12), max_size=20), st.integers(1, 6))
def test_it_marks_what_counting_one_by_one_would_mark(requests: list[list[tuple[bytes, int]]], most: int) -> None:
    floods, counted = Floods(most), Counter[tuple[bytes, int]]()
    for number, request in enumerate(requests):
        times = [NOW - timedelta(minutes=minute, seconds=7) for _, minute in request]
        wanted = set()
        for index, act in enumerate(request):
            counted[act] += 1
            if counted[act] > most:
                wanted.add(index)
        # All within one span and the next: nothing is forgotten.
        received = NOW + timedelta(seconds=5 * number)
        assert floods.over([key for key, _ in request], times, received) == wanted


def test_what_came_long_ago_is_forgotten_and_memory_is_bounded() -> None:
    floods = Floods(1)
    assert floods.over([b"a"], [NOW], NOW) == NOBODY
    assert floods.over([b"a"], [NOW], NOW + timedelta(seconds=90)) == {0}
    assert floods.over([b"a"], [NOW], NOW + timedelta(minutes=5)) == NOBODY
    most = Floods(10)
    for n in range(3 * MOST // 500):
        most.over([b"%d" % (500 * n + i) for i in range(500)], [NOW] * 500, NOW)
    spans = [most._now, most._before]
    assert all(span is not None and len(span.totals) <= MOST for span in spans)


async def flags(events: Events) -> list[list[str]]:
    await events.settle()
    return [a["flags"] for a in reversed(await events.place.timeline(limit=200))]


@pytest.fixture
def few(events: Events) -> None:
    limiting.limits_of(events.runtime.services["events"]).floods = Floods(5)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("form", ["batch", "lines", "one by one", "nested"])
async def test_a_flood_is_stored_and_marked_beyond_the_limit(events: Events, form: str) -> None:
    more: dict[str, Any] = {"nested": {"deep": {"er": 1}}} if form == "nested" else {}
    first = [event(time=at(events.clock, minutes=-1, seconds=n), data=more) for n in range(1, 9)]
    if form in ("batch", "nested"):
        # The first request teaches the door its names; the second goes the short way.
        await events.place.post(*first[:2])
        await events.place.post(*first[2:])
    elif form == "lines":
        body = b"\n".join(map(msgspec.json.encode, first))
        await events.place.client.post("/v1/events", content=body, headers={"Content-Type": LINES})
    else:
        for one in first:
            await events.place.client.post("/v1/events", json=one, headers={"Content-Type": STRUCTURED})
    assert await flags(events) == [[]] * 5 + [["throttled"]] * 3
    [last, *_] = await events.place.timeline()
    assert (await events.place.get(f"/v1/events/{last['event_id']}/trace"))["stored"]["flags"] == ["throttled"]


@pytest.mark.usefixtures("few")
async def test_a_backfill_others_and_history_are_no_flood(events: Events) -> None:
    await events.place.post(*[event(time=at(events.clock, minutes=-n)) for n in range(30)])
    await events.place.post(*[event(data={"actor": f"qq:{n}"}) for n in range(2, 30)])
    await events.place.post(*[event(data={"actor": "qq:h"}) for n in range(30)], headers={"Guildhall-Import": "old"})
    await events.place.post(*[event(data={"actor": None}) for n in range(30)])
    assert {tuple(f) for f in await flags(events)} == {()}


async def test_the_mark_is_ours_alone(events: Events) -> None:
    reply = await events.place.post({**event(), "throttled": True})
    assert reply["results"][0]["error"]["code"] == "attribute_reserved"


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


@pytest.mark.usefixtures("few")
async def test_a_flood_through_a_connection_is_marked_too(events: Events, place: Place) -> None:
    made = await connected(place)
    for n in range(7):
        assert (await deliver(place, made, comment(n))).status_code == 204
    await events.settle()
    stored = await place.timeline()
    assert sorted(tuple(a["flags"]) for a in stored) == [()] * 5 + [("throttled",)] * 2


async def test_strangers_cannot_use_up_what_a_connection_may_send(events: Events, place: Place) -> None:
    made, other = await connected(place), await connected(place)
    one = events.runtime.services["events"]
    limiting.limits_of(one).connections = limiting.Rates(0.001, 2)
    limiting.limits_of(one).strangers = limiting.Rates(0.001, 10)
    for n in range(10):
        assert (await deliver(place, other, comment(n), secret="wrong")).status_code == 401
    reply = await deliver(place, other, comment(1), secret="wrong")
    assert (reply.status_code, reply.json()["code"]) == (429, "strangers_limited")
    assert int(reply.headers["retry-after"]) >= 1
    # Another connection is not held up, and has all of its own.
    assert [(await deliver(place, made, comment(n))).status_code for n in range(3)] == [204, 204, 429]


async def test_ids_of_no_connection_are_not_looked_up_for_ever(events: Events, place: Place) -> None:
    made = await connected(place)
    assert (await deliver(place, made, comment(1))).status_code == 204
    limiting.limits_of(events.runtime.services["events"]).strangers = limiting.Rates(0.001, 10)
    path = f"/v1/hooks/{events.place.id}"
    codes = [(await place.client.post(path)).status_code for _ in range(12)]
    assert codes == [404] * 10 + [429] * 2
    assert (await deliver(place, made, comment(2))).status_code == 204, "a connection that is known goes on"
