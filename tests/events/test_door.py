"""`POST /v1/events`: one door in three modes and by the line, one answer per item, nothing dropped in silence."""

import gzip
from typing import Any

import msgspec
import pytest

from tests.events.support import BATCHED, LINES, STRUCTURED, Events, at, event

# The door does not touch the database, so one engine tells as much as two.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

encode = msgspec.json.encode


async def send(events: Events, content_type: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    sent = {"Content-Type": content_type, **headers} if content_type else headers
    reply = await events.place.client.post("/v1/events", content=body, headers=sent)
    return reply.status_code, reply.json()


async def stored(events: Events) -> list[dict[str, Any]]:
    await events.settle()
    return await events.place.timeline(limit=200)


@pytest.mark.parametrize(
    "content_type",
    [STRUCTURED, f"{STRUCTURED}; charset=UTF-8", "Application/CloudEvents+JSON;charset=utf-8"],
)
async def test_structured_mode_takes_one_event(events: Events, content_type: str) -> None:
    status, body = await send(events, content_type, encode(event(id="a")))
    assert (status, body["accepted"]) == (200, 1)
    assert [e["id"] for e in await stored(events)] == ["a"]


async def test_a_batch_may_be_empty(events: Events) -> None:
    status, body = await send(events, BATCHED, b" [ ] ")
    assert (status, body["accepted"], body["rejected"], body["results"]) == (200, 0, 0, [])


async def test_a_batch_answers_for_every_item_in_order_and_keeps_the_good_ones(events: Events) -> None:
    items = [event(id="a"), {"id": "b"}, 7, event(id="c", type="guildhall.activity.x"), event(id="d")]
    status, body = await send(events, f"{BATCHED}; charset=UTF-8", encode(items))
    assert status == 200
    assert (body["accepted"], body["rejected"]) == (2, 3)
    assert [(r["index"], r["id"], r["status"]) for r in body["results"]] == [
        (0, "a", "accepted"),
        (1, "b", "rejected"),
        (2, None, "rejected"),
        (3, "c", "rejected"),
        (4, "d", "accepted"),
    ]
    assert [r["error"]["code"] for r in body["results"] if "error" in r] == [
        "attribute_missing",
        "schema_violation",
        "type_reserved",
    ]
    assert {e["id"] for e in await stored(events)} == {"a", "d"}


async def test_lines_are_events_one_each_and_a_broken_line_is_one_refused_item(events: Events) -> None:
    body = b"\n".join([encode(event(id="a")), b"", b"{broken", encode(event(id="b")), b""]) + b"\r\n"
    status, answer = await send(events, LINES, body)
    assert (status, answer["accepted"], answer["rejected"]) == (200, 2, 1)
    assert answer["results"][1]["error"]["code"] == "json_invalid"
    assert {e["id"] for e in await stored(events)} == {"a", "b"}


async def test_atomic_refuses_all_when_one_is_refused(events: Events) -> None:
    items = encode([event(id="a"), {"id": "b"}])
    reply = await events.place.client.post("/v1/events?atomic=true", content=items, headers={"Content-Type": BATCHED})
    body = reply.json()
    assert (reply.status_code, body["accepted"], body["rejected"]) == (422, 0, 2)
    assert [(r["retryable"], r["error"]["code"]) for r in body["results"]] == [
        (True, "atomic"),
        (False, "attribute_missing"),
    ]
    assert await stored(events) == []
    good = encode([event(id="a"), event(id="b")])
    done = await events.place.client.post("/v1/events?atomic=1", content=good, headers={"Content-Type": BATCHED})
    assert (done.status_code, done.json()["accepted"]) == (200, 2)


BINARY = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/bots/one", "ce-type": "poke"}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/x+json"])
async def test_binary_mode_reads_attributes_from_headers_and_data_from_the_body(
    events: Events, content_type: str
) -> None:
    headers = {**BINARY, "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-time": at(events.clock, hours=-1)}
    status, body = await send(events, content_type, b'{"actor":"qq:1"}', **headers)
    assert (status, body["results"]) == (200, [{"index": 0, "id": "b1", "status": "accepted"}])
    [one] = await stored(events)
    assert (one["subject"], one["actor"], one["occurred_at"]) == ("Euro € 😀", "qq:1", "2026-11-23T08:00:00Z")


async def test_binary_mode_takes_the_older_quoted_form_of_a_header(events: Events) -> None:
    status, _ = await send(events, "application/json", b"{}", **{**BINARY, "ce-subject": '"a \\"b\\" %41"'})
    assert status == 200
    assert [e["subject"] for e in await stored(events)] == ['a "b" A']


@pytest.mark.parametrize("content_type", ["", "application/json"])
async def test_binary_mode_needs_no_data(events: Events, content_type: str) -> None:
    status, body = await send(events, content_type, b"", **BINARY)
    assert (status, body["accepted"]) == (200, 1)
    assert [e["data"] for e in await stored(events)] == [{}]


@pytest.mark.parametrize("subject", ["%C0%A0", "%FF", "%E2%82"])
async def test_binary_mode_refuses_headers_that_are_not_utf8(events: Events, subject: str) -> None:
    status, body = await send(events, "application/json", b"{}", **{**BINARY, "ce-subject": subject})
    assert (status, body["code"]) == (400, "binary_invalid")


async def test_a_body_may_be_gzipped_in_one_member_or_several(events: Events) -> None:
    whole = encode([event(id=f"g{n}") for n in range(50)])
    once = gzip.compress(whole)
    twice = gzip.compress(encode(event(id="l1")) + b"\n") + gzip.compress(encode(event(id="l2")))
    assert (await send(events, BATCHED, once, **{"Content-Encoding": "gzip"}))[1]["accepted"] == 50
    assert (await send(events, LINES, twice, **{"Content-Encoding": "GZIP"}))[1]["accepted"] == 2
    assert len(await stored(events)) == 52


@pytest.mark.parametrize(
    "body",
    [b"not gzip", gzip.compress(b"[]")[:-4], gzip.compress(b"[]") + b"rest", b"\x1f\x8b"],
    ids=["no gzip", "cut off", "something behind", "two bytes"],
)
async def test_a_broken_gzip_body_is_refused_whole(events: Events, body: bytes) -> None:
    status, problem = await send(events, BATCHED, body, **{"Content-Encoding": "gzip"})
    assert (status, problem["code"]) == (400, "gzip_invalid")


async def test_a_bomb_is_refused_before_it_is_unpacked(events: Events) -> None:
    bomb = gzip.compress(b" " * 40_000_000)
    assert len(bomb) < 100_000
    status, problem = await send(events, BATCHED, bomb, **{"Content-Encoding": "gzip"})
    assert (status, problem["code"], problem["limit"]) == (413, "body_too_large", 1024 * 1024)


async def test_what_stands_at_the_limits_is_taken_and_one_more_is_not(events: Events) -> None:
    assert (await send(events, BATCHED, encode([event() for _ in range(500)])))[1]["accepted"] == 500
    status, problem = await send(events, BATCHED, encode([event() for _ in range(501)]))
    assert (status, problem["code"], problem["limit"]) == (413, "too_many_events", 500)
    empty = encode(event(id="big", data={"x": ""}))
    full = event(id="big", data={"x": "y" * (64 * 1024 - len(empty))})
    assert (await send(events, STRUCTURED, encode(full)))[1]["accepted"] == 1
    full["data"]["x"] += "y"
    answer = (await send(events, STRUCTURED, encode(full)))[1]
    assert (answer["results"][0]["id"], answer["results"][0]["error"]["code"]) == ("big", "event_too_large")


async def test_a_large_body_that_does_not_tell_its_length_is_cut_off_at_the_limit(events: Events) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(40):
            yield b" " * 64 * 1024

    reply = await events.place.client.post("/v1/events", content=pieces(), headers={"Content-Type": BATCHED})
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


def deep(levels: int) -> bytes:
    return b'{"specversion":"1.0","id":"d","source":"/s","type":"poke","data":{"x":%s1%s}}' % (
        b"[" * (levels - 1),
        b"]" * (levels - 1),
    )


async def test_data_nests_up_to_a_depth_and_no_deeper(events: Events) -> None:
    assert (await send(events, STRUCTURED, deep(32)))[1]["accepted"] == 1
    for levels in (33, 200, 5000, 30_000):
        status, body = await send(events, STRUCTURED, deep(levels))
        code = body["results"][0]["error"]["code"] if status == 200 else body["code"]
        assert (status, code) in ((200, "too_deep"), (400, "too_deep")), levels
        status, body = await send(events, BATCHED, b"[" + deep(levels) + b"," + encode(event()) + b"]")
        assert (status, body.get("accepted"), body.get("code")) in ((200, 1, None), (400, None, "too_deep")), levels


async def test_unusual_json_is_stored_as_it_means(events: Events) -> None:
    body = (
        b' {"specversion":"1.0","id":"\\u00e9\\ud83d\\ude00","source":"/s","type":"poke","time":null, "extra":[1],'
        b'"id":"last", "data":{"n":18446744073709551615,"f":-0.25,"s":"\\u2028","e":{}, "actor":"qq:a\\u00e9"}} \n'
    )
    assert (await send(events, STRUCTURED, body))[1]["results"][0]["id"] == "last"
    [one] = await stored(events)
    assert one["data"] == {"n": 18446744073709551615, "f": -0.25, "s": "\u2028", "e": {}, "actor": "qq:aé"}
    assert one["occurred_at"] == "2026-11-23T09:00:00Z"


async def test_base64_data_is_unpacked_when_it_is_json(events: Events) -> None:
    packed = event(id="p", data_base64="eyJhY3RvciI6InFxOjUifQ==")
    del packed["data"]
    await events.place.post(packed)
    assert [(e["actor"], e["data"]) for e in await stored(events)] == [("qq:5", {"actor": "qq:5"})]


async def test_when_the_log_cannot_write_nothing_is_accepted_and_the_caller_is_told_to_retry(events: Events) -> None:
    await events.log.stop()
    reply = await events.place.client.post("/v1/events", json=event(), headers={"Content-Type": STRUCTURED})
    assert (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (503, "log_unavailable", "1")
    await events.log.start()
