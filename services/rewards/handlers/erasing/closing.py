"""The account is closed: what is held comes back first, what waits is refused, and what is left goes to `burn`.

What was owed, and a balance below zero, is written off from `adjust`, where people's corrections come from: nobody ever
destroyed these points, so that `burn` had less than was burnt.
"""

import asyncio
from typing import Any

from kit.clock import uuid7
from kit.copies import known_communities
from kit.database import Database, Tx, lock_alone, try_lock
from kit.days import local_day
from kit.errors import Unavailable
from services.rewards.domain.ledger import ADJUST, BURN, DEBT, ERASURE, REPAYMENT, Posting, digest
from services.rewards.domain.recomputing import CANCELLED, OPEN, POSTING, READY
from services.rewards.handlers import holds
from services.rewards.handlers.counting import count_points
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.handlers.keeping import gate
from services.rewards.store import erased as store
from services.rewards.store import erasures
from services.rewards.store import ledger as ledger_store
from services.rewards.store import plans as plans_store

ACTOR = "guildhall"


async def stop_plans(db: Database, one: Any, _stopping: asyncio.Event) -> None:
    """No plan is made while somebody is erased (`plans.planning`), and what was simulated with them is void. A
    recompute that is being posted comes to its end first. Whoever scored without knowing has ended too."""
    async with held(db, one) as tx:
        if not await try_lock(tx, f"plans {one.community_id}"):
            raise Waiting("a plan is being made")
        await lock_alone(tx, gate(one.community_id))
        rows = await store.plans_in(tx, one.community_id, (*OPEN, READY))
        if any(row.state == POSTING for row in rows):
            raise Waiting("a recompute is not over")
        for row in rows:
            over = {"state": CANCELLED, "claimed_by": None, "claimed_until": None, "error": "a member was erased"}
            await plans_store.change(tx, row.id, over)
        await erasures.close(tx, one.community_id, one.pseudonym)


async def release_holds(db: Database, one: Any, stopping: asyncio.Event) -> None:
    async with db.read() as tx:
        ids = await store.open_holds(tx, one.community_id, one.member_id)
    for id in ids:
        if stopping.is_set():
            raise Waiting("stopping")
        async with held(db, one) as tx:
            if await store.is_open(tx, one.community_id, id):
                await holds.release(tx, one.community_id, id, actor=ACTOR)


async def refuse_waiting(db: Database, one: Any, _stopping: asyncio.Event) -> None:
    """Grants that wait for review, adjustments that wait for a second person, and what waits for a place."""
    async with held(db, one) as tx:
        await store.refuse_reviews(tx, one.community_id, one.member_id, actor=ACTOR)
        await store.refuse_adjustments(tx, one.community_id, one.member_id, actor=ACTOR)


async def close(db: Database, one: Any, _stopping: asyncio.Event) -> None:
    """One transaction of the ledger for each unit with anything in it, and one more where something is owed. No board,
    level or badge follows it: they follow members."""
    async with held(db, one) as tx:
        rows = await store.accounts_of(tx, one.community_id, one.member_id)
        keys = {(one.community_id, one.member_id, row.unit) for row in rows}
        accounts = await ledger_store.lock_balances(tx, keys) if keys else {}
        postings: list[Posting] = []
        for account in accounts.values():
            if account.debt:
                postings.append(await _posting(tx, one, account.unit, REPAYMENT, DEBT, -account.debt))
            if left := account.balance - account.debt:
                postings.append(await _posting(tx, one, account.unit, ERASURE, BURN if left > 0 else ADJUST, -left))
        if postings:
            await ledger_store.add_transactions(tx, postings)
            await ledger_store.add_entries(tx, postings)
            await ledger_store.move(tx, postings)
            tx.after_commit.append(lambda: count_points(postings))
        await store.remove_lots(tx, one.community_id, one.member_id)


async def _posting(tx: Tx, one: Any, unit: str, kind: str, counter: str, amount: int) -> Posting:
    id = uuid7(tx.now)
    place = (await known_communities(tx, [one.community_id])).get(one.community_id)
    if place is None:
        raise Unavailable(f"community {one.community_id} is not known here yet", code="community_unknown")
    return Posting(
        id=id,
        community_id=one.community_id,
        # What is found when it is looked once more is closed once more; that this is done once is the erasure's row.
        idem_key=digest(ERASURE, id),
        payload_hash=digest(ERASURE, id, amount),
        kind=kind,
        member_id=one.member_id,
        counter=counter,
        unit=unit,
        amount=amount,
        effective_at=tx.now,
        day=local_day(tx.now, place.zone, place.day_start),
        scored=False,
        reason=ERASURE,
        actor=ACTOR,
    )
