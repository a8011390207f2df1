"""Segments of members, who is in them, and who came in and went out."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from kit.database import Tx, delete_among, insert_many, insert_new, select_among
from services.members import tables as t
from services.members.store.keyset import Seek, Slice, page


async def add_segment(tx: Tx, *, community_id: UUID, segment_id: str, name: str, description: str) -> bool:
    """False when the community has one of that id."""
    row = {
        "community_id": community_id,
        "id": segment_id,
        "version": 1,
        "name": name,
        "description": description,
        "created_at": tx.now,
        "changed_at": tx.now,
    }
    return bool(await insert_new(tx, t.segments, [row], key=["community_id", "id"]))


async def segment(tx: Tx, *, community_id: UUID, segment_id: str, lock: bool = False) -> Any | None:
    stmt = select(t.segments).where(t.segments.c.community_id == community_id, t.segments.c.id == segment_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def save_segment(tx: Tx, *, community_id: UUID, segment_id: str, values: dict[str, Any]) -> None:
    c = t.segments.c
    await tx.execute(update(t.segments).where(c.community_id == community_id, c.id == segment_id).values(**values))


async def remove_segment(tx: Tx, *, community_id: UUID, segment_id: str) -> None:
    """Nobody may be in it any more."""
    c = t.segments.c
    await tx.execute(delete(t.segments).where(c.community_id == community_id, c.id == segment_id))


async def count_segments(tx: Tx, *, community_id: UUID) -> int:
    return int(await tx.scalar(select(func.count()).where(t.segments.c.community_id == community_id)))


async def page_of_segments(tx: Tx, *, community_id: UUID, limit: int, seek: Seek | None) -> Slice:
    """Oldest first."""
    c = t.segments.c
    return await page(
        tx, select(t.segments).where(c.community_id == community_id), order=[c.created_at, c.id], seek=seek, limit=limit
    )


async def sizes(tx: Tx, *, community_id: UUID, segment_ids: Sequence[str]) -> dict[str, int]:
    """How many are in each of the segments; those that nobody is in are left out."""
    c = t.segment_members.c
    stmt = select(c.segment_id, func.count().label("members")).where(
        c.community_id == community_id, c.segment_id.in_(segment_ids)
    )
    return {row.segment_id: row.members for row in await tx.all(stmt.group_by(c.segment_id))}


async def segments_of(tx: Tx, *, pairs: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], tuple[str, ...]]:
    """(community, member) → the segments they are in, in order; who is in none is left out."""
    c = t.segment_members.c
    columns = (c.community_id, c.member_id, c.segment_id)
    rows = await select_among(tx, columns, (c.community_id, c.member_id), list(pairs))
    out: dict[tuple[UUID, UUID], tuple[str, ...]] = {}
    # Put in order here, by code points: the order of a database's texts depends on where it was made.
    for row in sorted(rows, key=lambda row: row.segment_id):
        key = (row.community_id, row.member_id)
        out[key] = (*out.get(key, ()), row.segment_id)
    return out


async def all_inside(tx: Tx, *, community_id: UUID, segment_id: str) -> list[UUID]:
    """Everybody in a segment, in the order of their ids."""
    c = t.segment_members.c
    rows = await tx.all(select(c.member_id).where(c.community_id == community_id, c.segment_id == segment_id))
    return sorted(row.member_id for row in rows)


async def page_of_inside(tx: Tx, *, community_id: UUID, segment_id: str, limit: int, seek: Seek | None) -> Slice:
    """(member_id, display_name, reason, actor, since) of who is in a segment: who came first first."""
    c, m = t.segment_members.c, t.members.c
    joined = t.segment_members.join(t.members, (m.community_id == c.community_id) & (m.id == c.member_id))
    columns = c.member_id, m.display_name, c.reason, c.actor, c.since
    stmt = select(*columns).select_from(joined).where(c.community_id == community_id, c.segment_id == segment_id)
    return await page(tx, stmt, order=[c.since, c.member_id], seek=seek, limit=limit)


async def put_in(
    tx: Tx, *, community_id: UUID, segment_id: str, member_ids: Sequence[UUID], reason: str, actor: str
) -> None:
    """Members who are not in it."""
    same = {"community_id": community_id, "segment_id": segment_id, "reason": reason, "actor": actor, "since": tx.now}
    await insert_many(tx, t.segment_members, [{**same, "member_id": id} for id in member_ids])


async def take_out(tx: Tx, *, community_id: UUID, segment_id: str, member_ids: Sequence[UUID]) -> None:
    c = t.segment_members.c
    by = c.community_id, c.segment_id, c.member_id
    await delete_among(tx, t.segment_members, by, [(community_id, segment_id, id) for id in member_ids])


async def note_changes(
    tx: Tx,
    *,
    community_id: UUID,
    segment_id: str,
    member_ids: Sequence[UUID],
    change: str,
    reason: str,
    actor: str,
) -> None:
    same = {"community_id": community_id, "segment_id": segment_id, "change": change, "reason": reason, "actor": actor}
    rows = [{**same, "member_id": id, "created_at": tx.now} for id in member_ids]
    await insert_many(tx, t.segment_changes, rows)


async def page_of_changes(
    tx: Tx, *, community_id: UUID, segment_id: str, member_id: UUID | None, limit: int, seek: Seek | None
) -> Slice:
    """Newest first."""
    c = t.segment_changes.c
    stmt = select(t.segment_changes).where(c.community_id == community_id, c.segment_id == segment_id)
    if member_id is not None:
        stmt = stmt.where(c.member_id == member_id)
    return await page(tx, stmt, order=[c.seq], seek=seek, limit=limit, descending=True)
