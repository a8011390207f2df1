"""Calls: what is to be said through bots that stand at our door."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update

from kit.database import Tx, insert_new
from services.events.tables import calls as t

WAITING, CALLING, ENDED = "waiting", "calling", "ended"
TABLE = t


async def add(tx: Tx, *, rows: list[dict[str, Any]]) -> None:
    """Those that are new."""
    await insert_new(tx, t, rows, key=["call_id"])


async def waiting(tx: Tx, *, connection_ids: Sequence[UUID], limit: int) -> list[Any]:
    """Of these connections, in the order they were asked for."""
    there = t.c.state == WAITING, t.c.connection_id.in_(connection_ids)
    return await tx.all(select(t).where(*there).order_by(t.c.connection_id, t.c.call_id).limit(limit))


async def answering(tx: Tx, *, cause_id: UUID) -> Any | None:
    """What waits to be said about this activity."""
    return await tx.first(select(t).where(t.c.cause_id == cause_id, t.c.state == WAITING).limit(1))


async def move(tx: Tx, *, call_id: UUID, before: Sequence[str], after: str) -> bool:
    """False when somebody else did so first."""
    stmt = update(t).where(t.c.call_id == call_id, t.c.state.in_(before)).values(state=after, state_at=tx.now)
    return (await tx.execute(stmt)).rowcount == 1


async def overdue(tx: Tx, *, called_before: datetime, limit: int) -> list[Any]:
    """Waiting ones whose time is over, and those that began and never ended."""
    late = and_(t.c.state == WAITING, t.c.expires_at <= tx.now)
    lost = and_(t.c.state == CALLING, t.c.state_at < called_before)
    return await tx.all(select(t).where(or_(late, lost)).order_by(t.c.call_id).limit(limit))


def over(before: datetime) -> ColumnElement[bool]:
    return and_(t.c.state == ENDED, t.c.state_at < before)
