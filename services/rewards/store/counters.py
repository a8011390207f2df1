"""What caps and cooldowns were used by. Counter rows are the locks: taken in the order of their ids."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kit.database import Tx, insert_many, lock_rows, select_among, upsert
from services.rewards.tables.rules import counters, moments


class Counter(NamedTuple):
    """`kept_until` None: for ever, or (of a row older than the column) until it is used again."""

    value: int
    kept_until: datetime | None


async def lock(tx: Tx, *, kept: Mapping[UUID, datetime | None]) -> dict[UUID, Counter]:
    """Hold these counters until the transaction ends; by id, 0 for one that nobody has used."""
    missing = [{"id": id, "value": 0, "kept_until": until} for id, until in kept.items()]
    found = {r.id: Counter(r.value, r.kept_until) for r in await lock_rows(tx, counters, [counters.c.id], missing)}
    return {id: found.get(id, Counter(0, None)) for id in kept}


async def save(tx: Tx, *, values: Mapping[UUID, Counter]) -> None:
    """Write rows this transaction has locked."""
    rows = [{"id": id, "value": c.value, "kept_until": c.kept_until} for id, c in values.items()]
    await upsert(tx, counters, rows, key=["id"], update=["value", "kept_until"])


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
