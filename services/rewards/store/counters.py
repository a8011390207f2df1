"""What caps and cooldowns were used by. Counter rows are the locks: taken in the order of their ids."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from kit.database import Tx, insert_many, insert_to_lock, select_among, upsert
from services.rewards.tables.rules import counters, moments


async def lock(tx: Tx, *, ids: Iterable[UUID]) -> dict[UUID, int]:
    """Hold these counters until the transaction ends; id → value, 0 for one that nobody has used."""
    wanted = sorted(set(ids))
    await insert_to_lock(tx, counters, [{"id": id, "value": 0} for id in wanted], key=["id"])
    found = {r.id: r.value for r in await select_among(tx, counters, counters.c.id, wanted, lock=True)}
    return {id: found.get(id, 0) for id in wanted}


async def save(tx: Tx, *, values: Mapping[UUID, int]) -> None:
    """Write values of rows this transaction has locked."""
    await upsert(tx, counters, [{"id": id, "value": n} for id, n in values.items()], key=["id"], update=["value"])


async def moments_of(
    tx: Tx, *, slots: Mapping[UUID, tuple[datetime, datetime]]
) -> dict[UUID, list[tuple[datetime, int]]]:
    """What was given in each slot between its times (exclusive)."""
    out: dict[UUID, list[tuple[datetime, int]]] = {slot: [] for slot in slots}
    if not slots:
        return out
    low, high = min(a for a, _ in slots.values()), max(b for _, b in slots.values())
    between = (moments.c.at > low) & (moments.c.at < high)
    for row in await select_among(tx, moments, moments.c.slot, sorted(slots), where=between):
        first, last = slots[row.slot]
        if first < row.at < last:
            out[row.slot].append((row.at, row.amount))
    return out


async def add_moments(tx: Tx, *, rows: list[dict[str, Any]]) -> None:
    await insert_many(tx, moments, rows)
