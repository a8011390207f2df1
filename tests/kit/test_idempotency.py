"""One rule for every POST that creates or moves something: at most once per key, and the same reply (K12)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Request
from sqlalchemy import BigInteger, Column, Integer, String, Table, func, select
from starlette.responses import Response

from kit import idempotency
from kit.auth import Principal, caller
from kit.database import Database, Tx, insert_many, metadata_for
from kit.errors import Conflict
from kit.idempotency import Reply, once
from tests.kit.stand import Stand, standing
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")
MADE = Table(
    "made",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(50), nullable=False),
)
KEY = {"Idempotency-Key": "k-1"}
MAKE = "/v1/scratch/make"

router = APIRouter(prefix="/v1/scratch")
gates: dict[str, asyncio.Event] = {}


async def who(request: Request) -> Principal:
    return await caller(request.app.state.runtime.services["scratch"], request)


@router.post("/make")
@router.post("/make/{place}")
async def make(request: Request, principal: Annotated[Principal, Depends(who)], body: dict[str, Any]) -> Response:
    async def effect(tx: Tx) -> Reply:
        await insert_many(tx, MADE, [{"name": body["name"]}])
        if body["name"] in gates:
            await gates[body["name"]].wait()
        if body["name"] == "refused":
            raise Conflict("refused", code="scratch_refused")
        if body["name"] == "broken":
            raise RuntimeError
        number = await tx.scalar(select(func.max(MADE.c.id)))
        return Reply(201, {"number": number}, {"Location": f"/made/{number}"})

    return await once(request, request.app.state.runtime.services["scratch"].db, principal, effect)


@pytest.fixture
async def stand(
    scratch: Callable[[object], Awaitable[Database]], tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Stand]:
    gates.clear()
    async with standing(await scratch(METADATA), clock, tmp_path, router) as made:
        yield made


async def made(stand: Stand) -> list[str]:
    async with stand.db.read() as tx:
        return [row.name for row in await tx.all(select(MADE.c.name).order_by(MADE.c.id))]


async def test_the_same_key_and_body_get_the_same_reply_and_one_effect(stand: Stand) -> None:
    first = await stand.client.post(MAKE, json={"name": "a"}, headers=KEY)
    again = await stand.client.post(MAKE, json={"name": "a"}, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await made(stand) == ["a"]


async def test_without_a_key_every_request_has_its_effect(stand: Stand) -> None:
    for _ in range(2):
        assert (await stand.client.post(MAKE, json={"name": "a"})).status_code == 201
    assert await made(stand) == ["a", "a"]


async def test_the_same_key_with_another_body_or_query_is_422(stand: Stand) -> None:
    await stand.client.post(MAKE, json={"name": "a"}, headers=KEY)
    for path, name in ((MAKE, "b"), (f"{MAKE}?for=somebody", "a")):
        reply = await stand.client.post(path, json={"name": name}, headers=KEY)
        assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_key_reused")
    assert await made(stand) == ["a"]


async def test_a_key_belongs_to_its_credential_and_its_route(stand: Stand) -> None:
    _, other = await stand.key_known(stand.community)
    for path, headers in ((MAKE, {}), (f"{MAKE}/here", {}), (f"{MAKE}/there", {}), (MAKE, other)):
        reply = await stand.client.post(path, json={"name": "a"}, headers={**KEY, **headers})
        assert "idempotent-replayed" not in reply.headers
    assert len(await made(stand)) == 4


async def test_a_twin_of_a_request_still_running_is_told_to_come_again(stand: Stand) -> None:
    """On SQLite writers take turns, so the twin waits and gets the stored reply."""
    gates["slow"] = asyncio.Event()
    first = asyncio.create_task(stand.client.post(MAKE, json={"name": "slow"}, headers=KEY))
    twin = asyncio.create_task(stand.client.post(MAKE, json={"name": "slow"}, headers=KEY))
    if stand.db.dialect == "postgresql":
        async with asyncio.timeout(30):
            await asyncio.wait([first, twin], return_when=asyncio.FIRST_COMPLETED)
        done, running = (twin, first) if twin.done() else (first, twin)
        reply = done.result()
        assert (reply.status_code, reply.json()["code"]) == (409, "idempotency_running")
        assert reply.headers["retry-after"] == "1"
        gates["slow"].set()
        assert (await running).status_code == 201
    else:
        gates["slow"].set()
        assert {(await first).content} == {(await twin).content}
    again = await stand.client.post(MAKE, json={"name": "slow"}, headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert await made(stand) == ["slow"]


async def test_of_many_twins_at_once_one_has_its_effect(stand: Stand) -> None:
    replies = await asyncio.gather(*(stand.client.post(MAKE, json={"name": "a"}, headers=KEY) for _ in range(20)))
    assert {r.status_code for r in replies} <= {201, 409}
    assert len({r.content for r in replies if r.status_code == 201}) == 1
    assert await made(stand) == ["a"]


async def test_a_refusal_or_a_bug_is_not_kept_and_leaves_nothing(stand: Stand) -> None:
    for name, status in (("refused", 409), ("broken", 500)):
        for _ in range(2):
            reply = await stand.client.post(MAKE, json={"name": name}, headers=KEY)
            assert reply.status_code == status
            assert "idempotent-replayed" not in reply.headers
    assert await made(stand) == []
    assert (await stand.client.post(MAKE, json={"name": "mended"}, headers=KEY)).status_code == 201


async def test_a_request_that_dies_before_its_commit_leaves_neither_effect_nor_reply(stand: Stand) -> None:
    gates["slow"] = asyncio.Event()
    dying = asyncio.create_task(stand.client.post(MAKE, json={"name": "slow"}, headers=KEY))
    await asyncio.wait([dying], timeout=0.2)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    gates.clear()
    assert await made(stand) == []
    reply = await stand.client.post(MAKE, json={"name": "slow"}, headers=KEY)
    assert (reply.status_code, "idempotent-replayed" in reply.headers) == (201, False)


async def test_a_key_has_1_to_255_characters(stand: Stand) -> None:
    assert (
        await stand.client.post(MAKE, json={"name": "a"}, headers={"Idempotency-Key": "k" * 255})
    ).status_code == 201
    for key in ("", "k" * 256):
        reply = await stand.client.post(MAKE, json={"name": "a"}, headers={"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["code"]) == (400, "idempotency_key_invalid")


async def test_replies_are_forgotten_after_their_time_and_not_before(stand: Stand) -> None:
    await stand.client.post(MAKE, json={"name": "a"}, headers=KEY)
    stand.clock.advance(timedelta(hours=24))
    assert await idempotency.purge(stand.db, timedelta(hours=24)) == 0
    stand.clock.advance(timedelta(seconds=1))
    assert await idempotency.purge(stand.db, timedelta(hours=24)) == 1
    reply = await stand.client.post(MAKE, json={"name": "b"}, headers=KEY)
    assert (reply.status_code, await made(stand)) == (201, ["a", "b"])
