"""What communities wish, kept texts and their keys, who read them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from kit.database import Tx, delete_among, insert_many, insert_new, select_among, upsert
from services.events import tables as t


async def wishes(tx: Tx, *, community_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Those of the communities that ever said something."""
    rows = await select_among(tx, t.wishes, t.wishes.c.community_id, list(community_ids))
    return {row.community_id: row for row in rows}


async def all_wishes(tx: Tx) -> list[Any]:
    return await tx.all(select(t.wishes).order_by(t.wishes.c.community_id))


async def wish(tx: Tx, *, row: dict[str, Any]) -> None:
    await upsert(tx, t.wishes, [row], key=["community_id"], update=[name for name in row if name != "community_id"])


async def modes(tx: Tx, *, community_id: UUID) -> dict[str, str]:
    """Type → mode, of those that somebody set."""
    c = t.type_modes.c
    return {r.type: r.mode for r in await tx.all(select(c.type, c.mode).where(c.community_id == community_id))}


async def mode_of(tx: Tx, *, community_id: UUID, name: str) -> str | None:
    c = t.type_modes.c
    found: str | None = await tx.scalar(select(c.mode).where(c.community_id == community_id, c.type == name))
    return found


async def set_mode(tx: Tx, *, row: dict[str, Any]) -> None:
    key = ["community_id", "type"]
    await upsert(tx, t.type_modes, [row], key=key, update=["mode", "changed_at", "changed_by"])


async def keys(tx: Tx, *, writers: Sequence[tuple[UUID, UUID]]) -> list[Any]:
    """Those of (community, computed id) that have a key."""
    c = t.text_keys.c
    return await select_among(tx, t.text_keys, (c.community_id, c.actor_id), list(writers))


async def add_keys(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    """Where there is none yet."""
    await insert_new(tx, t.text_keys, rows, key=["community_id", "actor_id"])


async def add_texts(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_new(tx, t.texts, rows, key=["event_id"])


async def text_of(tx: Tx, *, community_id: UUID, event_id: UUID) -> Any | None:
    c = t.texts.c
    return await tx.first(select(t.texts).where(c.event_id == event_id, c.community_id == community_id))


async def destroy(tx: Tx, *, community_id: UUID, actor_ids: Sequence[UUID]) -> tuple[int, int]:
    """The keys of these, and the texts that nobody can read from then on; how many of each."""
    k, x = t.text_keys.c, t.texts.c
    keys = await tx.execute(delete(t.text_keys).where(k.community_id == community_id, k.actor_id.in_(actor_ids)))
    texts = await tx.execute(delete(t.texts).where(x.community_id == community_id, x.actor_id.in_(actor_ids)))
    return keys.rowcount, texts.rowcount


async def texts_before(tx: Tx, *, community_id: UUID, before: datetime | None, limit: int) -> list[UUID]:
    """The oldest of them; with None, whatever their age."""
    c = t.texts.c
    stmt = select(c.event_id).where(c.community_id == community_id)
    if before is not None:
        stmt = stmt.where(c.at < before)
    return [row.event_id for row in await tx.all(stmt.order_by(c.at, c.event_id).limit(limit))]


async def delete_texts(tx: Tx, *, event_ids: Sequence[UUID]) -> None:
    await delete_among(tx, t.texts, [t.texts.c.event_id], [(id,) for id in event_ids])


async def some_keys(tx: Tx, *, community_id: UUID, limit: int) -> list[UUID]:
    c = t.text_keys.c
    stmt = select(c.actor_id).where(c.community_id == community_id).order_by(c.actor_id).limit(limit)
    return [row.actor_id for row in await tx.all(stmt)]


async def delete_keys(tx: Tx, *, community_id: UUID, actor_ids: Sequence[UUID]) -> None:
    c = t.text_keys.c
    await delete_among(tx, t.text_keys, [c.community_id, c.actor_id], [(community_id, id) for id in actor_ids])


async def note_reading(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.text_readings, [row])


async def readings(tx: Tx, *, community_id: UUID, before: UUID | None, limit: int) -> list[Any]:
    """The latest first."""
    c = t.text_readings.c
    stmt = select(t.text_readings).where(c.community_id == community_id)
    if before is not None:
        stmt = stmt.where(c.id < before)
    return await tx.all(stmt.order_by(c.id.desc()).limit(limit))
