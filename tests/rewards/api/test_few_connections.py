"""More callers than connections to the database: they wait for each other, and nobody for a second connection."""

import asyncio
from pathlib import Path

from kit.database import open_database
from services.rewards.service import SERVICE
from tests.rewards.ledger.support import check_books
from tests.rewards.serving import serving
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

CONNECTIONS, CALLERS = 2, 60
PATIENCE = 60


async def test_many_callers_of_every_kind_are_all_answered_over_two_connections(
    make_database: MakeDatabase, clock: ManualClock, tmp_path: Path
) -> None:
    wide = await make_database("rewards")
    url = "" if wide.path else wide.engine.url.render_as_string(hide_password=False)
    directory = wide.path.parent if wide.path else None
    narrow = open_database(
        "rewards",
        clock,
        metadata=wide.metadata,
        publishes=SERVICE.publishes,
        url=url,
        directory=directory,
        pool=CONNECTIONS,
    )
    try:
        async with serving(narrow, clock, tmp_path) as rewards, asyncio.timeout(PATIENCE):
            first = {"identity": "qq:ann", "unit": "xp", "amount": 1, "reason": "x"}
            entry = (await rewards.client.post("/v1/entries", json=first)).json()
            calls = [
                lambda n: rewards.client.post("/v1/entries", json=first, headers={"Idempotency-Key": f"k{n}"}),
                lambda n: rewards.client.post("/v1/entries", json={**first, "idempotency_key": f"e{n}"}),
                lambda n: rewards.client.post("/v1/entries/batch", json={"items": [first, first]}),
                lambda n: rewards.client.get(f"/v1/entries/{entry['id']}"),
                lambda n: rewards.client.get(f"/v1/accounts/{rewards.guild.member('ann')}"),
                lambda n: rewards.client.get("/v1/boards/xp?group=qq:1"),
                lambda n: rewards.client.get("/v1/boards/xp", params={"limit": 1 + n}),
            ]
            replies = await asyncio.gather(*(calls[n % len(calls)](n) for n in range(CALLERS)))
            assert {reply.status_code for reply in replies} == {200, 201}
            posted = sum(1 if n % 7 < 2 else 2 for n in range(CALLERS) if n % 7 < 3)
            board = await rewards.get("/v1/boards/xp")
            assert [line["score"] for line in board["items"]] == [1 + posted]
            await check_books(narrow)
    finally:
        await narrow.close()
