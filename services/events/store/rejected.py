"""What was refused at the door: rows as far as they may be kept, counts by day and code."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from kit.database import Tx, add_up, insert_new
from services.events import tables as t
from services.events.redaction import BYTES

REJECTED, RETRIED = "rejected", "retried"


async def add(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_new(tx, t.rejected, rows, key=["id"])


async def count(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await add_up(tx, t.rejected_days, rows, key=["community_id", "day", "code"], add=["rejected", "kept"])


async def kept_on(tx: Tx, *, community_id: UUID, day: date) -> int:
    c = t.rejected_days.c
    return int(await tx.scalar(select(func.sum(c.kept)).where(c.community_id == community_id, c.day == day)) or 0)


async def days(tx: Tx, *, community_id: UUID, since: date) -> list[Any]:
    c = t.rejected_days.c
    stmt = select(t.rejected_days).where(c.community_id == community_id, c.day >= since)
    return await tx.all(stmt.order_by(c.day.desc(), c.code))


async def page(
    tx: Tx,
    *,
    community_id: UUID,
    code: str | None,
    connection_id: UUID | None,
    state: str | None,
    before: UUID | None,
    limit: int,
) -> list[Any]:
    """The latest first."""
    c = t.rejected.c
    stmt = select(t.rejected).where(c.community_id == community_id)
    if code is not None:
        stmt = stmt.where(c.code == code)
    if connection_id is not None:
        stmt = stmt.where(c.connection_id == connection_id)
    if state is not None:
        stmt = stmt.where(c.state == state)
    if before is not None:
        stmt = stmt.where(c.id < before)
    return await tx.all(stmt.order_by(c.id.desc()).limit(limit))


async def one(tx: Tx, *, community_id: UUID, rejection_id: UUID) -> Any | None:
    c = t.rejected.c
    return await tx.first(select(t.rejected).where(c.community_id == community_id, c.id == rejection_id))


async def to_retry(tx: Tx, *, community_id: UUID, code: str, limit: int) -> list[Any]:
    """Those of the code that were not retried yet and can be without being mended; the least often tried first."""
    c = t.rejected.c
    whole = c.form != BYTES, c.marked == 0
    stmt = select(t.rejected).where(c.community_id == community_id, c.code == code, c.state == REJECTED, *whole)
    return await tx.all(stmt.order_by(c.attempts, c.id).limit(limit))


async def change(tx: Tx, *, community_id: UUID, rejection_id: UUID, values: dict[str, Any]) -> bool:
    """False when it is there no longer."""
    c = t.rejected.c
    stmt = update(t.rejected).where(c.community_id == community_id, c.id == rejection_id)
    return (await tx.execute(stmt.values(**values))).rowcount == 1


async def remove(tx: Tx, *, community_id: UUID, rejection_id: UUID) -> bool:
    c = t.rejected.c
    return (
        await tx.execute(delete(t.rejected).where(c.community_id == community_id, c.id == rejection_id))
    ).rowcount == 1
