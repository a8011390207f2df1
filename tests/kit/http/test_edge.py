"""The outermost layer: request ids, the limit of a body, gzip, and what is counted."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from tests.kit.stand import Stand

LIMIT = 10_000  # max_body_bytes of the fixture
ECHO = "/v1/scratch/echo"
GZIP = {"Content-Encoding": "gzip"}

served = pytest.mark.parametrize("stand", ["in process", "served"], indirect=True)
on_a_socket = pytest.mark.parametrize("stand", ["served"], indirect=True)


async def pieces(*bodies: bytes) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body


async def test_a_sane_request_id_is_taken_over_and_any_other_is_replaced(stand: Stand) -> None:
    for given, kept in (("abc-1.2:3_4", True), ("with space", False), ("a" * 101, False), ("a\tb", False)):
        reply = await stand.client.get("/healthz", headers={"X-Request-Id": given})
        got = reply.headers["x-request-id"]
        assert (got == given) is kept
        assert 0 < len(got) <= 100


async def test_two_requests_without_an_id_get_two(stand: Stand) -> None:
    ids = {(await stand.client.get("/healthz")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


@served
async def test_a_body_as_large_as_the_limit_is_taken_and_one_byte_more_is_not(stand: Stand) -> None:
    assert (await stand.client.post(ECHO, content=b"x" * LIMIT)).json()["bytes"] == LIMIT
    reply = await stand.client.post(ECHO, content=b"x" * (LIMIT + 1))
    assert (reply.status_code, reply.json()["code"], reply.json()["limit"]) == (413, "body_too_large", LIMIT)


@on_a_socket
async def test_a_body_of_unknown_length_is_counted_as_it_comes(stand: Stand) -> None:
    fits = await stand.client.post(ECHO, content=pieces(*[b"x" * 1000] * 10))
    assert fits.json()["bytes"] == LIMIT
    reply = await stand.client.post(ECHO, content=pieces(*[b"x" * 1000] * 11))
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


@served
async def test_a_gzipped_body_arrives_unpacked(stand: Stand) -> None:
    reply = await stand.client.post(ECHO, content=gzip.compress(b"hello " * 1000), headers=GZIP)
    assert reply.json() == {"bytes": 6000, "text": ("hello " * 17)[:100]}


@on_a_socket
async def test_a_gzipped_body_in_many_pieces_arrives_unpacked(stand: Stand) -> None:
    packed = gzip.compress(bytes(range(256)) * 30, 0)
    cut = [packed[i : i + 50] for i in range(0, len(packed), 50)]
    reply = await stand.client.post(ECHO, content=pieces(*cut), headers=GZIP)
    assert reply.json()["bytes"] == 256 * 30


@served
async def test_the_limit_holds_for_what_a_gzipped_body_unpacks_to(stand: Stand) -> None:
    fits = await stand.client.post(ECHO, content=gzip.compress(b"x" * LIMIT), headers=GZIP)
    assert fits.json()["bytes"] == LIMIT
    bomb = gzip.compress(b"\x00" * 50_000_000)
    for body in (gzip.compress(b"x" * (LIMIT + 1)), bomb):
        reply = await stand.client.post(ECHO, content=body, headers=GZIP)
        assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


@served
async def test_several_gzip_members_in_a_row_all_arrive(stand: Stand) -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert (await stand.client.post(ECHO, content=body, headers=GZIP)).json()["text"] == "one two"
    halves = gzip.compress(b"x" * (LIMIT // 2)) + gzip.compress(b"x" * (LIMIT // 2 + 1))
    assert (await stand.client.post(ECHO, content=halves, headers=GZIP)).status_code == 413
    assert (await stand.client.post(ECHO, content=body + b"rubbish", headers=GZIP)).status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"no gzip at all", gzip.compress(b"x" * 5000)[:-9], b"\x1f", zlib.compress(b"x")],
    ids=["text", "cut off", "one byte", "zlib"],
)
async def test_what_is_no_gzip_or_ends_too_early_is_refused(stand: Stand, body: bytes) -> None:
    reply = await stand.client.post(ECHO, content=body, headers=GZIP)
    assert (reply.status_code, reply.json()["code"]) == (400, "gzip_invalid")


async def test_an_encoding_we_do_not_take_is_refused_by_name(stand: Stand) -> None:
    reply = await stand.client.post(ECHO, content=b"x", headers={"Content-Encoding": "br"})
    assert (reply.status_code, reply.json()["code"]) == (415, "encoding_unsupported")
    assert "br" in reply.json()["detail"]


async def test_a_body_is_limited_also_where_a_model_reads_it(stand: Stand) -> None:
    reply = await stand.client.post("/v1/scratch/things", json={"name": "a", "parts": [1] * 20_000})
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


async def test_a_refused_body_has_a_request_id_like_every_reply(stand: Stand) -> None:
    reply = await stand.client.post(ECHO, content=b"x" * (LIMIT + 1), headers={"X-Request-Id": "mine"})
    assert (reply.headers["x-request-id"], reply.json()["request_id"]) == ("mine", "mine")


def counted(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("guildhall_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_route_and_never_by_address(stand: Stand) -> None:
    template = "/v1/scratch/refusals/{name}"
    before = counted("GET", template, 400), counted("GET", template, 500), counted("ANY", "unmatched", 404)
    await stand.client.get("/v1/scratch/refusals/bad")
    await stand.client.get("/v1/scratch/refusals/bug")
    await stand.client.get("/v1/nowhere/of-any-kind")
    await stand.client.request("BREW", "/v1/another/place")
    after = counted("GET", template, 400), counted("GET", template, 500), counted("ANY", "unmatched", 404)
    assert after == (before[0] + 1, before[1] + 1, before[2] + 2)
    text = (await stand.client.get("/metrics")).text
    assert "nowhere" not in text
    assert "BREW" not in text


@on_a_socket
async def test_a_client_that_hangs_up_in_mid_body_leaves_the_server_at_work_and_is_no_error(stand: Stand) -> None:
    before = counted("POST", ECHO, 500), counted("POST", ECHO, 499)
    host, port = stand.client.base_url.host, stand.client.base_url.port
    for _ in range(5):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /v1/scratch/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await stand.client.post(ECHO, content=b"whole")).json()["bytes"] == 5
    async with asyncio.timeout(30):
        while counted("POST", ECHO, 499) < before[1] + 5:
            await asyncio.sleep(0.01)
    assert counted("POST", ECHO, 500) == before[0]


async def test_what_every_process_answers(stand: Stand) -> None:
    assert (await stand.client.get("/healthz")).json() == {"status": "ok"}
    limits = (await stand.client.get("/v1/limits")).json()
    assert limits["body_bytes"] == LIMIT
    assert (limits["page_default"], limits["page_max"]) == (50, 200)
    assert "text/html" in (await stand.client.get("/docs")).headers["content-type"]
    paths = (await stand.client.get("/openapi.json")).json()["paths"]
    assert {"/v1/scratch/echo", "/v1/dead-letters", "/readyz"} <= paths.keys()


@on_a_socket
async def test_a_body_that_states_its_length_twice_is_refused_or_counted(stand: Stand) -> None:
    """Content-Length beside chunks: the smaller figure must not open the door for the larger body."""
    host, port = stand.client.base_url.host, stand.client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"POST /v1/scratch/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\n\r\n"
    )
    async with asyncio.timeout(30):
        status = (await reader.readline()).split()[1]
    writer.close()
    assert status in (b"400", b"413")
