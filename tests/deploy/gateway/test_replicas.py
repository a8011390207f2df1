"""Several replicas behind the gateway: who is asked, what is asked again, and what is said when nobody can be."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from deploy.local.gateway import GatewayProcess
from tests.deploy.gateway.replica import Replica, served
from tests.support.gateway import PREFIXES, gateway_before
from tests.support.http import client_of

PATIENCE = 30.0


@pytest.fixture
async def two() -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas of every service."""
    async with AsyncExitStack() as stack:
        one, other = Replica("one"), Replica("other")
        for replica in (one, other):
            await stack.enter_async_context(served(replica))
        yield one, other


@pytest.fixture
def gateway(two: tuple[Replica, Replica], tmp_path: Path) -> Iterator[GatewayProcess]:
    targets = [replica.url.removeprefix("http://") for replica in two]
    with gateway_before(tmp_path, dict.fromkeys(PREFIXES, targets)) as process:
        yield process


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(gateway.url, timeout=PATIENCE) as one:
        yield one


async def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.05)


async def servers_up(gateway: GatewayProcess, backend: str) -> int:
    async with client_of(gateway.metrics_url) as asking:
        lines = (await asking.get("/metrics")).text.splitlines()
    return sum(
        line.startswith(f'haproxy_server_status{{proxy="{backend}"') and line.endswith('state="UP"} 1')
        for line in lines
    )


async def until_up(gateway: GatewayProcess, backend: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while await servers_up(gateway, backend) != count:
        assert time.monotonic() < deadline, f"{backend} has never had {count} replicas"
        await asyncio.sleep(0.1)


async def test_replicas_share_the_requests(two: tuple[Replica, Replica], client: httpx2.AsyncClient) -> None:
    for _ in range(40):
        assert (await client.get("/v1/boards")).status_code == 200
    assert min(len(replica.heard) for replica in two) > 0


async def test_a_replica_that_is_not_ready_is_not_asked(
    two: tuple[Replica, Replica], gateway: GatewayProcess, client: httpx2.AsyncClient
) -> None:
    one, _ = two
    one.ready = False
    await until_up(gateway, "rewards", 1)
    for _ in range(20):
        assert (await client.get("/v1/boards")).json()["replica"] == "other"
    one.ready = True
    await until_up(gateway, "rewards", 2)


async def test_when_no_replica_is_ready_those_that_are_alive_say_for_themselves_what_they_can(
    two: tuple[Replica, Replica], gateway: GatewayProcess, client: httpx2.AsyncClient
) -> None:
    for replica in two:
        replica.ready = False
    await until_up(gateway, "events", 0)
    assert (await client.post("/v1/events", json={})).status_code == 200


async def test_an_event_stream_is_asked_of_whoever_is_alive(
    two: tuple[Replica, Replica], gateway: GatewayProcess, client: httpx2.AsyncClient
) -> None:
    two[0].ready = False
    await until_up(gateway, "events", 1)
    answers = [(await client.get("/v1/events/stream")).json()["replica"] for _ in range(40)]
    assert set(answers) == {"one", "other"}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/v1/boards", {}),
        ("POST", "/v1/events", {}),
        ("POST", "/v1/entries", {"Idempotency-Key": "once"}),
    ],
)
async def test_what_may_happen_twice_is_asked_of_the_other_replica_when_one_breaks_off(
    two: tuple[Replica, Replica], client: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    one, other = two
    one.breaks = True
    for _ in range(20):
        reply = await client.request(method, path, json={"n": 1}, headers=headers)
        assert (reply.status_code, reply.json()["replica"]) == (200, "other")
    assert one.heard, "the broken one was never asked"
    assert {heard["bytes"] for heard in (*one.heard, *other.heard)} == {len(b'{"n":1}')}


async def test_what_must_not_happen_twice_is_not_asked_again(
    two: tuple[Replica, Replica], client: httpx2.AsyncClient
) -> None:
    for replica in two:
        replica.breaks = True
    reply = await client.post("/v1/entries", json={})
    body = reply.json()
    assert sum(len(replica.heard) for replica in two) == 1
    assert (reply.status_code, reply.headers["content-type"]) == (502, "application/problem+json")
    assert (body["code"], body["status"], body["request_id"]) == ("bad_gateway", 502, reply.headers["x-request-id"])
    assert int(reply.headers["retry-after"]) > 0


async def test_a_client_is_believed_nothing_about_where_it_comes_from(client: httpx2.AsyncClient) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
    }
    reply = await client.get("/v1/boards", headers={**forged, "Host": "guild.example"})
    heard = reply.json()["headers"]
    told = {name: value for name, value in heard.items() if "forwarded" in name or name == "x-real-ip"}
    assert told == {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}
    assert heard["host"] == "guild.example"


async def test_a_batch_of_the_largest_size_passes_whole(
    two: tuple[Replica, Replica], client: httpx2.AsyncClient
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 16384

    for content in (b"x" * 1048576, pieces()):
        reply = await client.post("/v1/events", content=content)
        assert (reply.status_code, reply.json()["bytes"]) == (200, 1048576)


async def test_a_replica_that_is_stopped_and_started_again_costs_nobody_an_answer(tmp_path: Path) -> None:
    one, other = Replica("one"), Replica("other")
    going = asyncio.Event()
    statuses: list[int] = []

    async def client(url: str) -> None:
        async with client_of(url, timeout=PATIENCE) as asking:
            while going.is_set():
                statuses.append((await asking.post("/v1/events", json={})).status_code)

    async with served(one), AsyncExitStack() as first:
        await first.enter_async_context(served(other))
        targets = [replica.url.removeprefix("http://") for replica in (one, other)]
        with gateway_before(tmp_path, dict.fromkeys(PREFIXES, targets)) as gateway:
            going.set()
            asking = [asyncio.create_task(client(gateway.url)) for _ in range(8)]
            await until(lambda: len(other.heard) > 20)
            await first.aclose()
            await until_up(gateway, "events", 1)
            heard = len(other.heard)
            async with served(other, int(other.url.rpartition(":")[2])):
                await until(lambda: len(other.heard) > heard + 20)
                going.clear()
                await asyncio.gather(*asking)
    assert set(statuses) == {200}


async def test_draining_ends_what_is_in_hand_and_takes_nothing_new(
    two: tuple[Replica, Replica], gateway: GatewayProcess
) -> None:
    for replica in two:
        replica.holds = asyncio.Event()
    async with client_of(gateway.url, timeout=PATIENCE) as first:
        asked = asyncio.create_task(first.get("/v1/boards"))
        await until(lambda: any(replica.came.is_set() for replica in two))
        gateway.drain()

        async def refused() -> bool:
            try:
                async with client_of(gateway.url) as late:
                    return (await late.get("/healthz")).status_code != 200
            except httpx2.TransportError:
                return True

        async with asyncio.timeout(PATIENCE):
            while not await refused():
                await asyncio.sleep(0.05)
        for replica in two:
            assert replica.holds is not None
            replica.holds.set()
        assert (await asked).status_code == 200
    assert await asyncio.to_thread(gateway.wait) == 0
