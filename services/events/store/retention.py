"""Daily figures, and what goes when its time is over."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, literal, select, tuple_, update

from kit.database import Tx, add_up, delete_among
from services.events import tables as t

KEY = ["community_id", "day", "type", "group_ref"]


class Figures(NamedTuple):
    """Which of them: `since` and `until` inclusive; `group` may be "" for what was in none."""

    type: str | None
    group: str | None
    since: date | None
    until: date | None


async def count(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await add_up(tx, t.daily, rows, key=KEY, add=["count"])


async def page(
    tx: Tx, *, community_id: UUID, chosen: Figures, after: tuple[date, str, str] | None, limit: int
) -> list[Any]:
    """By day, type and group."""
    c = t.daily.c
    stmt = select(c.day, c.type, c.group_ref, c["count"].label("number")).where(c.community_id == community_id)
    if chosen.type is not None:
        stmt = stmt.where(c.type == chosen.type)
    if chosen.group is not None:
        stmt = stmt.where(c.group_ref == chosen.group)
    if chosen.since is not None:
        stmt = stmt.where(c.day >= chosen.since)
    if chosen.until is not None:
        stmt = stmt.where(c.day <= chosen.until)
    if after is not None:
        place = tuple_(*(literal(v, x.type) for v, x in zip(after, (c.day, c.type, c.group_ref), strict=True)))
        stmt = stmt.where(tuple_(c.day, c.type, c.group_ref) > place)
    return await tx.all(stmt.order_by(c.day, c.type, c.group_ref).limit(limit))


async def uncounted(tx: Tx, *, limit: int) -> list[Any]:
    """Some of the activities that stand in no daily figure, locked."""
    c = t.activities.c
    columns = c.event_id, c.community_id, c.type, c.group_ref, c.effective_at
    stmt = select(*columns).where(c.day.is_(None)).order_by(c.event_id).limit(limit)
    return await tx.all(stmt.with_for_update(skip_locked=True))


async def set_days(tx: Tx, *, days: Sequence[tuple[UUID, date]]) -> None:
    c = t.activities.c
    stmt = update(t.activities).where(c.event_id == bindparam("one")).values(day=bindparam("its_day", type_=c.day.type))
    await tx.execute(stmt, [{"one": event_id, "its_day": day} for event_id, day in days])


async def communities(tx: Tx, *, after: UUID | None) -> UUID | None:
    """The next community that has activities, found by skipping through the index."""
    c = t.activities.c
    stmt = select(c.community_id).order_by(c.community_id).limit(1)
    found: UUID | None = await tx.scalar(stmt.where(c.community_id > after) if after is not None else stmt)
    return found


async def over(tx: Tx, *, community_id: UUID, before: datetime, limit: int) -> list[UUID]:
    """The oldest activities that count before then, came before then, and stand in the daily figures.

    Looks at every one that counts before then, history that came since included: to be asked without a writer waiting.
    """
    c = t.activities.c
    old = c.community_id == community_id, c.effective_at < before, c.received_at < before, c.day.is_not(None)
    rows = await tx.all(select(c.event_id).where(*old).order_by(c.effective_at, c.event_id).limit(limit))
    return [row.event_id for row in rows]


async def delete(tx: Tx, *, event_ids: Sequence[UUID]) -> None:
    """With what became of them."""
    keys = [(id,) for id in sorted(event_ids)]
    await delete_among(tx, t.consequences, [t.consequences.c.event_id], keys)
    await delete_among(tx, t.activities, [t.activities.c.event_id], keys)
