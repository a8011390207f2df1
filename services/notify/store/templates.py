"""Templates by version."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from kit.database import Tx, insert_new, select_among
from services.notify.tables import templates as t


async def newest(tx: Tx, *, names: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Any]:
    """(community, name) → the newest version; what a community has no version of is missing."""
    pairs = list(names)
    last = select(t.c.community_id, t.c.name, func.max(t.c.version).label("version"))
    last = last.group_by(t.c.community_id, t.c.name)
    communities = sorted({community_id for community_id, _ in pairs})
    versions = await tx.all(last.where(t.c.community_id.in_(communities)))
    wanted = [tuple(v) for v in versions if (v.community_id, v.name) in set(pairs)]
    rows = await select_among(tx, t, (t.c.community_id, t.c.name, t.c.version), wanted)
    return {(r.community_id, r.name): r for r in rows}


async def of_community(tx: Tx, *, community_id: UUID) -> list[Any]:
    """The newest version of each template, by name."""
    last = select(t.c.name, func.max(t.c.version).label("version")).where(t.c.community_id == community_id)
    last_of = last.group_by(t.c.name).subquery()
    same = (t.c.name == last_of.c.name) & (t.c.version == last_of.c.version)
    stmt = select(t).join(last_of, same).where(t.c.community_id == community_id)
    return await tx.all(stmt.order_by(t.c.name))


async def versions(tx: Tx, *, community_id: UUID, name: str) -> list[Any]:
    """Every version, newest first."""
    where = t.c.community_id == community_id, t.c.name == name
    return await tx.all(select(t).where(*where).order_by(t.c.version.desc()))


async def add(tx: Tx, *, rows: list[dict[str, Any]]) -> set[tuple[UUID, str, int]]:
    """Insert versions that are not there yet; (community, name, version) of the new ones."""
    return await insert_new(tx, t, rows, key=["community_id", "name", "version"])
