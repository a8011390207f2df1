"""The nightly audit: balances are what their entries sum to, transactions sum to zero, boards say what entries say,
streaks what their facts say, the chain holds. What it finds it tells by metric and in the log, and changes nothing but
to seal what was left out."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from kit.database import Database
from kit.days import local_day
from kit.metrics import LEDGER_AUDITED, LEDGER_FAULTS
from kit.runtime import pause
from kit.service import Audit
from services.rewards.handlers import refolding
from services.rewards.handlers.sealing import Verified, verify_block
from services.rewards.store import chain as store

logger = structlog.get_logger(__name__)

HOUR = 3
"""In UTC: whose night that is differs by community."""

SHARE = 9
TOLD = 20
"""Faults that are named in the log; all of them are counted."""


def until_night(now: datetime) -> timedelta:
    """From now to the next time it is three o'clock, at least a second."""
    next_one = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    if next_one <= now:
        next_one += timedelta(days=1)
    return max(next_one - now, timedelta(seconds=1))


async def begin(db: Database) -> bool:
    """Whether this process is to make this night's audit: the first that asks. One that is killed in it leaves it to
    the next night."""
    async with db.begin() as tx:
        return await store.claim_night(tx, local_day(tx.now, "UTC", 0))


async def audit(db: Database, audits: Sequence[Audit], stopping: asyncio.Event) -> dict[str, int]:
    """Make these audits, and look through the chains and the streaks, some at a time, with rests; how many faults each
    found."""
    found: dict[str, list[str]] = {}
    for one in audits:
        async with db.read() as tx:
            found[one.name] = await one.look(tx)
    found["chain"] = await _chains(db, stopping)
    found["streaks"] = await _streaks(db, stopping)
    for name, faults in found.items():
        LEDGER_FAULTS.labels(name).set(len(faults))
        for fault in faults[:TOLD]:
            logger.error("ledger.fault", audit=name, fault=fault)
    LEDGER_AUDITED.set(db.clock().timestamp())
    return {name: len(faults) for name, faults in found.items()}


async def _streaks(db: Database, stopping: asyncio.Event) -> list[str]:
    faults: list[str] = []
    after = None
    while not stopping.is_set():
        began = time.monotonic()
        async with db.read() as tx:
            looked = await refolding.look(tx, after)
        faults += looked.faults
        if looked.last is None:
            break
        after = looked.last
        await pause(stopping, SHARE * (time.monotonic() - began))
    return faults


async def _chains(db: Database, stopping: asyncio.Event) -> list[str]:
    faults: list[str] = []
    async with db.read() as tx:
        communities = await store.communities(tx)
    for community_id in communities:
        so_far, more = Verified(community_id), True
        while more and not stopping.is_set():
            began = time.monotonic()
            async with db.read() as tx:
                late = await store.late_ids(tx, community_id)
                more = await verify_block(tx, so_far, late)
            await pause(stopping, SHARE * (time.monotonic() - began))
        faults += so_far.faults
    return faults
