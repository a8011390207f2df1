"""Ways out, and the messages in chats that go through them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update

from kit.database import Tx, delete_among, insert_many, insert_new, select_among
from services.notify.tables import channels as t
from services.notify.tables import chat_messages as c
from services.notify.tables import messages as m


async def add(tx: Tx, *, row: dict[str, Any]) -> bool:
    """False when the connection has one."""
    return bool(await insert_new(tx, t, [row], key=["community_id", "connection_id"]))


async def of_community(tx: Tx, *, community_id: UUID, channel_id: UUID, lock: bool = False) -> Any | None:
    stmt = select(t).where(t.c.community_id == community_id, t.c.id == channel_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def page(tx: Tx, *, community_id: UUID, after: UUID | None, limit: int) -> list[Any]:
    """In the order they were made."""
    stmt = select(t).where(t.c.community_id == community_id)
    if after is not None:
        stmt = stmt.where(t.c.id > after)
    return await tx.all(stmt.order_by(t.c.id).limit(limit))


async def change(tx: Tx, *, channel_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(t).where(t.c.id == channel_id).values(**values))


async def remove(tx: Tx, *, channel_id: UUID) -> None:
    await tx.execute(delete(t).where(t.c.id == channel_id))


async def of_connections(tx: Tx, *, pairs: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Any]:
    """(community, connection) → its channel, of those that have one."""
    rows = await select_among(tx, t, (t.c.community_id, t.c.connection_id), list(pairs))
    return {(row.community_id, row.connection_id): row for row in rows}


async def lock(tx: Tx, *, channel_id: UUID) -> Any | None:
    return await tx.first(select(t).where(t.c.id == channel_id).with_for_update())


# Messages in chats


async def add_messages(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, c, rows)


async def with_work(tx: Tx) -> list[UUID]:
    """Channels that may send something now."""
    open_ = or_(t.c.paused_until.is_(None), t.c.paused_until <= tx.now)
    joined = c.join(t, t.c.id == c.c.channel_id)
    stmt = select(c.c.channel_id).select_from(joined).where(t.c.active == 1, open_, c.c.due_at <= tx.now)
    return [row.channel_id for row in await tx.all(stmt.group_by(c.c.channel_id).order_by(func.min(c.c.due_at)))]


async def next_due(tx: Tx, *, channel_id: UUID) -> Any | None:
    """The message of this channel that is due longest, held; none that another transaction holds."""
    stmt = select(c).where(c.c.channel_id == channel_id, c.c.due_at <= tx.now, c.c.expires_at > tx.now)
    stmt = stmt.order_by(c.c.due_at, c.c.message_id)
    return await tx.first(stmt.limit(1).with_for_update(skip_locked=True))


async def hold(tx: Tx, *, message_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """The rows there are, held until the transaction ends."""
    return {row.message_id: row for row in await select_among(tx, c, c.c.message_id, list(message_ids), lock=True)}


async def of_message(tx: Tx, *, message_id: UUID) -> Any | None:
    return await tx.first(select(m).where(m.c.id == message_id).with_for_update())


async def set_message(tx: Tx, *, message_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(c).where(c.c.message_id == message_id).values(**values))


async def overdue(tx: Tx, *, limit: int) -> list[Any]:
    """Those that wait though their time is over, and those whose call was never heard of again."""
    waits = c.c.due_at.is_not(None) & (c.c.expires_at <= tx.now)
    lost = c.c.lease_until <= tx.now
    return await tx.all(select(c).where(or_(waits, lost)).order_by(c.c.message_id).limit(limit))


async def forget_messages(tx: Tx, *, message_ids: Sequence[UUID]) -> None:
    await delete_among(tx, c, [c.c.message_id], [(id,) for id in message_ids])
