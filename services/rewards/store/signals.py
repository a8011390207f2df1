"""SQL of what signals are made of. Rows are the locks: taken in the order of their ids."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kit.database import Tx, lock_rows, upsert
from services.rewards.tables.signals import signals


class Held(NamedTuple):
    """A row; an empty `body` for one that nobody has written. `kept_until` None: for ever."""

    body: bytes
    kept_until: datetime | None


async def lock(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Held]:
    """Hold these rows until the transaction ends."""
    missing = [{"id": id, "body": b"", "kept_until": tx.now} for id in ids]
    found = {r.id: Held(r.body, r.kept_until) for r in await lock_rows(tx, signals, [signals.c.id], missing)}
    return {id: found.get(id, Held(b"", tx.now)) for id in ids}


async def save(tx: Tx, rows: Mapping[UUID, Held]) -> None:
    """Write rows this transaction has locked."""
    values = [{"id": id, "body": row.body, "kept_until": row.kept_until} for id, row in rows.items()]
    await upsert(tx, signals, values, key=["id"], update=["body", "kept_until"])
