"""Stored activities: the timeline, single ones, the live tail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, literal, or_, select, tuple_

from kit.database import Tx, insert_new, upsert
from services.events import tables as t


@dataclass(frozen=True, slots=True)
class Filter:
    """What a timeline shows; computed ids of actors; times are `effective_at`, `since` inclusive, `until` exclusive."""

    actor_ids: tuple[UUID, ...] = ()
    type: str | None = None
    group: str | None = None
    connection_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def add(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """Store those that are not there; the ids that were new."""
    return {event_id for (event_id,) in await insert_new(tx, t.activities, rows, key=["event_id"])}


async def ids_of(tx: Tx, *, community_id: UUID, member_id: UUID) -> tuple[UUID, ...]:
    """Every id under which activities of this member are stored; an id that was linked away leads to its member."""
    links = tx.database.table("known_identities").c
    mine = links.community_id == community_id
    owner = await tx.scalar(select(links.member_id).where(mine, links.computed_id == member_id)) or member_id
    linked = await tx.all(select(links.computed_id).where(mine, links.member_id == owner))
    return (owner, *(row.computed_id for row in linked if row.computed_id != owner))


async def one(tx: Tx, *, community_id: UUID, event_id: UUID) -> Any | None:
    c = t.activities.c
    return await tx.first(select(t.activities).where(c.event_id == event_id, c.community_id == community_id))


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a timeline that a page lies behind (older), or in front of with `backwards`."""

    effective_at: datetime
    event_id: UUID
    backwards: bool


async def page(tx: Tx, *, community_id: UUID, chosen: Filter, limit: int, place: Place | None) -> list[Any]:
    """Newest first by (effective_at, event_id), or oldest first when the place is `backwards`."""
    c = t.activities.c
    stmt = select(t.activities).where(c.community_id == community_id)
    if chosen.actor_ids:
        stmt = stmt.where(c.actor_id.in_(chosen.actor_ids))
    if chosen.type is not None:
        stmt = stmt.where(c.type == chosen.type)
    if chosen.group is not None:
        stmt = stmt.where(c.group_ref == chosen.group)
    if chosen.connection_id is not None:
        stmt = stmt.where(c.connection_id == chosen.connection_id)
    if chosen.since is not None:
        stmt = stmt.where(c.effective_at >= chosen.since)
    if chosen.until is not None:
        stmt = stmt.where(c.effective_at < chosen.until)
    backwards = place is not None and place.backwards
    if place is not None:
        here = tuple_(c.effective_at, c.event_id)
        there = tuple_(literal(place.effective_at, c.effective_at.type), literal(place.event_id, c.event_id.type))
        stmt = stmt.where(here > there if backwards else here < there)
    order = [x.asc() if backwards else x.desc() for x in (c.effective_at, c.event_id)]
    return await tx.all(stmt.order_by(*order).limit(limit))


async def set_tails(tx: Tx, *, stream: str, following: Mapping[int, int]) -> None:
    """Where each partition of a stream has been stored up to (next offset); never backwards."""
    rows = [{"stream": stream, "log_partition": p, "next_offset": n} for p, n in following.items()]
    await upsert(tx, t.tails, rows, key=["stream", "log_partition"], update=["next_offset"], newer="next_offset")


async def tails(tx: Tx, *, stream: str) -> dict[int, int]:
    c = t.tails.c
    return {r.log_partition: r.next_offset for r in await tx.all(select(t.tails).where(c.stream == stream))}


async def tail_of_activities(
    tx: Tx, *, community_id: UUID, connection_id: UUID | None, cursor: Mapping[int, int], limit: int
) -> list[Any]:
    """What was stored at or behind the cursor's offsets, in order within each partition; of one connection, or (None)
    of all.

    A cursor over a sequence or a time would miss rows that commit late; a partition's offsets are stored in order.
    """
    c = t.activities.c
    if not cursor:
        return []
    places = or_(*(and_(c.log_partition == p, c.log_offset >= n) for p, n in sorted(cursor.items())))
    stmt = select(t.activities).where(places, c.community_id == community_id)
    if connection_id is not None:
        stmt = stmt.where(c.connection_id == connection_id)
    return await tx.all(stmt.order_by(c.log_partition, c.log_offset).limit(limit))


async def tail_of_consequences(
    tx: Tx, *, community_id: UUID, connection_id: UUID | None, kind: str, cursor: Mapping[int, int], limit: int
) -> list[Any]:
    """The same for consequences of one kind; those of one connection are those of activities stored before them."""
    c, a = t.consequences.c, t.activities.c
    if not cursor:
        return []
    places = or_(*(and_(c.log_partition == p, c.log_offset >= n) for p, n in sorted(cursor.items())))
    stmt = select(t.consequences).where(c.kind == kind, places, c.community_id == community_id)
    if connection_id is not None:
        stmt = stmt.join(t.activities, a.event_id == c.event_id).where(a.connection_id == connection_id)
    return await tx.all(stmt.order_by(c.log_partition, c.log_offset).limit(limit))


async def add_consequences(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_new(tx, t.consequences, rows, key=["id"])


async def consequences_of(tx: Tx, *, community_id: UUID, event_id: UUID) -> list[Any]:
    c = t.consequences.c
    stmt = select(t.consequences).where(c.event_id == event_id, c.community_id == community_id)
    return await tx.all(stmt.order_by(c.at, c.id))
