"""What is over goes to the account `expired`, by ordinary entries, some lots a transaction (R70).

A lot goes once, whoever else is at it: it is looked at again when its account is held, and is there no more after that.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from kit.clock import uuid7
from kit.database import Database, Tx
from kit.days import day_bounds, local_day
from services.rewards.domain.ledger import EXPIRED, EXPIRY, Posting, digest
from services.rewards.handlers.apart import together_or_apart
from services.rewards.handlers.ledger import record
from services.rewards.store import ledger, lots

MOST = 500
"""Lots of a community that one transaction expires."""


async def expire_some(db: Database) -> int:
    """Some of what is over in each community, by the day it is there; how many lots. What cannot be expired in one
    community keeps none of another's."""
    async with db.read() as tx:
        # It is nowhere later than tomorrow, seen from UTC: what is over anywhere lasted no longer than today.
        places = await lots.communities_with(tx, local_day(tx.now, "UTC", 0))
    expired = 0
    for place in places:
        async with db.read() as tx:
            rows = await lots.over(tx, place.community_id, local_day(tx.now, place.zone, place.day_start), MOST)
        expired += await together_or_apart(rows, partial(_expire, db, place))
    return expired


async def _expire(db: Database, place: Any, rows: Sequence[Any]) -> int:
    async with db.begin() as tx:
        await ledger.lock_balances(tx, {(row.community_id, row.owner_id, row.unit) for row in rows})
        still = await lots.still(tx, rows)
        await record(tx, [_posting(tx, place, row) for row in still])
    return len(still)


def _posting(tx: Tx, place: Any, row: Any) -> Posting:
    id = uuid7(tx.now)
    _, end = day_bounds(row.last_day, place.zone, place.day_start)
    return Posting(
        id=id,
        community_id=row.community_id,
        # A lot of the same day may come again, from history: its own id makes each entry one of a kind.
        idem_key=digest("expiry", id),
        payload_hash=digest("expiry", row.owner_id, row.unit, row.last_day, row.amount),
        kind=EXPIRY,
        member_id=row.owner_id,
        counter=EXPIRED,
        unit=row.unit,
        amount=-row.amount,
        effective_at=end,
        day=row.last_day + timedelta(days=1),
        scored=False,
        reason="Expired",
    )
