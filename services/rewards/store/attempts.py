"""SQL of check-ins that a series did not take as they came, and who confirms them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from kit.database import Tx, insert_new, select_among, upsert
from services.rewards.domain.proofs import PENDING
from services.rewards.tables.checkins import checkin_attempts as attempts
from services.rewards.tables.checkins import checkin_confirmations as confirmations
from services.rewards.tables.checkins import checkin_facts as facts

Key = tuple[UUID, str, UUID]
"""(community, series, event)"""

_KEY = ("community_id", "series_id", "event_id")
_OF_ATTEMPT = (attempts.c.community_id, attempts.c.series_id, attempts.c.event_id)
_OF_DAY = (facts.c.community_id, facts.c.series_id, facts.c.member_id, facts.c.day)


async def among(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    rows = await select_among(tx, attempts, _OF_ATTEMPT, list(keys))
    return {(r.community_id, r.series_id, r.event_id): r for r in rows}


async def of_event(tx: Tx, community_id: UUID, event_id: UUID) -> list[Row[Any]]:
    """One for each series that did not take it."""
    where = attempts.c.event_id == event_id, attempts.c.community_id == community_id
    return await tx.all(select(attempts).where(*where).order_by(attempts.c.series_id))


async def events_of_days(tx: Tx, days: Iterable[tuple[Any, ...]]) -> set[Key]:
    """The check-ins that were ever taken for these (community, series, member, day), undone ones included."""
    columns = facts.c.community_id, facts.c.series_id, facts.c.event_id
    return {tuple(row) for row in await select_among(tx, columns, _OF_DAY, list(days)) if row.event_id is not None}


async def pending_about(tx: Tx, things: Iterable[UUID]) -> list[Row[Any]]:
    """Those that wait and that an inverse event about one of these things would name, held until the transaction
    ends."""
    waits = attempts.c.state == PENDING
    return await select_among(tx, attempts, attempts.c.thing, sorted(things), where=waits, lock=True)


async def lock(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    rows = await select_among(tx, attempts, _OF_ATTEMPT, sorted(keys), lock=True)
    return {(r.community_id, r.series_id, r.event_id): r for r in rows}


async def due(tx: Tx, before: datetime, limit: int) -> list[Key]:
    """Those whose time is over, of one community."""
    t = attempts.c
    first = select(t.community_id).where(t.due_at < before).order_by(t.due_at).limit(1).scalar_subquery()
    stmt = select(*_OF_ATTEMPT).where(t.due_at < before, t.community_id == first).order_by(t.due_at).limit(limit)
    return [(r.community_id, r.series_id, r.event_id) for r in await tx.all(stmt)]


async def put(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Write what became of them; the caller holds them."""
    decided = "state", "body", "due_at", "decided_at", "decided_by", "reason"
    await upsert(tx, attempts, rows, key=_KEY, update=decided)


async def confirm(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Each member once about each thing."""
    await insert_new(tx, confirmations, rows, key=("thing", "member_id"))


async def confirmed(tx: Tx, things: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Thing → who confirmed it, in that order."""
    out: dict[UUID, list[UUID]] = {}
    order = confirmations.c.created_at, confirmations.c.member_id
    for row in await select_among(tx, confirmations, confirmations.c.thing, sorted(things), order_by=order):
        out.setdefault(row.thing, []).append(row.member_id)
    return out


async def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Those that are not there yet."""
    await insert_new(tx, attempts, rows, key=_KEY)


async def page(
    tx: Tx,
    community_id: UUID,
    series_id: str,
    *,
    state: str | None,
    member_id: UUID | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Row[Any]]:
    """The latest first; `before` gives the ones just before that id, the nearest first."""
    t = attempts.c
    stmt = select(attempts).where(t.community_id == community_id, t.series_id == series_id)
    if state is not None:
        stmt = stmt.where(t.state == state)
    if member_id is not None:
        stmt = stmt.where(t.member_id == member_id)
    if before is not None:
        stmt = stmt.where(t.id > before).order_by(t.id)
    else:
        stmt = stmt.order_by(t.id.desc())
        if after is not None:
            stmt = stmt.where(t.id < after)
    return await tx.all(stmt.limit(limit))
