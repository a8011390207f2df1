"""Connections of bots: rows, signs of life, counts by day, gaps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update

from kit.database import Tx, add_up, insert_many, upsert
from services.events import tables as t


async def add(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.connections, [row])


async def one(tx: Tx, *, connection_id: UUID) -> Any | None:
    """Of whichever community: its own credential is what a delivery is signed with."""
    return await tx.first(select(t.connections).where(t.connections.c.id == connection_id))


async def of_community(tx: Tx, *, community_id: UUID, connection_id: UUID, lock: bool = False) -> Any | None:
    c = t.connections.c
    stmt = select(t.connections).where(c.community_id == community_id, c.id == connection_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def page(tx: Tx, *, community_id: UUID, after: UUID | None, limit: int) -> list[Any]:
    """In the order they were made."""
    c = t.connections.c
    stmt = select(t.connections).where(c.community_id == community_id)
    if after is not None:
        stmt = stmt.where(c.id > after)
    return await tx.all(stmt.order_by(c.id).limit(limit))


async def change(tx: Tx, *, connection_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(t.connections).where(t.connections.c.id == connection_id).values(**values))


async def signs(tx: Tx, *, connection_ids: Sequence[UUID]) -> dict[UUID, Any]:
    found = await tx.all(select(t.connection_signs).where(t.connection_signs.c.connection_id.in_(connection_ids)))
    return {row.connection_id: row for row in found}


async def note_seen(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    """When each was heard of last (`connection_id`, `community_id`, `seen_at`); never backwards."""
    await upsert(tx, t.connection_signs, rows, key=["connection_id"], update=["seen_at"], newer="seen_at")


async def note_beat(tx: Tx, *, connection_id: UUID, at: datetime, seconds: int | None) -> None:
    """A heartbeat of a connection that was seen, and in how many seconds the next is due; never backwards. 0: it went
    offline. None: it is there, and did not say; what it said before holds."""
    s = t.connection_signs.c
    later = or_(s.beat_at.is_(None), s.beat_at < at)
    due = func.nullif(s.beat_seconds, 0) if seconds is None else seconds
    stmt = update(t.connection_signs).where(s.connection_id == connection_id, later)
    await tx.execute(stmt.values(beat_at=at, beat_seconds=due))


async def count(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await add_up(tx, t.connection_days, rows, key=["connection_id", "day", "outcome"], add=["count"])


async def counts(tx: Tx, *, connection_id: UUID, day: Any) -> dict[str, int]:
    c = t.connection_days.c
    columns = c.outcome, c["count"].label("deliveries")
    rows = await tx.all(select(*columns).where(c.connection_id == connection_id, c.day == day))
    return {row.outcome: int(row.deliveries) for row in rows}


async def beating(tx: Tx) -> list[Any]:
    """Every connection that is in use and beats or is missed, with its signs."""
    c, s = t.connections.c, t.connection_signs.c
    columns = (c.id, c.community_id, c.platform, c.name, s.beat_at, s.beat_seconds, s.seen_at, s.down_since)
    joined = t.connections.join(t.connection_signs, s.connection_id == c.id)
    in_use = c.active == 1, or_(s.beat_seconds.is_not(None), s.down_since.is_not(None))
    return await tx.all(select(*columns).select_from(joined).where(*in_use))


async def set_down(tx: Tx, *, connection_id: UUID, before: datetime | None, since: datetime | None) -> bool:
    """Mark it as missed since then, or as back (None); False when somebody else did so meanwhile."""
    s = t.connection_signs.c
    was = s.down_since.is_(None) if before is None else s.down_since == before
    stmt = update(t.connection_signs).where(s.connection_id == connection_id, was).values(down_since=since)
    return (await tx.execute(stmt)).rowcount == 1


async def busiest_groups(
    tx: Tx, *, community_id: UUID, connection_id: UUID, prefix: str, since: datetime, among: int, limit: int
) -> list[str]:
    """The groups whose name begins so in which most came through it, by the last things that did, so many of them at
    most: to count all would take the longer the more is stored."""
    c = t.activities.c
    last = (
        select(c.group_ref)
        .where(c.community_id == community_id, c.connection_id == connection_id, c.effective_at >= since)
        .order_by(c.effective_at.desc(), c.event_id.desc())
        .limit(among)
        .subquery()
    )
    group = last.c.group_ref
    stmt = select(group).where(group.startswith(prefix, autoescape=True)).group_by(group)
    return [row.group_ref for row in await tx.all(stmt.order_by(func.count().desc(), group).limit(limit))]


async def open_gap(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.gaps, [row])


async def open_gaps(tx: Tx, *, connection_id: UUID) -> list[Any]:
    g = t.gaps.c
    return await tx.all(select(t.gaps).where(g.connection_id == connection_id, g.until.is_(None)))


async def close_gap(tx: Tx, *, gap_id: UUID, until: datetime) -> None:
    await tx.execute(update(t.gaps).where(t.gaps.c.id == gap_id).values(until=until))


async def gaps(tx: Tx, *, connection_id: UUID, before: UUID | None, limit: int) -> list[Any]:
    """The latest first."""
    g = t.gaps.c
    stmt = select(t.gaps).where(g.connection_id == connection_id)
    if before is not None:
        stmt = stmt.where(g.id < before)
    return await tx.all(stmt.order_by(g.id.desc()).limit(limit))


async def written_by(tx: Tx, *, community_id: UUID, group: str, scopes: Sequence[str], ref: str) -> Any | None:
    """Subject and author of what is called `ref` in this group, in one of these scopes."""
    w = t.written.c
    there = w.community_id == community_id, w.group_ref == group, w.scope.in_(scopes), w.ref == ref
    stmt = select(w.subject, w.author).where(*there)
    return await tx.first(stmt.order_by(w.at.desc()).limit(1))


async def note_written(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    key = ["community_id", "group_ref", "scope", "ref"]
    await upsert(tx, t.written, rows, key=key, update=["subject", "author", "at"], newer="at")


async def crowded(tx: Tx, *, most: int, limit: int) -> list[Any]:
    """Groups of which more than `most` things are remembered, and how many."""
    w = t.written.c
    number = func.count().label("count")
    stmt = select(w.community_id, w.group_ref, number).group_by(w.community_id, w.group_ref)
    return await tx.all(stmt.having(number > most).limit(limit))


async def nth_newest(tx: Tx, *, community_id: UUID, group: str, place: int) -> datetime | None:
    """When the thing at this place, counted from the newest, was written."""
    w = t.written.c
    stmt = select(w.at).where(w.community_id == community_id, w.group_ref == group)
    row = await tx.first(stmt.order_by(w.at.desc()).offset(place).limit(1))
    return row.at if row is not None else None


async def thin(tx: Tx, *, community_id: UUID, group: str, before: datetime) -> None:
    w = t.written.c
    await tx.execute(delete(t.written).where(w.community_id == community_id, w.group_ref == group, w.at < before))
