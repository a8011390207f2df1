"""Forgetting what rules no longer need: counters, moments and signals nobody can ask for, decisions after their time.

The ledger forgets nothing: a grant's idempotency key stays for ever, so whatever comes again is not paid again.
What the ledger cannot know is that an event got *nothing* (a cap was full). Live events that come again so late are
too late for every rule; history never is, therefore days of which decisions are gone are closed to it.
"""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

from kit import purging
from kit.contracts.events import Activity
from kit.database import Database, Tx
from kit.days import local_day
from services.rewards.store import purging as store

LEAST_DAYS = 30
"""No decision is forgotten sooner (the settings' minimum), so days younger than this need no look."""


async def purge(
    db: Database, *, counters: timedelta, decisions: timedelta, activities: timedelta, stopping: asyncio.Event
) -> int:
    """One walk through everything; how many rows went. Activities are kept no longer than what was decided on them,
    attempts at check-ins and who confirmed them as long."""
    now = db.clock()
    total = 0
    for table in (store.COUNTERS, store.MOMENTS, store.SIGNALS):
        total += await purging.sweep(db, table, store.unasked(table, now - counters), stopping=stopping)
    kept = store.kept_before(now - min(activities, decisions))
    total += await purging.sweep(db, store.KEPT, kept, stopping=stopping)
    for table in (store.ATTEMPTS, store.CONFIRMATIONS):
        total += await purging.sweep(db, table, store.tried_before(table, now - decisions), stopping=stopping)
    over = store.decided_before(now - decisions)
    remove = partial(_forget_decisions, over=over)
    return total + await purging.sweep(db, store.DECISIONS, over, stopping=stopping, remove=remove)


async def _forget_decisions(tx: Tx, keys: list[purging.Key], *, over: purging.Over) -> int:
    rows = await purging.still(tx, store.DECISIONS, over, keys)
    await store.forget(tx, days={(row.community_id, _day(row.effective_at)) for row in rows})
    return await purging.delete(tx, store.DECISIONS, rows)


async def closed_days(tx: Tx, found: Sequence[Activity]) -> set[tuple[UUID, date]]:
    """Days of the history and of the replayed among the activities, of which decisions are gone. Read after the
    decisions, so that what goes in between is found here."""
    old = tx.now - timedelta(days=LEAST_DAYS)
    days = {day_of(a) for a in found if is_history(a) and a.effective_at < old}
    return await store.forgotten(tx, days=days)


def is_history(a: Activity) -> bool:
    """Whether it comes now and is not news: posted as history, or sent once more."""
    return a.import_name is not None or a.replay_id is not None


def day_of(a: Activity) -> tuple[UUID, date]:
    return a.community_id, _day(a.effective_at)


def _day(at: datetime) -> date:
    return local_day(at, "UTC", 0)
