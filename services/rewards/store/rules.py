"""Rule sets by version."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update

from kit.database import Tx, insert_new, select_among
from services.rewards.domain.versions import Published
from services.rewards.tables.rules import rule_sets as t

_SCHEDULED = t.c.effective_from.is_not(None) & t.c.cancelled_at.is_(None)


async def holding(tx: Tx, *, community_ids: Iterable[UUID]) -> dict[UUID, list[Published]]:
    """Community → the newest of its versions in force that were not scheduled, and those that were (of one time the
    newest); communities without rules are missing."""
    version, published = func.max(t.c.version).label("version"), func.max(t.c.created_at).label("published_at")
    rows = await tx.all(
        select(t.c.community_id, t.c.effective_from, version, published)
        .where(t.c.community_id.in_(sorted(set(community_ids))), or_(t.c.in_force, _SCHEDULED))
        .group_by(t.c.community_id, t.c.effective_from)
    )
    out: dict[UUID, list[Published]] = {}
    for r in rows:
        out.setdefault(r.community_id, []).append(Published(r.version, r.effective_from, r.published_at))
    return out


async def scheduled_after(tx: Tx, *, community_id: UUID, at: datetime) -> list[Row[Any]]:
    """The versions that start later, the next first."""
    stmt = select(t.c.version, t.c.effective_from).where(t.c.community_id == community_id, _SCHEDULED)
    return await tx.all(stmt.where(t.c.effective_from > at).order_by(t.c.effective_from, t.c.version))


async def bodies(tx: Tx, *, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], tuple[Any, UUID | None]]:
    """(community, version) → the stored set, and whose counters it goes by."""
    rows = await select_among(tx, t, (t.c.community_id, t.c.version), list(keys))
    return {(r.community_id, r.version): (r.body, r.epoch) for r in rows}


async def one(tx: Tx, *, community_id: UUID, version: int) -> Row[Any] | None:
    return await tx.first(select(t).where(t.c.community_id == community_id, t.c.version == version))


async def page(tx: Tx, *, community_id: UUID, limit: int, before: int | None) -> list[Row[Any]]:
    """Newest first, without their bodies."""
    columns = [column for column in t.c if column.name != "body"]
    stmt = select(*columns).where(t.c.community_id == community_id)
    if before is not None:
        stmt = stmt.where(t.c.version < before)
    return await tx.all(stmt.order_by(t.c.version.desc()).limit(limit))


async def add(tx: Tx, *, rows: list[dict[str, Any]]) -> set[tuple[UUID, int]]:
    """Insert versions that are not there; the (community, version) pairs that were new."""
    return await insert_new(tx, t, rows, key=["community_id", "version"])


async def newest(tx: Tx, *, community_id: UUID) -> int:
    """The highest version there is, whether it came into force or not; 0 before there is one."""
    return int(await tx.scalar(select(func.max(t.c.version)).where(t.c.community_id == community_id)) or 0)


async def put_in_force(tx: Tx, *, community_id: UUID, version: int) -> None:
    same = t.c.community_id == community_id, t.c.version == version
    await tx.execute(update(t).where(*same).values(in_force=True))


async def cancel(tx: Tx, *, community_id: UUID, version: int, by: str) -> None:
    same = t.c.community_id == community_id, t.c.version == version
    await tx.execute(update(t).where(*same).values(cancelled_at=tx.now, cancelled_by=by))


async def epoch(tx: Tx, *, community_id: UUID, version: int) -> UUID | None:
    """Whose counters a version goes by; None: the community's own."""
    found: UUID | None = await tx.scalar(
        select(t.c.epoch).where(t.c.community_id == community_id, t.c.version == version)
    )
    return found
