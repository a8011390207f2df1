"""What signals are made of: the member's own rows go, and others have the pseudonym where they had the member."""

import asyncio
from typing import Any

from kit.database import Database
from services.rewards.domain import signals as domain
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.store import erased as store
from services.rewards.tables.signals import signals

STEP = 1000


async def replace(db: Database, one: Any, stopping: asyncio.Event) -> None:
    """Of all communities: the rows do not say whose they are. An id is sixteen bytes as they are, in a text of bytes of
    that very length, so that another of that length can stand there."""
    old, new, after = one.member_id.bytes, one.pseudonym.bytes, None
    await _remove_own(db, one)
    while True:
        if stopping.is_set():
            raise Waiting("stopping")
        async with db.read() as tx:
            rows = await store.page_of_signals(tx, after, STEP)
        if not rows:
            return
        found = [row.id for row in rows if old in bytes(row.body)]
        if found:
            async with held(db, one) as tx:
                now = await store.bodies_of(tx, signals, found)
                bodies = [{"id": row.id, "body": bytes(row.body).replace(old, new)} for row in now]
                await store.put_bodies(tx, signals, ("id",), bodies)
        after = rows[-1].id
        await asyncio.sleep(0)


async def _remove_own(db: Database, one: Any) -> None:
    """Those that are there until they are forgotten by their time hold numbers and no names; these hold more, or for
    ever."""
    async with db.read() as tx:
        sets = await store.rule_sets_of(tx, one.community_id)
    types = {type for row in sets for rule in row.body["rules"] for type in rule["on"]}
    namespaces = {one.community_id, *(row.epoch for row in sets if row.epoch is not None)}
    ids = [id for namespace in namespaces for id in domain.rows_about(namespace, one.member_id, types)]
    async with held(db, one) as tx:
        await store.remove_signals(tx, sorted(ids))
