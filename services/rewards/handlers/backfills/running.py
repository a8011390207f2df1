"""The background work of backfills, in parts of a transaction each, in which what it counts and how far it is are
written together: whoever is killed leaves the next part to any process."""

from typing import Any
from uuid import UUID

import structlog

from kit.database import Database, Tx, is_infrastructure
from services.rewards.domain.backfills import FAILED, OPEN
from services.rewards.domain.badges import BALANCE, EVENTS, LEVEL, PERCENTILE, STREAK
from services.rewards.handlers import badges
from services.rewards.handlers.backfills import counting, measuring, periods
from services.rewards.store import backfills as store

logger = structlog.get_logger(__name__)

FORGET = 5000

_PARTS = {
    EVENTS: counting.take_on,
    STREAK: measuring.take_on,
    BALANCE: measuring.take_on,
    LEVEL: measuring.take_on,
    PERCENTILE: periods.take_on,
}


async def step(db: Database, community_id: UUID, badge_id: str) -> bool:
    """The next part of a backfill; False when there is nothing (more) to do for this process."""
    async with db.read() as tx:
        row = await store.one(tx, community_id, badge_id)
        if row is None:
            return False
        one = await badges.existing(tx, community_id, badge_id)
    if row.state not in OPEN:
        return await _tidy(db, row)
    try:
        return await _PARTS[one.badge.criterion.kind](db, row, one)
    except Exception as error:
        # Whatever fails, and does not pass by itself, would fail for ever.
        if is_infrastructure(error):
            raise
        logger.exception("backfill.failed", badge=badge_id, community=str(community_id))
        async with db.begin() as tx:
            await _fail(tx, row, repr(error))
        return False


async def _fail(tx: Tx, row: Any, reason: str) -> None:
    now = await store.still_open(tx, row)
    if now is not None:
        await store.change(tx, now, state=FAILED, error=reason[:500])


async def _tidy(db: Database, row: Any) -> bool:
    """Forget which inverse events there were, once nobody asks any more."""
    if row.indexed is None:
        return False
    async with db.begin() as tx:
        now = await store.one(tx, row.community_id, row.badge_id, lock=True)
        if now is None or now.state in OPEN or now.indexed is None:
            return False
        if await store.forget_inverses(tx, now, FORGET) < FORGET:
            await store.change(tx, now, indexed=None)
    return True
