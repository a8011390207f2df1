"""The background work of plans, in steps: any process may take the next one of a plan that nobody holds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from kit.database import Database, Tx, is_infrastructure, lock_alone
from kit.errors import Unavailable
from kit.metrics import RECOMPUTED_ENTRIES
from kit.runtime import pause
from kit.service import ServiceRuntime
from services.rewards.domain.recomputing import COMPARING, DONE, FAILED, FOLDING, POSTING, READY
from services.rewards.domain.undoing import inverse_types
from services.rewards.handlers import groups
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.keeping import gate
from services.rewards.handlers.plans import posting
from services.rewards.handlers.plans.comparing import compare_some
from services.rewards.handlers.plans.figuring import figure, hash_of
from services.rewards.handlers.plans.folding import chapters_after, fold_some
from services.rewards.handlers.plans.planning import FRESH
from services.rewards.handlers.plans.scratch import drop, forget_announcements, no_room, open_scratch, with_files
from services.rewards.store import erasures, kept
from services.rewards.store import plans as store
from services.rewards.store import rules as rules_store
from services.rewards.store import scratch as scratch_store
from services.rewards.store import undoing as undoing_store
from services.rewards.store.scratch import FOLDED, POSTED

logger = structlog.get_logger(__name__)

STEP = 1000
"""Activities in a step."""
CARRY = 5000
"""Counters in a step."""
LEASE = timedelta(seconds=60)
RENEW_SECONDS = 15.0


class Lost(Exception):
    """The plan was cancelled, or another process has it."""


async def step(one: ServiceRuntime, plan_id: UUID, me: UUID) -> bool:
    """One step of a plan; False when there is nothing (more) to do for this process."""
    async with one.db.begin() as tx:
        plan = await store.claim(tx, plan_id, by=me, until=tx.now + LEASE)
    if plan is None:
        return False
    try:
        async with _held(one, plan, me):
            scratch = await open_scratch(one, plan)
            try:
                await _STEPS[plan.state](one, scratch, plan, me)
            finally:
                await scratch.close()
    except Lost:
        return False
    except Exception as error:
        # Whatever fails, and does not pass by itself, would fail for ever and keep the other plans waiting.
        reason = no_room(error)
        if reason is None and is_infrastructure(error):
            raise
        await _fail(one, plan, me, error, reason or repr(error))
        return False
    return True


async def tidy(one: ServiceRuntime) -> None:
    """Remove the files of plans that are over."""
    # The files first: a plan that is made in between has its row by the time that rows are read.
    found = with_files(one)
    async with one.db.read() as tx:
        wanted = {row.id for row in await store.with_files(tx, tx.now - FRESH)}
    for plan_id in found - wanted:
        drop(one, plan_id)


@asynccontextmanager
async def _held(one: ServiceRuntime, plan: Any, me: UUID) -> AsyncIterator[None]:
    """However long a step takes, nobody takes the plan over: two who do would both begin it anew for ever."""
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(one, plan, me, over))
    try:
        yield
    finally:
        over.set()
        await renewing


async def _renew(one: ServiceRuntime, plan: Any, me: UUID, over: asyncio.Event) -> None:
    while True:
        await pause(over, RENEW_SECONDS)
        if over.is_set():
            return
        try:
            async with one.db.begin() as tx:
                await store.renew(tx, plan.id, by=me, state=plan.state, until=tx.now + LEASE)
        except Unavailable as error:
            # The step finds out by itself whether it lost the plan over this.
            logger.warning("plan.not_renewed", plan=str(plan.id), error=str(error))


async def _fail(one: ServiceRuntime, plan: Any, me: UUID, error: Exception, reason: str) -> None:
    logger.exception("plan.failed", plan=str(plan.id), error=repr(error))
    over = {"state": FAILED, "error": reason[:500], "claimed_by": None, "claimed_until": None}
    async with one.db.begin() as tx:
        await store.advance(tx, plan.id, by=me, state=plan.state, values=over)


async def _advance(tx: Tx, plan: Any, me: UUID, **values: Any) -> None:
    if not await store.advance(tx, plan.id, by=me, state=plan.state, values=values):
        raise Lost


async def _fold(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> None:
    folded = await fold_some(one, scratch, plan, plan.head, STEP)
    async with one.db.begin() as tx:
        if folded.there:
            await _advance(tx, plan, me, state=COMPARING, done=0)
        else:
            await _advance(tx, plan, me, claimed_until=tx.now + LEASE, done=plan.done + folded.activities)


async def _compare(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> None:
    count = await compare_some(one, scratch, plan, STEP)
    if count:
        async with one.db.begin() as tx:
            await _advance(tx, plan, me, claimed_until=tx.now + LEASE, done=plan.done + count)
        return
    result = await figure(one, scratch, plan)
    async with one.db.begin() as tx:
        over = {"claimed_by": None, "claimed_until": None, "done": plan.total}
        await _advance(tx, plan, me, state=READY, result=result, plan_hash=hash_of(plan, result), **over)


async def _post(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> None:
    """First up to what came until now, so that what was undone meanwhile is not paid; then what is to be posted; then
    the counters; then all that came meanwhile, with nobody scoring, and the rules are in force.

    Only who has more left than a step takes leaves the rest to the next one: in a community where something always
    comes, whoever began anew for all that came would never come to an end. So each round is as long as what came during
    the one before.
    """
    async with one.db.read() as tx:
        head = await kept.head(tx, plan.community_id)
    if not (await fold_some(one, scratch, plan, head, STEP)).there:
        async with one.db.begin() as tx:
            await _advance(tx, plan, me, claimed_until=tx.now + LEASE)
        return
    if await _post_some(one, scratch, plan, me) and await _carry_some(one, scratch, plan, me):
        await _come_into_force(one, scratch, plan, me)


async def _due(one: ServiceRuntime, scratch: Database, plan: Any) -> tuple[int, list[UUID], list[UUID]]:
    """What is to be posted next: up to which row, the events of these rows, those that changed afterwards."""
    async with scratch.read() as tx:
        places = await scratch_store.places(tx)
        again = await scratch_store.some_touched(tx, STEP)
    if places[POSTED] >= places[FOLDED]:
        return places[POSTED], [], again
    _, chapters = await chapters_after(one, plan.community_id, places[POSTED], places[FOLDED], STEP)
    seq = chapters[-1].seq if chapters else places[FOLDED]
    return seq, list({item.event_id for chapter in chapters for item in chapter.items}), again


async def _post_some(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> bool:
    """True when everything that is folded is posted."""
    seq, ids, again = await _due(one, scratch, plan)
    async with scratch.begin() as inner:
        places = await scratch_store.places(inner)
        if not again and seq <= places[POSTED]:
            return True
        async with one.db.begin() as tx:
            await _post_these(tx, inner, plan, me, [*ids, *again], done=plan.done + len(ids))
        # After the ledger: who is killed in between looks at the same once more, and finds nothing to post.
        await scratch_store.untouch(inner, again)
        await scratch_store.move_on(inner, POSTED, seq)
        forget_announcements(inner)
    return seq >= places[FOLDED] and len(again) < STEP


async def _post_these(tx: Tx, inner: Tx, plan: Any, me: UUID, ids: Sequence[UUID], **values: Any) -> None:
    # The plan's row first: it is held until the end, so that a cancel waits, and a second process is refused.
    await _advance(tx, plan, me, claimed_until=tx.now + LEASE)
    fresh = await posting.post(tx, inner, plan, list(dict.fromkeys(ids)))
    now = await store.one(tx, plan.community_id, plan.id)
    assert now is not None
    await store.change(tx, plan.id, {"posted": posting.add_up(now.posted, fresh), **values})
    tx.after_commit.append(lambda: RECOMPUTED_ENTRIES.inc(len(fresh)))


async def _carry_some(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> bool:
    """What was counted and noted, under the recompute's own names that nobody reads yet; True when few are left."""
    async with scratch.begin() as inner:
        async with one.db.begin() as tx:
            await _advance(tx, plan, me, claimed_until=tx.now + LEASE)
            carried = await _carry(tx, inner, one.settings.counter_days, CARRY)
        await scratch_store.clean(inner, *carried)
        forget_announcements(inner)
    return sum(len(some) for some in (carried.counters, carried.moments, carried.signals)) < CARRY


class _Carried(NamedTuple):
    counters: list[UUID]
    moments: list[tuple[Any, ...]]
    signals: list[UUID]


async def _carry(tx: Tx, inner: Tx, days: int, most: int | None) -> _Carried:
    """Up to so many of each kind (None: all); which ones. The caller notes that, once it is certain."""
    ids, counted = await scratch_store.some_dirty_counters(inner, most)
    given = await scratch_store.some_dirty_moments(inner, most)
    known, told = await scratch_store.some_dirty_signals(inner, most)
    since = tx.now - timedelta(days=days)
    wanted, moments, signals = (
        [dict(r._mapping) for r in rows if r.kept_until is None or r.kept_until >= since]
        for rows in (counted, given, told)
    )
    await store.carry_over(tx, wanted, moments, [], signals)
    return _Carried(ids, [(r.slot, r.at, r.event_id) for r in given], known)


async def _come_into_force(one: ServiceRuntime, scratch: Database, plan: Any, me: UUID) -> None:
    async with one.db.begin() as tx:
        await lock_alone(tx, gate(plan.community_id))
        head = await kept.head(tx, plan.community_id)
        # What came since the last look, if it is little: nobody scores meanwhile.
        if not (await fold_some(one, scratch, plan, head, STEP)).there:
            return
        seq, ids, again = await _due(one, scratch, plan)
        if seq < head or len(again) == STEP:
            return
        # Only read: what the file said to be done would be lost with a transaction that fails after all.
        async with scratch.read() as inner:
            await _post_these(tx, inner, plan, me, [*ids, *again], done=plan.total)
            await _carry(tx, inner, one.settings.counter_days, None)
            await _carry_the_rest(tx, inner, plan)
        over = {"claimed_by": None, "claimed_until": None, "state": DONE}
        await store.change(tx, plan.id, over)
        await rules_store.put_in_force(tx, community_id=plan.community_id, version=plan.version)
    logger.info("recompute.done", plan=str(plan.id), version=plan.version)


async def _carry_the_rest(tx: Tx, inner: Tx, plan: Any) -> None:
    """What waits for a place, and inverse events that only the new rules know."""
    waiting = await scratch_store.waiting(inner)
    closed = await erasures.closed(tx, plan.community_id, {r.member_id for r in waiting})
    waits = [{**r._mapping, "rule_version": plan.version} for r in waiting if r.member_id not in closed]
    await groups.open_like(tx, inner, plan.community_id, {(row["member_id"], row["unit"]) for row in waits})
    await store.carry_over(tx, [], [], waits, [])
    (known,) = (await rule_sets.in_force(tx, [plan.community_id])).values()
    types = inverse_types(rule_sets.parse(plan.draft)) - known.inverse
    rows = [dict(r._mapping) for r in await scratch_store.inverses_of(inner, types)] if types else []
    await undoing_store.add_inverses(tx, rows)


_STEPS = {FOLDING: _fold, COMPARING: _compare, POSTING: _post}
