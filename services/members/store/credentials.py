"""API keys and the keys that sign member tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, or_, select, update

from kit.database import Tx, add_up, insert_many, select_among
from services.members import tables as t
from services.members.store.keyset import Seek, Slice, page


async def add_key(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.keys, [row])


async def key(tx: Tx, *, community_id: UUID, key_id: UUID, lock: bool = False) -> Any | None:
    stmt = select(t.keys).where(t.keys.c.community_id == community_id, t.keys.c.id == key_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def page_of_keys(tx: Tx, *, community_id: UUID, ended: bool, limit: int, seek: Seek | None) -> Slice:
    """Oldest first; `ended` shows those that no longer work too."""
    c = t.keys.c
    stmt = select(t.keys).where(c.community_id == community_id)
    if not ended:
        stmt = stmt.where(or_(c.revoked_at.is_(None), c.revoked_at > tx.now))
        stmt = stmt.where(or_(c.expires_at.is_(None), c.expires_at > tx.now))
    return await page(tx, stmt, order=[c.created_at, c.id], seek=seek, limit=limit)


async def live_keys_named(tx: Tx, *, community_id: UUID, name: str) -> Sequence[Any]:
    c = t.keys.c
    return await tx.all(select(t.keys).where(c.community_id == community_id, c.name == name, c.revoked_at.is_(None)))


async def end_key(tx: Tx, *, key_id: UUID, version: int, revoked_at: datetime) -> None:
    await tx.execute(update(t.keys).where(t.keys.c.id == key_id).values(version=version, revoked_at=revoked_at))


async def mark_used(tx: Tx, *, uses: Mapping[UUID, datetime]) -> None:
    """Keep the latest use of each key; keys we do not have are passed over."""
    c = t.keys.c
    rows = await select_among(tx, (c.id, c.last_used_at), c.id, sorted(uses), lock=True)
    later = [
        {"key_id": row.id, "at": uses[row.id]}
        for row in rows
        if row.last_used_at is None or row.last_used_at < uses[row.id]
    ]
    if later:
        await tx.execute(update(t.keys).where(c.id == bindparam("key_id")).values(last_used_at=bindparam("at")), later)


async def signing_keys(tx: Tx) -> Sequence[Any]:
    """The one that signs last first: two may have been made in the same instant."""
    keys = t.signing_keys.c
    return await tx.all(select(t.signing_keys).order_by(keys.signs_from.desc(), keys.created_at.desc(), keys.kid))


async def add_signing_key(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.signing_keys, [row])


async def retire_signing_key(tx: Tx, *, kid: str, version: int, retired_at: datetime) -> None:
    values = {"version": version, "retired_at": retired_at}
    await tx.execute(update(t.signing_keys).where(t.signing_keys.c.kid == kid).values(**values))


async def revoke_tokens(tx: Tx, *, pairs: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], int]:
    """Tokens issued until now are void; the version of each pair's revocation."""
    rows = [{"community_id": c, "member_id": m, "version": 1, "issued_before": tx.now} for c, m in set(pairs)]
    key = ["community_id", "member_id"]
    done = await add_up(
        tx, t.token_revocations, rows, key=key, add=["version"], keep=["issued_before"], returning=[*key, "version"]
    )
    return {(c, m): version for c, m, version in done}


async def tokens_void_before(tx: Tx, *, community_id: UUID, member_id: UUID) -> datetime | None:
    c = t.token_revocations.c
    stmt = select(c.issued_before).where(c.community_id == community_id, c.member_id == member_id)
    before: datetime | None = await tx.scalar(stmt)
    return before
