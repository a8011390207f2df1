"""What a reversal asks of a busy account is looked up, however many periods its boards have had."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from services.rewards.domain.boards import slots_of
from services.rewards.store import boards as store
from services.rewards.store import decaying, lots
from services.rewards.tables.boards import boards
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.support.databases import MakeDatabase
from tests.support.plans import plans_of

NAMES = ("ann", "bo", "cleo")
DAYS = [MORNING - timedelta(days=11 - day) for day in range(12)]


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish({"id": "talk", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 1}]})
    await guild.score(*[guild.act(by=name, at=at) for at in DAYS for name in NAMES])
    return guild


async def keys_of(guild: Guild) -> tuple[list[store.Key], dict[UUID, Any]]:
    async with guild.db.read() as tx:
        board = next(one for one in await store.boards_of(tx, guild.id) if one.id == "xp")
    slots = {slot.id: slot for at in DAYS for slot in slots_of(board, at.date())}
    return [(slot, guild.member(name)) for slot in slots for name in NAMES], slots


def looked_up(plan: str, table: str, *columns: str) -> bool:
    """Whether rows of the table are found by an index that is entered by all these columns."""
    found = [line for line in plan.splitlines() if f"{table} using" in line or "index cond" in line]
    return any(all(column in line for column in columns) for line in found) and f"scan {table}" not in plan


async def test_when_a_score_was_reached_is_found_at_the_end_of_the_period(guild: Guild) -> None:
    keys, slots = await keys_of(guild)
    answer, (plan,) = await plans_of(guild.db, lambda tx: store.reached(tx, keys, slots))
    assert looked_up(plan, "entries", "owner_id", "unit", "effective_at")
    assert "sort" not in plan
    assert "temp b-tree" not in plan
    days = {slots[slot].first_day: at for (slot, _), at in answer.items() if slots[slot].kind == "day"}
    assert days == {at.date(): at for at in DAYS}
    assert {at for (slot, _), at in answer.items() if slots[slot].kind == "all"} == {DAYS[-1]}


async def test_what_expired_of_accounts_is_found_by_their_owners(guild: Guild) -> None:
    if guild.db.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a community of three accounts whole, and is right")
    keys = [(guild.id, guild.member(name), "xp") for name in NAMES]
    answer, (plan,) = await plans_of(guild.db, lambda tx: lots.expired(tx, keys))
    assert answer == {}
    assert looked_up(plan, "entries", "owner_id", "unit")
    assert "scan transactions" not in plan


async def test_the_days_of_a_board_that_decays_are_found_by_its_members(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        await tx.execute(update(boards).values(decay_percent=90))
    keys, _ = await keys_of(guild)
    _, (plan,) = await plans_of(guild.db, lambda tx: decaying.day_lines(tx, keys))
    assert looked_up(plan, "board_scores", "slot", "member_id")
