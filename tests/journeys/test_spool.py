"""What a bot that does not retry finds while Kafka is away: an open door, until the spool is full (K36)."""

import asyncio
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx2

from deploy.local.kafka import KafkaBroker
from kit.settings import load_settings
from tests.support.platform import App, running
from tests.support.postgres import PostgresServer

PATIENCE = 120.0
BATCH = "application/cloudevents-batch+json"
_ids = count(1)


def said(text: str = "") -> dict[str, Any]:
    """One message in a chat of a member of its own, with a text of this size."""
    number = next(_ids)
    return {
        "specversion": "1.0",
        "id": f"m{number}",
        "source": "discord/42",
        "type": "message.created",
        "time": datetime.now(UTC).isoformat(),
        "data": {"actor": f"discord:u{number}", "group": "discord:general", "note": text},
    }


async def send(app: App, events: list[dict[str, Any]]) -> httpx2.Response:
    return await app.client.post("/v1/events", json=events, headers={"Content-Type": BATCH})


async def test_a_bot_that_does_not_retry_loses_nothing_while_kafka_is_away(
    mortal: KafkaBroker, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    settings = load_settings(
        {},
        data_dir=tmp_path,
        database_url=postgres_server.create_database("spooled"),
        kafka=mortal.bootstrap,
        kafka_partitions=3,
        spool_mb=1,
        secret_key="s" * 32,
    )
    async with running(settings) as app:
        assert (await send(app, [said()])).status_code == 200
        await app.settle(PATIENCE)
        await asyncio.to_thread(mortal.kill)

        for _ in range(20):
            assert (await send(app, [said(), said()])).json()["accepted"] == 2
        ready = await app.client.get("/readyz")
        assert ready.status_code == 200, ready.text
        assert "guildhall_spool_records 40.0" in (await app.client.get("/metrics")).text

        accepted = 41
        for _ in range(100):
            answer = await send(app, [said("x" * 1900) for _ in range(20)])
            if answer.status_code != 200:
                break
            accepted += 20
        assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
        assert answer.headers["retry-after"]

        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(PATIENCE):
            while "guildhall_spool_records 0.0" not in (await app.client.get("/metrics")).text:
                await asyncio.sleep(0.2)
        assert (await send(app, [said()])).status_code == 200
        await app.settle(PATIENCE)
        board = (await app.client.get("/v1/boards/xp?limit=1")).json()
    # Every message is by somebody else.
    assert board["total"] == accepted + 1
