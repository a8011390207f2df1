"""A service whose database is lost goes on by itself after the next start, for every community there was (K23)."""

from itertools import count

import pytest
from sqlalchemy import text

from kit.clock import system_clock
from kit.contracts import identity_member_id
from kit.database import open_database
from kit.settings import Settings
from services.compose import BY_NAME
from services.rewards.starter_rules import STARTER
from tests.support.platform import App, running

_numbers = count(1)


async def lose(settings: Settings, name: str) -> None:
    """The whole database of one service, schema and all."""
    if settings.embedded:
        found = list(settings.data_dir.glob(f"{name}.sqlite*"))
        assert found
        for path in found:
            path.unlink()
        return
    db = open_database(name, system_clock, metadata=BY_NAME[name].metadata, url=settings.database_url)
    async with db.engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    await db.close()


async def check_in(app: App, person: str) -> str:
    """The member's id, after everything that follows from it."""
    event = {
        "specversion": "1.0",
        "id": f"e{next(_numbers)}",
        "source": "/bots/one",
        "type": "checkin.submitted",
        "data": {"actor": person, "group": "qq:100"},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    reply = await app.client.post("/v1/events", json=event, headers=headers)
    assert reply.json().get("accepted") == 1, reply.text
    await app.settle()
    return str(identity_member_id(app.community, person))


async def told(app: App, member: str) -> list[str]:
    reply = await app.client.get("/v1/messages", params={"member_id": member})
    return sorted(m["template"] for m in reply.json()["items"])


@pytest.mark.parametrize("service", ["rewards", "notify", "events"])
async def test_after_the_database_of_a_service_is_lost_activity_is_stored_scored_and_told_again(
    platform_settings: Settings, service: str
) -> None:
    async with running(platform_settings) as app:
        before = await check_in(app, "qq:1")
        assert await told(app, before) == ["board.first", "points.granted"]
    await lose(platform_settings, service)
    async with running(platform_settings) as app:
        assert len((await app.client.get("/v1/rules")).json()["rules"]) == len(STARTER.rules)
        after = await check_in(app, "qq:2")
        account = (await app.client.get(f"/v1/accounts/{after}")).json()
        assert {b["unit"]: b["balance"] for b in account["items"] if b["balance"]} == {"points": 10, "xp": 10}
        board = (await app.client.get("/v1/boards/xp")).json()
        assert after in {row["member_id"] for row in board["items"]}
        assert "points.granted" in await told(app, after)
        found = (await app.client.get("/v1/events", params={"member": after})).json()
        assert len(found["items"]) == 1
