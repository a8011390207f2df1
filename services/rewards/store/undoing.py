"""SQL of what can be undone and of what undid it. Who reads or writes a thing holds its lock (`store.counters`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from kit.database import Tx, delete_among, insert_many, insert_new, select_among
from services.rewards.tables.undoing import inverse_events, undoable_grants, waiting_grants

Key = tuple[UUID, UUID]
"""(thing, event or transaction)"""


async def inverses(tx: Tx, things: Iterable[UUID]) -> list[Row[Any]]:
    """The inverse events about these things that were there before."""
    return await select_among(tx, inverse_events, inverse_events.c.thing, sorted(things))


async def add_inverses(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[Key]:
    """Record inverse events; returns (thing, event) of the new ones."""
    return {(thing, event) for thing, event in await insert_new(tx, inverse_events, rows, key=("thing", "event_id"))}


async def grants(tx: Tx, things: Iterable[UUID]) -> list[Row[Any]]:
    """What was paid for these things and not undone yet."""
    return await select_among(tx, undoable_grants, undoable_grants.c.thing, sorted(things))


async def add_grants(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, undoable_grants, rows)


async def rename_grants(tx: Tx, names: Mapping[UUID, UUID], things: Iterable[UUID]) -> None:
    """What can be undone of these things under one transaction's id can be under another's from now on."""
    rows = [row._mapping for row in await grants(tx, things) if row.transaction_id in names]
    await remove_grants(tx, [(row["thing"], row["transaction_id"]) for row in rows])
    await add_grants(tx, [{**row, "transaction_id": names[row["transaction_id"]]} for row in rows])


async def ways_of(tx: Tx, transaction_ids: Iterable[UUID]) -> dict[UUID, list[Row[Any]]]:
    """Grant → the ways in which it can be undone, by thing."""
    out: dict[UUID, list[Row[Any]]] = {}
    t = undoable_grants.c
    by = t.transaction_id, t.thing
    for row in await select_among(tx, undoable_grants, t.transaction_id, sorted(transaction_ids), order_by=by):
        out.setdefault(row.transaction_id, []).append(row)
    return out


async def remove_grants(tx: Tx, keys: Sequence[Key]) -> None:
    await delete_among(tx, undoable_grants, (undoable_grants.c.thing, undoable_grants.c.transaction_id), keys)


async def waiting(tx: Tx, places: Iterable[UUID]) -> list[Row[Any]]:
    """What waits for a place to become free."""
    return await select_among(tx, waiting_grants, waiting_grants.c.place, sorted(places))


async def waiting_of(tx: Tx, community_id: UUID, event_ids: Iterable[UUID]) -> list[Row[Any]]:
    """What of these events waits, or waited among counters that are not in force any more."""
    t = waiting_grants.c
    return await select_among(tx, waiting_grants, t.event_id, sorted(event_ids), where=t.community_id == community_id)


async def add_waiting(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_new(tx, waiting_grants, rows, key=[column.name for column in waiting_grants.primary_key])


async def remove_waiting(tx: Tx, rows: Iterable[Row[Any]]) -> None:
    by = list(waiting_grants.primary_key)
    await delete_among(tx, waiting_grants, by, [tuple(getattr(row, c.name) for c in by) for row in rows])
