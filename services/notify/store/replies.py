"""Reply windows, with the answers that wait for one; who is suppressed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update

from kit.database import Tx, insert_new, select_among
from services.notify.tables import reply_windows as t
from services.notify.tables import suppressions as s

NOTHING = dict.fromkeys(
    ("connection_id", "group_ref", "identity", "member_id", "reply_to", "command", "expires_at", "remaining")
) | dict.fromkeys(("answer", "answered_at"))


async def held(tx: Tx, *, commands: Iterable[tuple[UUID, UUID]]) -> dict[UUID, Any]:
    """The row of each command (community, event id), made where there is none, all held until the transaction ends.

    A window and its answer come from two topics at the same moment: whoever is second sees the first's half.
    """
    rows = [
        {"event_id": event_id, "community_id": community_id, "made_at": tx.now, **NOTHING}
        for community_id, event_id in dict.fromkeys(commands)
    ]
    await insert_new(tx, t, rows, key=["event_id"])
    found = await select_among(tx, t, t.c.event_id, [row["event_id"] for row in rows], lock=True)
    return {row.event_id: row for row in found}


async def change(tx: Tx, *, event_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(t).where(t.c.event_id == event_id).values(**values))


async def forget_member(tx: Tx, *, community_id: UUID, member_id: UUID) -> None:
    """Where they may be answered, and what they want to hear nothing of."""
    for table in (t, s):
        await tx.execute(delete(table).where(table.c.community_id == community_id, table.c.member_id == member_id))


WINDOWS = t


def over(before: datetime) -> ColumnElement[bool]:
    """Rows made before this."""
    return t.c.made_at < before


async def given_up(tx: Tx, *, before: datetime, limit: int) -> list[Any]:
    """Answers that have waited since before this, for a window that did not come."""
    return await tx.all(select(t).where(t.c.answered_at < before).order_by(t.c.answered_at).limit(limit))


# Suppressions


async def suppress(tx: Tx, *, row: dict[str, Any]) -> bool:
    """False when the member was suppressed for this family before; the first reason stays."""
    return bool(await insert_new(tx, s, [row], key=["community_id", "member_id", "channel"]))


async def suppressed(tx: Tx, *, pairs: Sequence[tuple[UUID, UUID]], channel: str) -> dict[tuple[UUID, UUID], str]:
    """(community, member) → why, of those who are."""
    rows = await select_among(tx, s, (s.c.community_id, s.c.member_id), list(pairs))
    return {(row.community_id, row.member_id): row.reason for row in rows if row.channel == channel}


async def suppressions(
    tx: Tx, *, community_id: UUID, member_id: UUID | None, after: UUID | None, limit: int
) -> list[Any]:
    """Newest first."""
    stmt = select(s).where(s.c.community_id == community_id)
    if member_id is not None:
        stmt = stmt.where(s.c.member_id == member_id)
    if after is not None:
        stmt = stmt.where(s.c.id < after)
    return await tx.all(stmt.order_by(s.c.id.desc()).limit(limit))


async def lift(tx: Tx, *, community_id: UUID, suppression_id: UUID) -> bool:
    done = await tx.execute(delete(s).where(s.c.community_id == community_id, s.c.id == suppression_id))
    return done.rowcount > 0
