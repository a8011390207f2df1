"""Messages: made once, moved by state, read back for people and for operators."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from kit.database import Tx, delete_among, insert_new, select_among
from services.notify.domain import HELD, LEGAL, QUEUED, SENDING
from services.notify.tables import messages as t


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind `value` (an id or a position, newest first), or before it when `backwards`."""

    value: Any
    backwards: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """What an operator asked for; None means any."""

    member_id: UUID | None = None
    state: str | None = None
    template: str | None = None
    cause_id: UUID | None = None


async def known(tx: Tx, *, dedupes: Iterable[UUID]) -> dict[UUID, UUID]:
    """Dedupe id → the message that has it already."""
    return {r.dedupe: r.id for r in await select_among(tx, (t.c.dedupe, t.c.id), t.c.dedupe, list(dedupes))}


async def add(tx: Tx, *, rows: list[dict[str, Any]]) -> set[UUID]:
    """Insert the messages whose dedupe id is new; returns those dedupe ids."""
    return {dedupe for (dedupe,) in await insert_new(tx, t, rows, key=["dedupe"])}


async def one(tx: Tx, *, community_id: UUID, message_id: UUID) -> Any | None:
    return await tx.first(select(t).where(t.c.id == message_id, t.c.community_id == community_id))


async def waiting(tx: Tx, *, ids: Iterable[UUID]) -> list[Any]:
    """Those of the messages that are still held, locked."""
    rows = await select_among(tx, t, t.c.id, list(ids), lock=True)
    return [row for row in rows if row.state == HELD]


def _from(stmt: Any, column: Any, place: Place | None, limit: int) -> Any:
    """The rows of a page; those before a place come oldest first."""
    if place is None:
        return stmt.order_by(column.desc()).limit(limit)
    if place.backwards:
        return stmt.where(column > place.value).order_by(column).limit(limit)
    return stmt.where(column < place.value).order_by(column.desc()).limit(limit)


async def page(tx: Tx, *, community_id: UUID, chosen: Filter, place: Place | None, limit: int) -> list[Any]:
    """By id, which carries the time a message was made: newest first, or oldest first before a place."""
    stmt = select(t).where(t.c.community_id == community_id)
    for column, value in (
        (t.c.member_id, chosen.member_id),
        (t.c.state, chosen.state),
        (t.c.template, chosen.template),
        (t.c.cause_id, chosen.cause_id),
    ):
        if value is not None:
            stmt = stmt.where(column == value)
    return await tx.all(_from(stmt, t.c.id, place, limit))


async def set_state(
    tx: Tx,
    *,
    message_id: UUID,
    state: str,
    reason: str | None,
    steps: Sequence[Mapping[str, str]],
    position: int | None = None,
) -> None:
    """Move a message; the caller holds its row and checked that the move is legal."""
    values = {"state": state, "reason": reason, "steps": list(steps), "state_at": tx.now, "position": position}
    await tx.execute(update(t).where(t.c.id == message_id).values(values))


async def set_position(tx: Tx, *, message_id: UUID, position: int) -> None:
    """Another place in an inbox that the caller holds."""
    await tx.execute(update(t).where(t.c.id == message_id).values(position=position))


async def lock(tx: Tx, *, community_id: UUID, message_id: UUID) -> Any | None:
    """The message, its row held until the transaction ends."""
    stmt = select(t).where(t.c.id == message_id, t.c.community_id == community_id)
    return await tx.first(stmt.with_for_update())


# After their time

TABLE = t


def over(before: datetime) -> ColumnElement[bool]:
    """Nothing can become of them any more, and nobody did anything with them since then."""
    return t.c.state.not_in(sorted(LEGAL)) & (func.coalesce(t.c.read_at, t.c.state_at) < before)


async def ended_or_held(tx: Tx, *, community_id: UUID, member_id: UUID) -> list[UUID]:
    """A member's messages of which nothing is under way."""
    mine = t.c.community_id == community_id, t.c.member_id == member_id
    ended = t.c.state.not_in((QUEUED, SENDING))
    return [row.id for row in await tx.all(select(t.c.id).where(*mine, ended).order_by(t.c.id))]


async def remove(tx: Tx, *, ids: Sequence[UUID]) -> None:
    await delete_among(tx, t, [t.c.id], [(id,) for id in ids])


async def owners(tx: Tx, *, ids: Iterable[UUID]) -> list[tuple[UUID, UUID]]:
    """(community, member) of each of the messages."""
    rows = await select_among(tx, (t.c.community_id, t.c.member_id), t.c.id, list(ids))
    return [(row.community_id, row.member_id) for row in rows]


# The inbox of one member


async def inbox(
    tx: Tx, *, community_id: UUID, member_id: UUID, unread: bool, place: Place | None, limit: int
) -> list[Any]:
    """By position: newest first, or oldest first before a place."""
    stmt = select(t).where(t.c.community_id == community_id, t.c.member_id == member_id, t.c.position.is_not(None))
    if unread:
        stmt = stmt.where(t.c.read_at.is_(None))
    return await tx.all(_from(stmt, t.c.position, place, limit))


async def arrived(tx: Tx, *, community_id: UUID, member_id: UUID, after: int, limit: int) -> list[Any]:
    """What came into the inbox behind position `after`, oldest first."""
    stmt = select(t).where(t.c.community_id == community_id, t.c.member_id == member_id, t.c.position > after)
    return await tx.all(stmt.order_by(t.c.position).limit(limit))


async def engage(tx: Tx, *, row: Any, marks: Sequence[str], at: datetime) -> dict[str, datetime]:
    """Set what is not set yet of `seen`, `read`, `clicked`, `acked`; returns what was."""
    new = {f"{mark}_at": at for mark in marks if getattr(row, f"{mark}_at") is None}
    if new:
        await tx.execute(update(t).where(t.c.id == row.id).values(new))
    return new


async def read_all(tx: Tx, *, community_id: UUID, member_id: UUID, up_to: int) -> int:
    """Mark everything up to a position read (and seen, where it was not); how many were unread."""
    own = (t.c.community_id == community_id, t.c.member_id == member_id, t.c.position <= up_to)
    await tx.execute(update(t).where(*own, t.c.read_at.is_(None), t.c.seen_at.is_(None)).values(seen_at=tx.now))
    return (await tx.execute(update(t).where(*own, t.c.read_at.is_(None)).values(read_at=tx.now))).rowcount
