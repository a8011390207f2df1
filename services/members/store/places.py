"""Communities, operators and what they sign in with."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from kit.database import Tx, insert_many, insert_new
from services.members import tables as t
from services.members.store.keyset import Seek, Slice, page


async def add_community(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.communities, [row])


async def community(tx: Tx, *, community_id: UUID, lock: bool = False) -> Any | None:
    stmt = select(t.communities).where(t.communities.c.id == community_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def first_community(tx: Tx) -> Any | None:
    return await tx.first(select(t.communities).order_by(t.communities.c.created_at, t.communities.c.id).limit(1))


async def page_of_communities(tx: Tx, *, ids: Sequence[UUID], limit: int, seek: Seek | None) -> Slice:
    """Oldest first; `ids` empty means all."""
    c = t.communities.c
    stmt = select(t.communities)
    if ids:
        stmt = stmt.where(c.id.in_(ids))
    return await page(tx, stmt, order=[c.created_at, c.id], seek=seek, limit=limit)


async def save_community(tx: Tx, *, community_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(t.communities).where(t.communities.c.id == community_id).values(**values))


async def add_operator(tx: Tx, *, name: str, role: str, communities: list[str]) -> bool:
    """False when an operator of that name is there already."""
    row = {"name": name, "role": role, "communities": communities, "created_at": tx.now}
    return bool(await insert_new(tx, t.operators, [row], key=["name"]))


async def operator(tx: Tx, *, name: str) -> Any | None:
    return await tx.first(select(t.operators).where(t.operators.c.name == name))


async def add_link(tx: Tx, *, row: dict[str, Any]) -> None:
    """Links that have expired are cleared away."""
    await tx.execute(delete(t.sign_in_links).where(t.sign_in_links.c.expires_at <= tx.now))
    await insert_many(tx, t.sign_in_links, [row])


async def link_is_good(tx: Tx, *, digest: str) -> bool:
    c = t.sign_in_links.c
    count = select(func.count()).select_from(t.sign_in_links).where(c.hash == digest, c.expires_at > tx.now)
    return bool(await tx.scalar(count))


async def take_link(tx: Tx, *, digest: str) -> Any | None:
    """The operator and the communities a link is for; taking it uses it up."""
    c = t.sign_in_links.c
    stmt = delete(t.sign_in_links).where(c.hash == digest, c.expires_at > tx.now)
    return (await tx.execute(stmt.returning(c.operator, c.communities))).first()


async def add_session(tx: Tx, *, row: dict[str, Any]) -> None:
    await insert_many(tx, t.sessions, [row])


async def session_by_hash(tx: Tx, *, digest: str) -> Any | None:
    return await tx.first(select(t.sessions).where(t.sessions.c.hash == digest))


async def end_session(tx: Tx, *, session_id: UUID, version: int) -> None:
    values = {"revoked_at": tx.now, "version": version}
    await tx.execute(update(t.sessions).where(t.sessions.c.id == session_id).values(**values))
