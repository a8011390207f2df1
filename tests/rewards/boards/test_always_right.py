"""Ranks are right where peers' were seen wrong: after an abandoned request, from the first moment of a process on while
others write, and at every replica at once.
"""

import asyncio
from dataclasses import replace
from random import Random
from uuid import UUID

import pytest

from kit.database import Database, open_database
from services.rewards.audits import boards as audit_boards
from services.rewards.service import SERVICE
from tests.rewards.boards.support import make_board, page, ranked
from tests.rewards.boards.test_finalising import place, replica
from tests.rewards.ledger.support import Place, check_books
from tests.rewards.serving import Rewards

assert place
assert replica


async def check(place: Place, db: Database | None = None) -> None:
    """Every line and every `me` is what sorting and counting everybody gives, and the board what its entries say."""
    one = db or place.db
    lines = await page(place, db=one)
    seen = [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]
    assert seen == ranked([(score, at, member) for _, member, score, at in seen], "competition")
    for line in lines.items:
        assert (await page(place, limit=1, member=line.member_id, db=one)).me == line
    async with one.read() as tx:
        assert await audit_boards(tx) == []


async def test_postings_abandoned_at_any_moment_leave_ranks_that_are_right(place: Place) -> None:
    await make_board(place)
    random = Random(5)

    async def post(amounts: list[tuple[UUID, int]]) -> None:
        await place.give(*[place.grant(member, amount) for member, amount in amounts])

    for _ in range(60):
        amounts = [(member, random.choice([1, 2, 2, 5])) for member in place.members]
        writing = [asyncio.create_task(post(amounts)) for _ in range(2)]
        for _ in range(random.randrange(12)):
            await asyncio.sleep(0.0005 * random.random())
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
    await place.give(*[place.grant(member, 1) for member in place.members])
    await check(place)
    await check_books(place.db)


async def test_a_caller_who_hangs_up_over_http_leaves_ranks_that_are_right(rewards: Rewards) -> None:
    guild = rewards.guild
    names = ("ann", "bob", "cat")
    for n in range(30):
        body = {"items": [{"identity": f"qq:{name}", "unit": "xp", "amount": 1, "reason": "x"} for name in names]}
        request = asyncio.create_task(rewards.client.post("/v1/entries/batch", json=body))
        await asyncio.sleep(0.001 * (n % 10))
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    reply = await rewards.client.post(
        "/v1/entries", json={"identity": "qq:ann", "unit": "xp", "amount": 1, "reason": "x"}
    )
    assert reply.status_code == 201
    body = await rewards.get("/v1/boards/xp")
    scores = [line["score"] for line in body["items"]]
    assert [line["rank"] for line in body["items"]] == [1 + sum(s > score for s in scores) for score in scores]
    assert body["items"][0]["score"] == await guild.has("ann")
    async with guild.db.read() as tx:
        assert await audit_boards(tx) == []


@pytest.mark.parametrize("writers", [1, 4])
async def test_a_process_that_starts_while_others_write_has_every_rank_at_once(place: Place, writers: int) -> None:
    await make_board(place)
    db = place.db
    url = "" if db.path else db.engine.url.render_as_string(hide_password=False)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await place.give(*[place.grant(member, n + 1) for n, member in enumerate(place.members)])

    writing = [asyncio.create_task(write()) for _ in range(writers)]
    try:
        for _ in range(8):
            started = open_database(
                "rewards", db.clock, metadata=db.metadata, publishes=SERVICE.publishes, url=url,
                directory=db.path.parent if db.path else None,
            )  # fmt: skip
            lines = await page(place, db=started)
            seen = [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]
            assert seen == ranked([(score, at, member) for _, member, score, at in seen], "competition")
            await started.close()
    finally:
        stop.set()
        await asyncio.gather(*writing)
    await check(place)


async def test_what_one_replica_wrote_the_other_ranks_at_once(place: Place, replica: Database) -> None:
    await make_board(place)
    random = Random(7)
    both = [place, replace(place, db=replica)]
    scores = dict.fromkeys(place.members, 0)
    for turn in range(40):
        writer, reader = both[turn % 2], both[1 - turn % 2]
        member, amount = random.choice(place.members), random.choice([1, 1, 2, 9])
        await writer.give(writer.grant(member, amount))
        scores[member] += amount
        me = (await page(place, limit=1, member=member, db=reader.db)).me
        assert me is not None
        assert (me.score, me.rank) == (scores[member], 1 + sum(s > scores[member] for s in scores.values()))
    await check(place, replica)
