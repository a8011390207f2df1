"""What the gateway answers itself, what it hides, and what it keeps to itself."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from deploy.local.gateway import targets_of
from tests.deploy.gateway.replica import Replica, served
from tests.support.gateway import MAX_BODY, PREFIXES, Grown, Through, gateway_before
from tests.support.http import client_of
from tests.support.platform import App

PROBLEM = "application/problem+json"


@pytest.fixture
async def anybody(grown: Grown) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a credential."""
    async with client_of(grown.gateway.url, timeout=60) as client:
        yield client


async def exchange(url: str, request: bytes) -> bytes:
    """Exactly these bytes, and everything that comes back until the connection is closed."""
    there = urlsplit(url)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return answer


def asked(path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: guild.example", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode()


def document(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-type: {PROBLEM}" in head.decode().lower()
    found: dict[str, object] = json.loads(body)
    return found


async def test_one_description_tells_of_all_services_as_the_embedded_one_does(
    anybody: httpx2.AsyncClient, app: App
) -> None:
    assert (await anybody.get("/openapi.json")).json() == (await app.client.get("/openapi.json")).json()


@pytest.mark.parametrize("path", ["/", "/docs", "/console/home.js", "/console/home.css", "/v1/limits"])
async def test_what_every_process_has_is_there(anybody: httpx2.AsyncClient, path: str) -> None:
    assert (await anybody.get(path)).status_code == 200


async def test_the_gateway_says_that_it_is_well(anybody: httpx2.AsyncClient) -> None:
    reply = await anybody.get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/readyz",
        "/metrics/",
        "//metrics",
        "/%6detrics",
        "/%6d%65trics",
        "/metrics%2f",
        "/./metrics",
        "/docs/../metrics",
        "/v1/../metrics",
        "/v1/boards/../../metrics",
        "/v1/boards/..%2f..%2fmetrics",
        "/console/../metrics",
        "/console/%2e%2e/readyz",
        "/metrics?x=/v1/boards",
        "/metrics;/v1/boards",
        "/metrics%00/v1/boards",
        "http://guild.example/metrics",
    ],
)
async def test_what_is_for_operators_is_nowhere_to_be_reached(grown: Grown, path: str) -> None:
    answer = await exchange(grown.gateway.url, asked(path))
    assert answer.split(b" ")[1] in (b"400", b"401", b"404"), answer
    assert b"guildhall_" not in answer.partition(b"\r\n\r\n")[2]


async def test_an_address_that_is_none_reads_as_it_does_without_a_gateway(
    anybody: httpx2.AsyncClient, app: App
) -> None:
    for path in ("/nowhere", "/v1/nowhere", '/v1/no"where', "/v1", "/v1/"):
        here, there = await anybody.get(path), await app.client.get(path)
        told, wanted = here.json(), there.json()
        assert told.pop("request_id") == here.headers["x-request-id"]
        wanted.pop("request_id")
        assert (here.status_code, here.headers["content-type"], told) == (404, PROBLEM, wanted)


async def test_dead_letters_are_asked_of_the_service_that_is_named(through: Through) -> None:
    for service in PREFIXES:
        reply = await through.client.get("/v1/dead-letters", params={"service": service})
        assert (reply.status_code, reply.json()["items"]) == (200, []), reply.text


async def test_a_request_keeps_the_id_it_came_with_and_gets_one_otherwise(anybody: httpx2.AsyncClient) -> None:
    for path in ("/v1/boards", "/nowhere", "/healthz"):
        kept = await anybody.get(path, headers={"X-Request-Id": "mine-1"})
        assert kept.headers.get_list("x-request-id") == ["mine-1"]
        made = [(await anybody.get(path)).headers.get_list("x-request-id") for _ in range(2)]
        assert [len(ids) for ids in made] == [1, 1]
        assert made[0] != made[1]
        replaced = await anybody.get(path, headers={"X-Request-Id": 'a b"<'})
        assert '"' not in replaced.headers["x-request-id"]


async def test_a_body_over_the_limit_is_refused_whoever_counts_it(through: Through) -> None:
    async def dripped() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"x" * 16384

    def is_refused(status: int, media: str, body: dict[str, object]) -> None:
        assert (status, media) == (413, PROBLEM)
        assert (body["code"], body["limit"]) == ("body_too_large", MAX_BODY)

    for content in (b"x" * (MAX_BODY + 1), b"x" * 3 * MAX_BODY, dripped()):
        reply = await through.client.post("/v1/events", content=content)
        is_refused(reply.status_code, reply.headers["content-type"], reply.json())
    # Announced but not sent: the gateway does not wait for what no service would read.
    lines = ("POST /v1/events HTTP/1.1", "Host: guild.example", f"Content-Length: {100 * MAX_BODY}", "", "")
    is_refused(413, PROBLEM, document(await exchange(through.url, "\r\n".join(lines).encode())))


async def test_a_bomb_is_refused_by_what_it_unpacks_to(through: Through) -> None:
    packed = gzip.compress(b"x" * 20_000_000)
    reply = await through.client.post("/v1/events", content=packed, headers={"Content-Encoding": "gzip"})
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


async def test_headers_and_addresses_have_limits(grown: Grown) -> None:
    url = grown.gateway.url
    large = document(await exchange(url, asked("/v1/boards", f"X-Large: {'x' * 17_000}")))
    assert (large["status"], large["code"]) == (431, "headers_too_large")
    long = document(await exchange(url, asked(f"/v1/boards?cursor={'x' * 9_000}")))
    assert (long["status"], long["code"]) == (414, "target_too_long")
    # Beyond what is kept of a request there is no request to answer with a document.
    for headers in ((f"X-Large: {'x' * 60_000}",), tuple(f"X-{n}: x" for n in range(200))):
        assert (await exchange(url, asked("/v1/boards", *headers))).split(b" ")[1] == b"400"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked, identity"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: -1",),
    ],
)
async def test_a_request_that_could_be_read_two_ways_is_not_read(grown: Grown, headers: tuple[str, ...]) -> None:
    lines = ("POST /v1/events HTTP/1.1", "Host: guild.example", *headers, "", "0\r\n\r\n")
    answer = await exchange(grown.gateway.url, "\r\n".join(lines).encode())
    assert answer.split(b" ")[1] in (b"400", b"501"), answer


async def test_the_access_log_has_no_secret(grown: Grown, anybody: httpx2.AsyncClient) -> None:
    headers = {
        "Authorization": "Bearer gh_live_SECRET",
        "Cookie": "guildhall_session=SECRET",
        "X-Request-Id": "seek-me",
    }
    await anybody.get("/v1/sessions/sign-in?token=SECRET", headers=headers)

    def lines() -> list[str]:
        return [line for line in grown.gateway.log.read_text().splitlines() if "seek-me" in line]

    async with asyncio.timeout(30):
        while not lines():
            await asyncio.sleep(0.05)
    entry = json.loads(lines()[0])
    told = (entry["method"], entry["path"], entry["status"], entry["backend"], entry["client"])
    assert told == ("GET", "/v1/sessions/sign-in", 410, "members", "127.0.0.1")
    assert "SECRET" not in grown.gateway.log.read_text()


async def test_who_drips_a_request_is_let_go(tmp_path: Path) -> None:
    replica = Replica("one")
    async with served(replica):
        with gateway_before(tmp_path, targets_of(dict.fromkeys(PREFIXES, replica.url))) as gateway:
            half_headers = b"GET /v1/boards HTTP/1.1\r\nHost: guild.example\r\n"
            half_body = b"POST /v1/events HTTP/1.1\r\nHost: guild.example\r\nContent-Length: 100\r\n\r\n{"
            answers = await asyncio.gather(*(exchange(gateway.url, part) for part in (half_headers, half_body)))
            assert [answer.split(b" ")[1] for answer in answers] == [b"408", b"408"]
            assert document(answers[1])["code"] == "request_timeout"
            assert replica.heard == []


async def test_one_address_may_not_take_all_connections(tmp_path: Path) -> None:
    replica = Replica("one")
    async with served(replica):
        targets = targets_of(dict.fromkeys(PREFIXES, replica.url))
        with gateway_before(tmp_path, targets, connections_per_address=3) as gateway:
            there = urlsplit(gateway.url)
            open_ones = [await asyncio.open_connection(there.hostname, there.port) for _ in range(3)]
            for reader, writer in open_ones:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: guild.example\r\n\r\n")
                assert (await asyncio.wait_for(reader.readline(), 30)).split(b" ")[1] == b"200"
            with pytest.raises(httpx2.TransportError):
                async with client_of(gateway.url) as one_more:
                    await one_more.get("/healthz")
            for _, writer in open_ones:
                writer.close()


async def test_a_service_that_is_dead_takes_only_its_own_routes_with_it(grown: Grown, through: Through) -> None:
    rewards = grown.installation.processes["rewards"]
    rewards.kill()
    try:
        reply = await through.client.get("/v1/boards")
        body = reply.json()
        assert (reply.status_code, reply.headers["content-type"], body["code"]) == (503, PROBLEM, "unavailable")
        assert body["request_id"] == reply.headers["x-request-id"]
        assert int(reply.headers["retry-after"]) > 0
        for path in ("/v1/members", "/v1/events", "/v1/messages", "/", "/openapi.json"):
            assert (await through.client.get(path)).status_code == 200, path
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "poke", "data": {"actor": "qq:1"}}
        media = {"Content-Type": "application/cloudevents+json"}
        assert (await through.client.post("/v1/events", json=event, headers=media)).json()["accepted"] == 1
    finally:
        await asyncio.to_thread(rewards.start)
    async with asyncio.timeout(60):
        while (await through.client.get("/v1/boards")).status_code != 200:
            await asyncio.sleep(0.1)
