"""SQL of the activities that are kept. Rows of a community have no holes: see `tables.kept`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, select

from kit.database import Tx, add_up, insert_many
from services.rewards.tables.kept import kept_activities as t
from services.rewards.tables.kept import kept_heads as heads


class Extent(NamedTuple):
    """What is kept of a community: activities in all, the first row's time (None: nothing is), the last row."""

    activities: int
    since: datetime | None
    head: int


async def add(tx: Tx, rows: Mapping[UUID, dict[str, Any]]) -> None:
    """A row for each of the communities; its place is held until the transaction ends."""
    steps = [{"community_id": community_id, "seq": 1} for community_id in rows]
    columns = ("community_id", "seq")
    places = await add_up(tx, heads, steps, key=("community_id",), add=("seq",), returning=columns)
    await insert_many(tx, t, [{"community_id": c, "seq": seq, **rows[c], "kept_at": tx.now} for c, seq in places])


async def head(tx: Tx, community_id: UUID) -> int:
    """The last row; 0 before there is one. It may have been forgotten since."""
    return int(await tx.scalar(select(heads.c.seq).where(heads.c.community_id == community_id)) or 0)


async def after(tx: Tx, community_id: UUID, seq: int, until: int, most: int) -> Sequence[Row[Any]]:
    """The rows after this one and up to `until`, in order, at most so many."""
    where = t.c.community_id == community_id, t.c.seq > seq, t.c.seq <= until
    return await tx.all(select(t).where(*where).order_by(t.c.seq).limit(most))


async def extent(tx: Tx, community_id: UUID) -> Extent:
    mine = t.c.community_id == community_id
    first = func.min(t.c.kept_at, type_=t.c.kept_at.type)
    row = await tx.one(select(func.coalesce(func.sum(t.c.count), 0).label("n"), first.label("since")).where(mine))
    return Extent(int(row.n), row.since, await head(tx, community_id))


async def history_since(tx: Tx, community_id: UUID, seq: int) -> int:
    """How many activities of the past (imported, or sent once more) came after this row."""
    where = t.c.community_id == community_id, t.c.seq > seq
    return int(await tx.scalar(select(func.coalesce(func.sum(t.c.history), 0)).where(*where)))
