"""What rules decided, per event, rule, receiver and unit."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select

from kit.database import Tx, insert_many, select_among, upsert
from services.rewards.tables.rules import decisions as t

Key = tuple[UUID, str, str, str]
NOBODY = "-"
_KEY = t.c.event_id, t.c.rule_id, t.c.receiver, t.c.unit


async def decided(tx: Tx, *, event_ids: Iterable[UUID]) -> set[tuple[UUID, str]]:
    """(event, rule) of every decision on these events."""
    rows = await select_among(tx, [t.c.event_id, t.c.rule_id], t.c.event_id, list(event_ids))
    return {(row.event_id, row.rule_id) for row in rows}


async def reasons(tx: Tx, *, event_ids: Iterable[UUID]) -> dict[Key, str]:
    """By key, what decisions on these events say."""
    rows = await select_among(tx, [*_KEY, t.c.reason], t.c.event_id, list(event_ids))
    return {(r.event_id, r.rule_id, r.receiver, r.unit): r.reason for r in rows}


async def add(tx: Tx, *, rows: list[dict[str, Any]]) -> None:
    await insert_many(tx, t, rows)


async def put(tx: Tx, *, rows: list[dict[str, Any]]) -> None:
    """Decisions that were made again: they say from now on what these rows say."""
    changed = ("verdict", "amount", "reason", "transaction_id", "decided_at")
    await upsert(tx, t, rows, key=("event_id", "rule_id", "receiver", "unit"), update=changed)


async def of_event(tx: Tx, *, community_id: UUID, event_id: UUID) -> list[Any]:
    stmt = select(t).where(t.c.event_id == event_id, t.c.community_id == community_id)
    return await tx.all(stmt.order_by(t.c.rule_id, t.c.unit, t.c.receiver))


async def page_of_member(
    tx: Tx,
    *,
    community_id: UUID,
    member_id: UUID,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: tuple[datetime, UUID, str, str, str] | None,
) -> list[Any]:
    """Newest first, by (effective_at, event, rule, unit, receiver)."""
    stmt = select(t).where(t.c.community_id == community_id, t.c.member_id == member_id)
    if since is not None:
        stmt = stmt.where(t.c.effective_at >= since)
    if until is not None:
        stmt = stmt.where(t.c.effective_at < until)
    if before is not None:
        at, event, rule, unit, receiver = before
        same = and_(t.c.effective_at == at, t.c.event_id == event)
        same_unit = and_(t.c.rule_id == rule, t.c.unit == unit, t.c.receiver > receiver)
        later_unit = or_(and_(t.c.rule_id == rule, t.c.unit > unit), same_unit)
        later_rule = and_(same, or_(t.c.rule_id > rule, later_unit))
        older = or_(t.c.effective_at < at, and_(t.c.effective_at == at, t.c.event_id < event))
        stmt = stmt.where(or_(older, later_rule))
    order = (t.c.effective_at.desc(), t.c.event_id.desc(), t.c.rule_id, t.c.unit, t.c.receiver)
    return await tx.all(stmt.order_by(*order).limit(limit))
