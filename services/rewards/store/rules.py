"""Rule sets by version."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from kit.database import Tx, insert_new, select_among
from services.rewards.tables.rules import rule_sets as t


async def active(tx: Tx, *, community_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Community → the version in force; communities without rules are missing."""
    newest = func.max(t.c.version).label("version")
    rows = await tx.all(
        select(t.c.community_id, newest)
        .where(t.c.community_id.in_(sorted(set(community_ids))), t.c.in_force)
        .group_by(t.c.community_id)
    )
    return {r.community_id: r.version for r in rows}


async def bodies(tx: Tx, *, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], tuple[Any, UUID | None]]:
    """(community, version) → the stored set, and whose counters it goes by."""
    rows = await select_among(tx, t, (t.c.community_id, t.c.version), list(keys))
    return {(r.community_id, r.version): (r.body, r.epoch) for r in rows}


async def one(tx: Tx, *, community_id: UUID, version: int | None = None) -> Any | None:
    """A version, or the one in force."""
    stmt = select(t).where(t.c.community_id == community_id)
    stmt = stmt.where(t.c.in_force if version is None else t.c.version == version)
    return await tx.first(stmt.order_by(t.c.version.desc()).limit(1))


async def page(tx: Tx, *, community_id: UUID, limit: int, before: int | None) -> list[Any]:
    """Newest first, without their bodies."""
    stmt = select(t.c.version, t.c.in_force, t.c.actor, t.c.note, t.c.created_at).where(
        t.c.community_id == community_id
    )
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


async def epoch(tx: Tx, *, community_id: UUID, version: int) -> UUID | None:
    """Whose counters a version goes by; None: the community's own."""
    found: UUID | None = await tx.scalar(
        select(t.c.epoch).where(t.c.community_id == community_id, t.c.version == version)
    )
    return found
