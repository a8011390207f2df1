"""What a reversal asks of a busy account is looked up, however many periods its boards have had."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from kit.database import Database, Tx
from services.rewards.domain.boards import slots_of
from services.rewards.store import boards as store
from services.rewards.store import decaying, lots
from services.rewards.tables.boards import boards
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.support.databases import MakeDatabase

NAMES = ("ann", "bo", "cleo")
DAYS = [MORNING - timedelta(days=11 - day) for day in range(12)]


@contextmanager
def plans_of(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements of the block."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        seen.append((sql, parameters[0] if many else parameters))

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine.sync_engine, "before_cursor_execute", note)


async def how(db: Database, ask: Callable[[Tx], Awaitable[Any]]) -> tuple[Any, str]:
    """What it answers, and how the database goes about its last statement."""
    async with db.begin() as tx:
        with plans_of(db) as seen:
            answer = await ask(tx)
        sql, parameters = seen[-1]
        explained = (await tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(parameters))).all()
    return answer, "\n".join(row[3] for row in explained)


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    db = await make_database("rewards")
    if db.dialect != "sqlite":
        pytest.skip("plans of PostgreSQL follow what it counted, and a test has counted nothing")
    guild = await make_guild(db)
    await guild.publish({"id": "talk", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 1}]})
    await guild.score(*[guild.act(by=name, at=at) for at in DAYS for name in NAMES])
    return guild


async def keys_of(guild: Guild) -> tuple[list[store.Key], dict[UUID, Any]]:
    async with guild.db.read() as tx:
        (board,) = await store.boards_of(tx, guild.id)
    slots = {slot.id: slot for at in DAYS for slot in slots_of(board, at.date())}
    return [(slot, guild.member(name)) for slot in slots for name in NAMES], slots


async def test_when_a_score_was_reached_is_found_at_the_end_of_the_period(guild: Guild) -> None:
    keys, slots = await keys_of(guild)
    answer, plan = await how(guild.db, lambda tx: store.reached(tx, keys, slots))
    assert (
        "entries USING INDEX ix_entries_account (owner_id=? AND unit=? AND effective_at>? AND effective_at<?)" in plan
    )
    assert "SCAN entries" not in plan
    assert "TEMP B-TREE" not in plan
    days = {slots[slot].first_day: at for (slot, _), at in answer.items() if slots[slot].kind == "day"}
    assert days == {at.date(): at for at in DAYS}
    assert {at for (slot, _), at in answer.items() if slots[slot].kind == "all"} == {DAYS[-1]}


async def test_what_expired_of_accounts_is_found_by_their_owners(guild: Guild) -> None:
    keys = [(guild.id, guild.member(name), "xp") for name in NAMES]
    answer, plan = await how(guild.db, lambda tx: lots.expired(tx, keys))
    assert answer == {}
    assert "SEARCH entries USING INDEX ix_entries_account (owner_id=? AND unit=?)" in plan
    assert "SCAN entries" not in plan
    assert "SCAN transactions" not in plan


async def test_the_days_of_a_board_that_decays_are_found_by_its_members(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        await tx.execute(update(boards).values(decay_percent=90))
    keys, _ = await keys_of(guild)
    _, plan = await how(guild.db, lambda tx: decaying.day_lines(tx, keys))
    assert "SEARCH board_scores USING" in plan
    assert "(slot=? AND member_id=?)" in plan
    assert "SCAN board_scores" not in plan
