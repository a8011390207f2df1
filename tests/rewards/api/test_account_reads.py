"""Accounts and their entries are read by questions of their own, and written by hand: they say what the models say."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kit.http import Page
from services.rewards.api.accounts import AccountsOut
from services.rewards.api.entry_models import EntryOut
from services.rewards.store import account_pages, balances
from tests.rewards.api.test_holds import hold
from tests.rewards.api.test_ledger import post
from tests.rewards.serving import Rewards
from tests.support.plans import plan_of


async def test_entries_are_written_byte_for_byte_as_their_model_would_be(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.score(guild.act("checkin.submitted"))
    made = await post(rewards, reason='wörd "quoted"\n\u2028', effective_at="2026-11-20T10:00:00.5+08:00")
    await rewards.client.post(f"/v1/entries/{made.json()['id']}/reversals", json={"reason": "x"})
    for path in (f"/v1/accounts/{guild.member('ann')}/entries?limit=3", "/v1/entries?account=adjust"):
        reply = await rewards.client.get(path)
        assert len(reply.json()["items"]) >= 2
        assert Page[EntryOut].model_validate_json(reply.content).model_dump_json().encode() == reply.content


async def test_entries_of_more_units_than_are_asked_at_once_are_paged_in_one_order(rewards: Rewards) -> None:
    now, amounts = rewards.clock(), range(1, account_pages.UNITS_AT_ONCE + 4)
    for n in amounts:
        await rewards.client.put(f"/v1/units/u{n}", json={"name": f"Unit {n}", "spendable": True})
        await post(rewards, unit=f"u{n}", amount=n, effective_at=(now - timedelta(hours=n)).isoformat())
    path = f"/v1/accounts/{rewards.guild.member('ann')}/entries"
    page, seen = await rewards.get(path, limit=4), []
    while True:
        seen += [entry["amount"] for entry in page["items"]]
        if page["next"] is None:
            break
        page = await rewards.get(path, limit=4, cursor=page["next"])
    assert seen == list(amounts)
    back = await rewards.get(path, limit=4, cursor=page["prev"])
    assert [entry["amount"] for entry in back["items"]] == seen[-len(page["items"]) - 4 : -len(page["items"])]


async def test_a_cursor_and_a_time_both_bound_a_page(rewards: Rewards) -> None:
    now = rewards.clock()
    for n in range(1, 9):
        await post(rewards, amount=n, effective_at=(now - timedelta(days=n)).isoformat())
    path = f"/v1/accounts/{rewards.guild.member('ann')}/entries"
    cut = {"from": (now - timedelta(days=6)).isoformat(), "to": (now - timedelta(days=1)).isoformat(), "limit": 3}
    first = await rewards.get(path, **cut)
    second = await rewards.get(path, **cut, cursor=first["next"])
    assert [[e["amount"] for e in page["items"]] for page in (first, second)] == [[2, 3, 4], [5, 6]]
    assert (second["next"], (await rewards.get(path, **cut, cursor=second["prev"]))["items"]) == (None, first["items"])


async def test_a_balance_and_what_is_held_are_of_one_instant(rewards: Rewards) -> None:
    await rewards.guild.give(rewards.guild.grant(rewards.guild.member("ann"), 20))
    path = f"/v1/accounts/{rewards.guild.member('ann')}"

    async def write() -> None:
        for _ in range(10):
            assert (await hold(rewards, 2)).status_code == 201

    async def read() -> None:
        while not writing.done():
            points = next(one for one in (await rewards.get(path))["items"] if one["unit"] == "points")
            assert points["balance"] + points["held"] == 20

    writing = asyncio.create_task(write())
    await asyncio.gather(writing, read(), read())


async def test_an_account_says_what_its_model_says(rewards: Rewards) -> None:
    await post(rewards)
    reply = await rewards.client.get(f"/v1/accounts/{rewards.guild.member('ann')}")
    assert AccountsOut.model_validate_json(reply.content).model_dump_json().encode() == reply.content


@pytest.mark.parametrize("upwards", [False, True])
async def test_a_page_of_entries_is_found_by_the_index_of_the_account(rewards: Rewards, upwards: bool) -> None:
    db, now = rewards.guild.db, rewards.clock()
    ends: dict[str, Any] = {"lower_at": now, "lower_id": rewards.guild.id, "upper_at": now}
    ends |= {"upper_id": rewards.guild.id, "unit_0": "points", "unit_1": "xp", "limit": 9}
    question = account_pages.question(2, upwards=upwards)
    plan = await plan_of(db, question, community=rewards.guild.id, owner=rewards.guild.id, **ends)
    assert plan.count("ix_entries_account") == 2, plan
    assert "seq scan on" not in plan, plan
    assert not [step for step in plan.splitlines() if step.startswith("scan ") and "scan anon_" not in step], plan


async def test_a_balance_is_found_by_indexes_of_the_member(rewards: Rewards) -> None:
    db, day = rewards.guild.db, rewards.clock().date()
    asked = {"community": rewards.guild.id, "member": rewards.guild.id, "first_day": day, "last_day": day}
    plan = await plan_of(db, balances.HAVING, **asked)
    assert "seq scan on" not in plan, plan
    assert "ix_lots_due" not in plan, plan
    if db.dialect == "postgresql":
        # SQLite without statistics takes the first of two that begin with the community.
        assert "ix_holds_held" in plan, plan
        assert "ix_reviews_pending" in plan, plan
