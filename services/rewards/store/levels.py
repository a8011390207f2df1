"""SQL of levels."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, tuple_

from kit.database import Tx, insert_new, select_among, upsert
from services.rewards.domain.levels import Level
from services.rewards.tables.ledger import accounts
from services.rewards.tables.levels import level_announcements, level_versions, openings
from services.rewards.tables.rules import rule_sets


async def add_versions(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, int]]:
    """Record those whose (community, version) is new; returns those keys."""
    return {(c, v) for c, v in await insert_new(tx, level_versions, rows, key=("community_id", "version"))}


async def current(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """The newest version of each of the communities; `asked` says whether rules of theirs ever asked for levels."""
    by = level_versions.c.community_id
    newest = select(by, func.max(level_versions.c.version)).where(by.in_(list(community_ids))).group_by(by)
    # Of those that are scheduled too: what is kept should go back to before their time.
    holds = or_(rule_sets.c.in_force, rule_sets.c.effective_from.is_not(None) & rule_sets.c.cancelled_at.is_(None))
    rules = rule_sets.c.community_id == by, holds, rule_sets.c.asks_levels
    asked = select(rule_sets.c.version).where(*rules).exists().label("asked")
    stmt = select(level_versions, asked).where(tuple_(by, level_versions.c.version).in_(newest))
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


async def opened(tx: Tx, keys: Iterable[tuple[UUID, UUID, str]]) -> dict[tuple[UUID, UUID, str], tuple[date, int]]:
    """(community, member, unit) → the last day on which the balance changed, and what it was when that began."""
    by = openings.c.community_id, openings.c.member_id, openings.c.unit
    rows = await select_among(tx, openings, by, sorted(keys))
    return {(r.community_id, r.member_id, r.unit): (r.day, r.balance) for r in rows}


async def open_days(tx: Tx, balances: Mapping[tuple[UUID, UUID, str], tuple[date, int]]) -> None:
    """Note what these had when the day began, of those of whom nothing is noted of that day or a later one. The caller
    holds their accounts."""
    names = ("community_id", "member_id", "unit", "day", "balance")
    rows = [dict(zip(names, (*key, *balances[key]), strict=True)) for key in sorted(balances)]
    await upsert(tx, openings, rows, key=names[:3], update=names[3:], newer="day")
