"""Entering a service: which events are new. One row per consumed event, in the transaction of its effects."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from kit.contracts import Envelope
from kit.database import Database, Tx, insert_new

PURGE_STEP = 5000


async def keep_new(tx: Tx, envelopes: list[Envelope[Any]]) -> list[Envelope[Any]]:
    """The envelopes never seen before by this service, each id once, in order; remembers them.

    Two transactions with the same id wait for each other on PostgreSQL: exactly one of them gets it.
    """
    rows = [{"id": e.id, "received_at": tx.now} for e in envelopes]
    new: set[tuple[UUID, ...]] = await insert_new(tx, tx.database.table("inbox"), rows, key=["id"])
    fresh = []
    for envelope in envelopes:
        if (envelope.id,) in new:
            new.discard((envelope.id,))
            fresh.append(envelope)
    return fresh


async def purge(db: Database, keep: timedelta) -> int:
    """Forget ids older than `keep`, in small steps that do not hold the writer; returns how many."""
    total = 0
    table = db.table("inbox")
    while True:
        async with db.begin() as tx:
            old = select(table.c.id).where(table.c.received_at < tx.now - keep).limit(PURGE_STEP)
            gone = (await tx.execute(delete(table).where(table.c.id.in_(old)))).rowcount
        total += gone
        if gone < PURGE_STEP:
            return total
