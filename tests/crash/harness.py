"""Kill the product again and again while history flows into it, then look into its books.

What must hold at the end: everything acknowledged is stored, once, and what a member did in its order; the ledger and
the boards are the oracle's; sums are zero; no outbox row waits, no message was given up, and the inboxes know every
activity. The client is the product's own importer, which retries; an answer that a kill swallowed is no
acknowledgement.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import func, select

from kit.settings import load_settings
from services.compose import compose
from services.events.importers import client
from services.events.importers.lines import Good
from tests.crash.processes import Installation, lags
from tests.crash.schedule import Kill, schedule
from tests.journeys.books import assert_equal, in_order, read_books, stored_once, table
from tests.support import oracle
from tests.support.http import client_of

Event = dict[str, Any]
Say = Callable[[str], None]

BATCH = 100
DRAIN_SECONDS = 600.0
IMPORT = "crash"


@dataclass(slots=True)
class _Flow:
    """How far the client is; `moved` is set whenever that changes. `silence` is the longest it waited for that."""

    acknowledged: int = 0
    finished: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    heard_at: float = 0.0
    silence: float = 0.0

    def heard(self, batches: int) -> None:
        now = asyncio.get_running_loop().time()
        self.silence = max(self.silence, now - self.heard_at)
        self.acknowledged, self.heard_at = batches, now
        self.moved.set()

    async def until(self, batches: int) -> None:
        while self.acknowledged < batches and not self.finished:
            self.moved.clear()
            await self.moved.wait()


async def run(
    installation: Installation, events: Sequence[Event], *, seed: int, kills: int, say: Say
) -> client.Progress:
    """The whole of it on a fresh installation; AssertionError says what does not hold. `say` gets a line per kill."""
    batches = len(events) // BATCH
    plan = schedule(seed, kills, batches, tuple(installation.victims))
    say(f"GUILDHALL_CRASH_SEED={seed} GUILDHALL_CRASH_KILLS={kills}: {len(events)} events in {batches} batches")
    return await carry_out(installation, events, plan, say=say)


async def carry_out(
    installation: Installation, events: Sequence[Event], plan: Sequence[Kill], *, say: Say, pace: float = 0.0
) -> client.Progress:
    """As `run`, with this plan. What the client counted. It waits `pace` seconds before each request: what befalls the
    installation for a while should find events flowing."""
    flow = _Flow(heard_at=asyncio.get_running_loop().time())
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(_post(installation, events, flow, pace))
        group.create_task(_kill(installation, plan, flow, say))
    outcome = posting.result()
    assert outcome.progress.accepted == len(events), f"refused: {outcome.problems[:3]}"
    began = asyncio.get_running_loop().time()
    await drained(installation)
    waited = asyncio.get_running_loop().time() - began
    say(
        f"longest wait for an answer {flow.silence:.1f} s; drained {waited:.1f} s after the last one and the last start"
    )
    codes = await asyncio.to_thread(installation.stop)
    assert set(codes.values()) == {0}, f"exit codes {codes}"
    await inspect(installation, events)
    say(f"{sum(kill.count for kill in plan)} kills, {len(events)} events: books equal the oracle's")
    return outcome.progress


async def _post(installation: Installation, events: Sequence[Event], flow: _Flow, pace: float) -> client.Outcome:
    async def wait(_: httpx2.Request) -> None:
        await asyncio.sleep(pace)

    def progress(now: client.Progress) -> None:
        flow.heard(now.line // BATCH)

    lines = (Good(number, event) for number, event in enumerate(events, 1))
    options = client.Options(batch=BATCH, lanes=2, patience=300.0)
    try:
        hooks = {"request": [wait]}
        async with client_of(installation.url("events"), timeout=30.0, event_hooks=hooks) as http:
            return await client.post(http, installation.key, lines, name=IMPORT, options=options, on_progress=progress)
    finally:
        flow.finished = True
        flow.moved.set()


async def _kill(installation: Installation, plan: Sequence[Kill], flow: _Flow, say: Say) -> None:
    for number, kill in enumerate(plan, 1):
        await flow.until(kill.after)
        await asyncio.sleep(kill.delay)
        victim = installation.victims[kill.victim]
        say(f"kill {number} of {len(plan)}: {kill.victim} after {flow.acknowledged} batches (due at {kill.after})")
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.spawn)
        if kill.again is not None:
            await asyncio.sleep(kill.again)
            say(f"          {kill.victim} once more, {kill.again:.2f} s after its start")
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.spawn)
        await asyncio.to_thread(victim.wait_ready)
        say(f"          over after {asyncio.get_running_loop().time() - began:.1f} s")


async def drained(installation: Installation, seconds: float = DRAIN_SECONDS) -> None:
    """Until no consumer has anything left to read, seen several times in a row: one's work is another's input."""
    deadline = asyncio.get_running_loop().time() + seconds
    calm = 0
    while calm < 4:
        left = {name: lag for name, lag in (await lags(installation)).items() if lag}
        calm = 0 if left else calm + 1
        assert asyncio.get_running_loop().time() < deadline, f"not drained after {seconds:.0f} s: {left}"
        await asyncio.sleep(0.3)


async def inspect(installation: Installation, events: Sequence[Event], *, moved: bool = False) -> None:
    """Open the databases of the stopped installation and compare."""
    values: dict[str, Any] = dict(installation.settings)
    runtime = compose(load_settings({}, **{**values, "data_dir": Path(values["data_dir"])}))
    community = UUID(installation.community)
    databases = {name: one.db for name, one in runtime.services.items()}
    try:
        for name, db in databases.items():
            async with db.read() as tx:
                for left in ("outbox", "dead_letters"):
                    rows = await tx.scalar(select(func.count()).select_from(table(db, left)))
                    assert rows == 0, f"{name}: {rows} rows left in {left}"
        activities = table(databases["events"], "activities")
        names = ("event_id", "source", "source_id", "log_partition", "log_offset")
        columns = select(*(activities.c[name] for name in names))
        async with databases["events"].read() as tx:
            rows = await tx.all(columns.where(activities.c.community_id == community))
        stored_once(rows, list(events))
        in_order(rows, list(events), moved=moved)
        for name in ("events", "rewards"):
            inbox = table(databases[name], "inbox")
            async with databases[name].read() as tx:
                known = {row.id for row in await tx.all(select(inbox.c.id))}
            unknown = {row.event_id for row in rows} - known
            assert not unknown, f"{name}: {len(unknown)} stored activities are not in its inbox"
        assert_equal(await read_books(databases["rewards"], community), oracle.score(events), community)
    finally:
        for db in databases.values():
            await db.close()
