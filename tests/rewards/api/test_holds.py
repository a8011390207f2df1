"""Holds and expiry over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from services.rewards.handlers.expiring import expire_some
from services.rewards.handlers.holds import release_some
from tests.rewards.guild import make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.serving import Rewards


@pytest.fixture
async def rewards(rewards: Rewards) -> Rewards:
    """Ann has 20 points."""
    await rewards.guild.give(rewards.guild.grant(rewards.guild.member("ann"), 20))
    return rewards


async def hold(rewards: Rewards, amount: int = 8, *, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"identity": "qq:ann", "amount": amount, "reason": "Deposit", "timeout_seconds": 3600, **fields}
    return await rewards.client.post("/v1/entries/holds", json=body, headers=headers)


async def account(rewards: Rewards, unit: str = "points") -> Any:
    body = await rewards.get(f"/v1/accounts/{rewards.guild.member('ann')}")
    return next(one for one in body["items"] if one["unit"] == unit)


async def test_a_hold_is_made_read_and_captured(rewards: Rewards) -> None:
    made = await hold(rewards)
    assert made.status_code == 201
    one = made.json()
    assert await rewards.get(f"/v1/entries/holds/{one['id']}") == one
    mine = await account(rewards)
    assert (mine["balance"], mine["available"], mine["held"]) == (12, 12, 8)
    entry = await rewards.get(f"/v1/entries/{one['id']}")
    assert (entry["kind"], entry["amount"], entry["counter_account"]) == ("hold", -8, "escrow")
    ended = await rewards.client.post(f"/v1/entries/holds/{one['id']}/capture", json={"amount": 3})
    assert (ended.status_code, ended.json()["state"], ended.json()["captured"]) == (200, "captured", 3)
    mine = await account(rewards)
    assert (mine["balance"], mine["held"]) == (17, 0)
    burnt = await rewards.get(f"/v1/entries/{ended.json()['capture_id']}")
    assert (burnt["kind"], burnt["account"], burnt["amount"], burnt["counter_account"]) == (
        "capture", "escrow", -3, "burn",
    )  # fmt: skip
    units = {unit["id"]: unit for unit in (await rewards.get("/v1/units"))["items"]}
    assert (units["points"]["burnt"], units["points"]["held"]) == (3, 0)
    await check_books(rewards.guild.db)


async def test_the_same_request_again_is_the_same_hold_and_the_same_end(rewards: Rewards) -> None:
    first, again = [await hold(rewards, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert first.json() == again.json()
    path = f"/v1/entries/holds/{first.json()['id']}/release"
    ends = [await rewards.client.post(path, headers={"Idempotency-Key": "r"}) for _ in range(2)]
    assert [reply.status_code for reply in ends] == [200, 200]
    assert (await rewards.client.post(path)).status_code == 409
    assert (await account(rewards))["balance"] == 20


async def test_the_key_in_the_body_answers_200_with_the_first(rewards: Rewards) -> None:
    first, again = [await hold(rewards, idempotency_key="k") for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert await rewards.refused("POST", "/v1/entries/holds", json=
        {"identity": "qq:ann", "amount": 9, "reason": "Deposit", "timeout_seconds": 3600, "idempotency_key": "k"}
    ) == (422, "idempotency_key_reused")  # fmt: skip


async def test_holds_are_listed_by_member_and_state_page_by_page(rewards: Rewards) -> None:
    ids = []
    for n in range(5):
        ids.append((await hold(rewards, 1 + n)).json()["id"])
        rewards.clock.advance(timedelta(seconds=1))
    await rewards.client.post(f"/v1/entries/holds/{ids[0]}/release")
    member = str(rewards.guild.member("ann"))
    page = await rewards.get("/v1/entries/holds", member=member, state="open", limit=3)
    assert [one["id"] for one in page["items"]] == ids[:1:-1]
    rest = await rewards.get("/v1/entries/holds", member=member, state="open", limit=3, cursor=page["next"])
    assert [one["id"] for one in rest["items"]] == [ids[1]]
    back = await rewards.get("/v1/entries/holds", member=member, state="open", limit=3, cursor=rest["prev"])
    assert back["items"] == page["items"]
    assert (await rewards.get("/v1/entries/holds", state="released"))["items"][0]["id"] == ids[0]


async def test_one_whose_time_is_over_says_so(rewards: Rewards) -> None:
    id = (await hold(rewards, timeout_seconds=60)).json()["id"]
    rewards.clock.advance(timedelta(minutes=1))
    path = f"/v1/entries/holds/{id}"
    assert await rewards.refused("POST", f"{path}/capture", json={}) == (409, "hold_ended")
    assert await release_some(rewards.guild.db) == 1
    one = await rewards.get(path)
    assert (one["state"], one["ended_by"]) == ("expired", None)


async def test_members_readers_and_other_communities_hold_nothing(rewards: Rewards) -> None:
    id = (await hold(rewards)).json()["id"]
    there = await make_guild(rewards.guild.db)
    stranger = await rewards.key("rewards:read", "rewards:write", guild=there)
    body = {"identity": "qq:ann", "amount": 1, "reason": "x", "timeout_seconds": 60}
    for client, want in ((await rewards.member("ann"), 403), (await rewards.key("rewards:read"), 403)):
        assert (await client.post("/v1/entries/holds", json=body)).status_code == want
        assert (await client.post(f"/v1/entries/holds/{id}/release")).status_code == want
    assert (await stranger.get(f"/v1/entries/holds/{id}")).status_code == 404
    assert (await stranger.post(f"/v1/entries/holds/{id}/capture", json={})).status_code == 404
    assert (await stranger.get("/v1/entries/holds")).json()["items"] == []


async def test_an_account_says_what_expires_soon_and_the_unit_what_did(rewards: Rewards) -> None:
    wanted = {"name": "Points", "spendable": True, "expires_after_days": 40}
    changed = await rewards.client.put("/v1/units/points", json=wanted)
    assert changed.json()["expires_after_days"] == 40
    await rewards.guild.give(rewards.guild.grant(rewards.guild.member("ann"), 7, rewards.clock()))
    assert (await account(rewards))["expiring_soon"] == []
    rewards.clock.advance(timedelta(days=10))
    mine = await account(rewards)
    assert (mine["balance"], mine["expiring_soon"]) == (27, [{"amount": 7, "expires_at": "2027-01-03T00:00:00Z"}])
    own = (await (await rewards.member("ann")).get(f"/v1/accounts/{rewards.guild.member('ann')}")).json()
    assert mine in own["items"]
    rewards.clock.advance(timedelta(days=31))
    assert await expire_some(rewards.guild.db) == 1
    assert (await account(rewards))["balance"] == 20
    units = {unit["id"]: unit for unit in (await rewards.get("/v1/units"))["items"]}
    assert units["points"]["expired"] == 7
