"""SQL of levels."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, tuple_

from kit.database import Tx, insert_new
from services.rewards.domain.levels import Level
from services.rewards.tables.ledger import accounts
from services.rewards.tables.levels import level_announcements, level_versions


async def add_versions(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, int]]:
    """Record those whose (community, version) is new; returns those keys."""
    return {(c, v) for c, v in await insert_new(tx, level_versions, rows, key=("community_id", "version"))}


async def current(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """The newest version of each of the communities."""
    by = level_versions.c.community_id
    newest = select(by, func.max(level_versions.c.version)).where(by.in_(list(community_ids))).group_by(by)
    stmt = select(level_versions).where(tuple_(by, level_versions.c.version).in_(newest))
    return {row.community_id: row for row in await tx.all(stmt)}


async def balance(tx: Tx, community_id: UUID, member_id: UUID, unit: str) -> int:
    """A member's balance in a unit; 0 without an account."""
    where = accounts.c.community_id == community_id, accounts.c.owner_id == member_id, accounts.c.unit == unit
    return int(await tx.scalar(select(accounts.c.balance).where(*where)) or 0)


async def announce(tx: Tx, reached: Sequence[tuple[UUID, UUID, Level]]) -> set[tuple[UUID, UUID, int]]:
    """Note (community, member, level) as announced; returns those that were not before."""
    rows = [
        {"community_id": c, "member_id": m, "level": level.level, "announced_at": tx.now} for c, m, level in reached
    ]
    new = await insert_new(tx, level_announcements, rows, key=("community_id", "member_id", "level"))
    return {(c, m, n) for c, m, n in new}
