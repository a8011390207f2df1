"""All the rows beside the ledger and the boards: a walk through each table that has some, in steps that hold the writer
for a moment only."""

import asyncio
from functools import partial
from typing import Any

import msgspec

from kit import purging
from kit.database import Database, Tx
from services.rewards.domain.erasing import renamed
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.store import erased as store
from services.rewards.store import plans as plans_store


async def delete(db: Database, one: Any, stopping: asyncio.Event) -> None:
    for column in store.DELETED:
        table = column.table
        mine = (table.c.community_id == one.community_id) if "community_id" in table.c else None
        over = column == one.member_id
        await _sweep(db, table, over if mine is None else mine & over, stopping)


async def _sweep(db: Database, table: Any, over: Any, stopping: asyncio.Event, remove: Any = None) -> None:
    await purging.sweep(db, table, over, stopping=stopping, remove=remove)
    if stopping.is_set():
        raise Waiting("stopping")


async def rename(db: Database, one: Any, stopping: asyncio.Event) -> None:
    for wanted in store.RENAMED:
        over = store.mentions(wanted, one.community_id, one.member_id)
        await _sweep(db, wanted.table, over, stopping, partial(_rename, one, wanted))


async def _rename(one: Any, wanted: store.Rename, tx: Tx, keys: list[purging.Key]) -> int:
    await store.rename(tx, wanted, keys, one.member_id, one.pseudonym)
    return 0


async def forget_figures(db: Database, one: Any, _stopping: asyncio.Event) -> None:
    """Whom the figures of plans that are over name."""
    async with held(db, one) as tx:
        for row in await store.figures_of_plans(tx, one.community_id):
            there = {"result": row.result, "posted": row.posted, "created_by": row.created_by}
            plain = msgspec.json.encode(there).decode()
            if (now := renamed(plain, one.member_id, one.pseudonym)) != plain:
                await plans_store.change(tx, row.id, msgspec.json.decode(now))
