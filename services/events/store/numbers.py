"""A platform's own numbering: how far it has come, ranges that are missing, gaps that were told of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from kit.database import Tx, delete_among, insert_many, insert_new, select_among, upsert
from services.events import tables as t

Key = tuple[UUID, str, str]
"""Community, scope, stream."""

_KEY = ["community_id", "scope", "stream"]


async def streams(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """These streams, locked; begun with these rows where they are not there."""
    await insert_new(tx, t.sequences, rows, key=_KEY)
    c = t.sequences.c
    keys = [tuple(row[name] for name in _KEY) for row in rows]
    return await select_among(tx, t.sequences, (c.community_id, c.scope, c.stream), keys, lock=True)


async def lock(tx: Tx, *, key: Key) -> None:
    c = t.sequences.c
    await select_among(tx, t.sequences, (c.community_id, c.scope, c.stream), [key], lock=True)


async def move(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await upsert(tx, t.sequences, rows, key=_KEY, update=["number", "at"])


async def missing(tx: Tx, *, keys: Sequence[Key]) -> list[Any]:
    c = t.missing_numbers.c
    return await select_among(tx, t.missing_numbers, (c.community_id, c.scope, c.stream), list(keys))


async def add_missing(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, t.missing_numbers, rows)


async def remove_missing(tx: Tx, *, ids: Sequence[UUID]) -> None:
    await delete_among(tx, t.missing_numbers, [t.missing_numbers.c.id], [(id,) for id in ids])


async def untold(tx: Tx, *, before: datetime, limit: int) -> list[Any]:
    """Ranges found before then that nobody was told of."""
    c = t.missing_numbers.c
    stmt = select(t.missing_numbers).where(c.gap_id.is_(None), c.found_at <= before)
    return await tx.all(stmt.order_by(c.found_at, c.id).limit(limit))


async def set_told(tx: Tx, *, missing_id: UUID, gap_id: UUID) -> bool:
    """False when somebody told it meanwhile, or some of it came."""
    c = t.missing_numbers.c
    stmt = update(t.missing_numbers).where(c.id == missing_id, c.gap_id.is_(None)).values(gap_id=gap_id)
    return (await tx.execute(stmt)).rowcount == 1


async def gaps(tx: Tx, *, gap_ids: Sequence[UUID]) -> list[Any]:
    return await select_among(tx, t.gaps, t.gaps.c.id, list(gap_ids), lock=True)


async def set_missing(tx: Tx, *, gap_id: UUID, count: int) -> None:
    await tx.execute(update(t.gaps).where(t.gaps.c.id == gap_id).values(missing=count))


async def believed(tx: Tx, *, connection_ids: Sequence[UUID]) -> dict[UUID, tuple[str, bool]]:
    """Platform of each connection, and whether it has told of what its own account writes."""
    c, s = t.connections.c, t.connection_signs.c
    joined = t.connections.outerjoin(t.connection_signs, s.connection_id == c.id)
    stmt = select(c.id, c.platform, s.own_at).select_from(joined).where(c.id.in_(connection_ids))
    return {row.id: (row.platform, row.own_at is not None) for row in await tx.all(stmt)}


async def note_own(tx: Tx, *, connection_id: UUID, at: datetime) -> None:
    s = t.connection_signs.c
    await tx.execute(update(t.connection_signs).where(s.connection_id == connection_id).values(own_at=at))
