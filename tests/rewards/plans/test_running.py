"""Plans taken on in steps: who is killed, who finds no room, who is slow, and what comes meanwhile."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from kit.database import Database, DatabaseUnavailable, Tx
from services.rewards.handlers.plans import folding, running, scratch
from services.rewards.tables.ledger import transactions
from services.rewards.tables.plans import plans as plans_table
from tests.rewards.guild import Guild, rule
from tests.rewards.ledger.killing import Killed, died
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import Plans, plans_of
from tests.rewards.undoing.support import minute
from tests.support.clock import ManualClock


async def test_a_commit_that_fails_at_the_end_loses_nothing_of_what_counts(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came last is counted in the transaction that brings the rules into force, and was said to be done in the
    plan's file before that transaction was."""
    await guild.publish(rule(amount=5))
    plan = await plans.simulate(rule(amount=5, caps=[{"limit": 12}]))
    await plans.publish(plan)
    in_force, carry, failed = running.rules_store.put_in_force, running._carry_some, []

    async def late(*of: Any) -> bool:
        """Two talk after the last look, before nobody scores."""
        done = await carry(*of)
        if not failed:
            await guild.score(guild.act(at=minute(0)), guild.act(at=minute(1)))
        return done

    async def away(tx: Tx) -> None:
        failed.append(True)
        raise DatabaseUnavailable("the connection went")

    async def failing(tx: Tx, **fields: Any) -> None:
        await in_force(tx, **fields)
        if not failed:
            tx.last.append(away)

    monkeypatch.setattr(running, "_carry_some", late)
    monkeypatch.setattr(running.rules_store, "put_in_force", failing)
    with pytest.raises(DatabaseUnavailable):
        await plans.work(plan.id)
    await plans.work(plan.id)
    assert (await plans.find(plan.id)).state == "done"
    assert await guild.has("ann") == 10
    await guild.score(guild.act(at=minute(2)))
    assert await guild.has("ann") == 12
    await check_books(guild.db)


@pytest.mark.parametrize("mode", ["recompute", "backfill"])
async def test_a_recompute_comes_to_its_end_though_activities_keep_coming(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A batch comes before every step and during every walk; no step is without anything new."""
    monkeypatch.setattr(running, "STEP", 8)
    monkeypatch.setattr(folding, "ROWS", 2)
    await guild.publish(rule(amount=5))
    await guild.score(*(guild.act(at=minute(n)) for n in range(30)))
    plan = await plans.simulate(rule("more", amount=1), mode=mode)
    await plans.publish(plan)
    carry, came = running._carry_some, 0

    async def talk(*of: Any) -> Any:
        nonlocal came
        came += 1
        await guild.score(guild.act(at=minute(100 + came)))
        return await carry(*of)

    monkeypatch.setattr(running, "_carry_some", talk)
    for _ in range(20):
        for _ in range(3):
            came += 1
            await guild.score(guild.act(at=minute(100 + came)))
        await plans.work(plan.id, steps=1)
    assert (await plans.find(plan.id)).state == "done"
    if mode == "recompute":
        assert await guild.has("ann") == 30 + came
    _, over = await plans.recompute(rule("more", amount=1), mode=mode)
    assert over.posted == {"entries": 0, "units": {}}
    await check_books(guild.db)


@contextmanager
def killing_after_posting(db: Database) -> Iterator[None]:
    """Dies once the ledger has what a step posts, before the plan's file says so."""
    posted = False

    def die(conn: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        nonlocal posted
        if conn.engine is db.engine.sync_engine:
            posted = posted or sql.startswith("INSERT INTO entries")
        elif posted and sql.startswith(("INSERT", "UPDATE", "DELETE")):
            raise Killed

    event.listen(Engine, "before_cursor_execute", die)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", die)


async def test_who_is_killed_between_the_ledger_and_the_plan_s_file_posts_nothing_twice(
    guild: Guild, plans: Plans, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger commits first; every process that takes the plan on dies there once, each with a file of its own."""
    monkeypatch.setattr(running, "STEP", 4)
    await guild.publish(rule(amount=5), rule("gone", amount=1))
    for n in range(8):
        await guild.score(*(guild.act(by=name, at=minute(n)) for name in "ab"))
    plan = await plans.simulate(rule(amount=2), rule("new", amount=7))
    await plans.publish(plan)
    (tmp_path / "other").mkdir()
    two, deaths = (plans, plans_of(guild, tmp_path / "other")), []
    mine = transactions.c.actor == f"recompute:{plan.id}"
    while (await plans.find(plan.id)).state != "done":
        assert len(deaths) < 40
        with killing_after_posting(guild.db):
            dead = await died(two[len(deaths) % 2].work(plan.id))
        async with guild.db.read() as tx:
            deaths.append(await tx.scalar(select(func.count()).select_from(transactions).where(mine)))
        assert dead or (await plans.find(plan.id)).state == "done"
        clock.advance(timedelta(seconds=61))
    # Each of them had posted something that it never got round to noting.
    assert len(set(deaths)) >= 4
    over = await plans.find(plan.id)
    assert over.posted == plan.result["postings"] == {"entries": 48, "units": {"xp": {"added": 112, "taken": 64}}}
    assert deaths[-1] == 48
    assert (await guild.has("a"), await guild.has("b")) == (72, 72)
    await check_books(guild.db)


async def test_nobody_takes_a_plan_over_whose_figures_take_long(
    guild: Guild, plans: Plans, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guild.score(guild.act())
    (tmp_path / "other").mkdir()
    other = plans_of(guild, tmp_path / "other")
    figure, tried = running.figure, []
    monkeypatch.setattr(running, "RENEW_SECONDS", 0.01)

    async def until() -> Any:
        async with guild.db.read() as tx:
            return await tx.scalar(select(plans_table.c.claimed_until))

    async def slow(one: Any, db: Database, plan: Any) -> Any:
        for _ in range(3):
            clock.advance(timedelta(seconds=40))
            while await until() < clock() + timedelta(seconds=60):
                await asyncio.sleep(0.01)
            tried.append(await running.step(other.one, plan.id, other.me))
        return await figure(one, db, plan)

    monkeypatch.setattr(running, "figure", slow)
    async with asyncio.timeout(60):
        plan = await plans.simulate(rule(amount=2))
    assert (plan.state, tried) == ("ready", [False] * 3)


async def test_a_plan_that_finds_no_room_fails_and_says_so(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guild.score(*(guild.act(at=minute(n)) for n in range(300)))
    monkeypatch.setattr(scratch, "EXTRAS", (*scratch.EXTRAS, "PRAGMA max_page_count = 1"))
    plan = await plans.simulate(rule())
    assert plan.state == "failed"
    assert "cannot be written: database or disk is full" in plan.error
    monkeypatch.undo()
    assert (await plans.simulate(rule())).state == "ready"


async def test_a_plan_whose_place_cannot_be_written_fails_and_keeps_no_other_waiting(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object) -> Path:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(scratch, "folder", nowhere)
    plan = await plans.simulate(rule())
    assert plan.state == "failed"
    assert plan.error.endswith("cannot be written: [Errno 30] Read-only file system")


async def test_a_database_that_is_away_fails_no_plan(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guild.score(guild.act())

    async def away(*_: object) -> int:
        try:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        except OSError as error:
            raise DatabaseUnavailable("away") from error

    monkeypatch.setattr(running, "compare_some", away)
    with pytest.raises(DatabaseUnavailable):
        await plans.simulate(rule())
    monkeypatch.undo()
    async with guild.db.read() as tx:
        (id,) = [row.id for row in await running.store.open_ones(tx)]
    await plans.work(id)
    assert (await plans.find(id)).state == "ready"


async def test_what_stands_beside_the_files_of_plans_is_left_alone(plans: Plans, tmp_path: Path) -> None:
    for name in ("lost+found", "0192-no-id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"):
        (tmp_path / "plans" / name).mkdir(parents=True)
    await running.tidy(plans.one)
    assert sorted(place.name for place in (tmp_path / "plans").iterdir()) == ["0192-no-id", "lost+found"]


async def test_the_files_of_a_plan_that_is_made_meanwhile_are_not_taken_for_left_over(
    guild: Guild, plans: Plans, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await guild.score(guild.act())
    read, made = running.store.with_files, []

    async def meanwhile(*of: Any) -> Any:
        rows = await read(*of)
        made.append(await plans.simulate(rule()))
        return rows

    monkeypatch.setattr(running.store, "with_files", meanwhile)
    await running.tidy(plans.one)
    assert [place.name for place in (tmp_path / "plans").iterdir()] == [str(made[0].id)]
