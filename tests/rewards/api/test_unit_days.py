"""A unit's days over HTTP."""

from datetime import timedelta

from services.rewards.handlers.sealing import seal_some
from services.rewards.handlers.unit_days import add_up_some
from tests.rewards.guild import make_guild
from tests.rewards.serving import Rewards


async def test_members_read_what_their_points_economy_came_to(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.give(guild.grant(guild.member("ann"), 50))
    spend = {"identity": "qq:ann", "amount": -20, "kind": "spend", "reason": "a mug"}
    assert (await rewards.client.post("/v1/entries", json=spend)).status_code == 201
    rewards.clock.advance(timedelta(seconds=6))
    await seal_some(guild.db)
    await add_up_some(guild.db)
    ann = await rewards.member("ann")
    reply = await ann.get("/v1/units/points/days", params={"from": "2026-11-22", "to": "2026-11-23"})
    body = reply.json()
    nothing = {
        "issued": 0,
        "taken_back": 0,
        "by_hand": 0,
        "spent": 0,
        "expired": 0,
        "balances": 0,
        "held": 0,
        "owed": 0,
    }
    assert body["items"] == [
        {"day": "2026-11-22", **nothing},
        {"day": "2026-11-23", **nothing, "issued": 50, "spent": 20, "balances": 30},
    ]
    assert body["inflation"] is None
    assert body["through"] is not None
    later = await ann.get("/v1/units/points/days", params={"from": "2026-11-24", "to": "2026-11-24"})
    assert later.json()["inflation"] == 0


async def test_no_other_communitys_days_are_read(rewards: Rewards) -> None:
    other = await make_guild(rewards.guild.db)
    await other.give(other.grant(other.member("ann"), 50))
    rewards.clock.advance(timedelta(seconds=6))
    await seal_some(other.db)
    await add_up_some(other.db)
    body = (await rewards.client.get("/v1/units/points/days")).json()
    assert {day["balances"] for day in body["items"]} == {0}
    assert body["through"] is None
