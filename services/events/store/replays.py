"""Replays: which there are, whose turn they are, what they send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select, tuple_, update

from kit.database import Tx, insert_many
from services.events import tables as t

RUNNING, PAUSED, CANCELLED, DONE = "running", "paused", "cancelled", "done"
OPEN = (RUNNING, PAUSED)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which activities: effective from `since` on and before `until`; of these types, by these computed ids, in these
    groups, each where any are named."""

    community_id: UUID
    since: datetime
    until: datetime
    types: Sequence[str] = ()
    actor_ids: Sequence[UUID] = ()
    groups: Sequence[str] = ()


def _chosen(chosen: Chosen) -> list[ColumnElement[bool]]:
    c = t.activities.c
    # What we noticed of connections was never an activity on the log.
    noticed = and_(c.type.in_(("connection.up", "connection.down")), c.connection_id.is_not(None))
    where = [
        c.community_id == chosen.community_id,
        c.effective_at >= chosen.since,
        c.effective_at < chosen.until,
        not_(noticed),
    ]
    if chosen.types:
        where.append(c.type.in_(chosen.types))
    if chosen.actor_ids:
        where.append(c.actor_id.in_(chosen.actor_ids))
    if chosen.groups:
        where.append(c.group_ref.in_(chosen.groups))
    return where


async def count(tx: Tx, *, chosen: Chosen) -> int:
    return int(await tx.scalar(select(func.count()).select_from(t.activities).where(*_chosen(chosen))))


async def activities(tx: Tx, *, chosen: Chosen, after: tuple[datetime, UUID] | None, limit: int) -> list[Any]:
    """The next in the order of (effective_at, event_id)."""
    c = t.activities.c
    stmt = select(t.activities).where(*_chosen(chosen))
    if after is not None:
        there = tuple_(literal(after[0], c.effective_at.type), literal(after[1], c.event_id.type))
        stmt = stmt.where(tuple_(c.effective_at, c.event_id) > there)
    return await tx.all(stmt.order_by(c.effective_at, c.event_id).limit(limit))


async def add(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.replays, [row])


async def one(tx: Tx, *, community_id: UUID, replay_id: UUID, lock: bool = False) -> Any | None:
    c = t.replays.c
    stmt = select(t.replays).where(c.community_id == community_id, c.id == replay_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def open_one(tx: Tx, *, community_id: UUID) -> Any | None:
    """The community's replay that is not over."""
    c = t.replays.c
    return await tx.first(select(t.replays).where(c.community_id == community_id, c.state.in_(OPEN)).limit(1))


async def page(tx: Tx, *, community_id: UUID, before: UUID | None, limit: int) -> list[Any]:
    """The latest first."""
    c = t.replays.c
    stmt = select(t.replays).where(c.community_id == community_id)
    if before is not None:
        stmt = stmt.where(c.id < before)
    return await tx.all(stmt.order_by(c.id.desc()).limit(limit))


async def change(tx: Tx, *, community_id: UUID, replay_id: UUID, values: dict[str, Any]) -> None:
    c = t.replays.c
    await tx.execute(update(t.replays).where(c.community_id == community_id, c.id == replay_id).values(**values))


async def running(tx: Tx) -> list[Any]:
    """Of every community, the oldest first."""
    c = t.replays.c
    return await tx.all(select(t.replays).where(c.state == RUNNING).order_by(c.id))


async def claim(tx: Tx, *, replay_id: UUID, by: UUID, until: datetime) -> Any | None:
    """The replay as it is now, for this claimant until then; None while another has it, or when it does not run."""
    c = t.replays.c
    free = or_(c.claimed_by == by, c.claimed_until.is_(None), c.claimed_until <= tx.now)
    stmt = update(t.replays).where(c.id == replay_id, c.state == RUNNING, free)
    if (await tx.execute(stmt.values(claimed_by=by, claimed_until=until))).rowcount != 1:
        return None
    return await tx.first(select(t.replays).where(c.id == replay_id))


async def advance(tx: Tx, *, replay_id: UUID, by: UUID, values: dict[str, Any]) -> bool:
    """False when it was paused or cancelled meanwhile, or is another's."""
    c = t.replays.c
    stmt = update(t.replays).where(c.id == replay_id, c.state == RUNNING, c.claimed_by == by)
    return (await tx.execute(stmt.values(**values))).rowcount == 1
