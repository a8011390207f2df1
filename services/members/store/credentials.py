"""API keys and the keys that sign member tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select, update

from kit.database import Tx, insert_many, upsert
from services.members import tables as t


async def add_key(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.keys, [row])


async def key(tx: Tx, *, community_id: UUID, key_id: UUID, lock: bool = False) -> Any | None:
    stmt = select(t.keys).where(t.keys.c.community_id == community_id, t.keys.c.id == key_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def page_of_keys(tx: Tx, *, community_id: UUID, limit: int, after: tuple[datetime, UUID] | None) -> Sequence[Any]:
    c = t.keys.c
    stmt = select(t.keys).where(c.community_id == community_id)
    if after is not None:
        stmt = stmt.where(or_(c.created_at > after[0], and_(c.created_at == after[0], c.id > after[1])))
    return await tx.all(stmt.order_by(c.created_at, c.id).limit(limit))


async def live_keys_named(tx: Tx, *, community_id: UUID, name: str) -> Sequence[Any]:
    c = t.keys.c
    return await tx.all(select(t.keys).where(c.community_id == community_id, c.name == name, c.revoked_at.is_(None)))


async def end_key(tx: Tx, *, key_id: UUID, version: int, revoked_at: datetime) -> None:
    await tx.execute(update(t.keys).where(t.keys.c.id == key_id).values(version=version, revoked_at=revoked_at))


async def mark_used(tx: Tx, *, uses: Mapping[UUID, datetime]) -> None:
    """Keep the latest use of each key."""
    for key_id, at in sorted(uses.items()):
        later = or_(t.keys.c.last_used_at.is_(None), t.keys.c.last_used_at < at)
        await tx.execute(update(t.keys).where(t.keys.c.id == key_id, later).values(last_used_at=at))


async def signing_keys(tx: Tx) -> Sequence[Any]:
    """Newest first."""
    return await tx.all(select(t.signing_keys).order_by(t.signing_keys.c.created_at.desc(), t.signing_keys.c.kid))


async def add_signing_key(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.signing_keys, [row])


async def retire_signing_key(tx: Tx, *, kid: str, version: int, retired_at: datetime) -> None:
    values = {"version": version, "retired_at": retired_at}
    await tx.execute(update(t.signing_keys).where(t.signing_keys.c.kid == kid).values(**values))


async def revoke_tokens(tx: Tx, *, row: dict[str, Any]) -> None:
    key = ["community_id", "member_id"]
    await upsert(tx, t.token_revocations, [row], key=key, update=["version", "issued_before"], newer="version")
