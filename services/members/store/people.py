"""Members, their identities and their moves."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, or_, select, update

from kit.database import Tx, insert_many, insert_new, select_among, upsert
from services.members import tables as t
from services.members.domain import Member

_FIELDS = tuple(Member.__dataclass_fields__)


def _member(row: Any) -> Member:
    return Member(**{name: getattr(row, name) for name in _FIELDS})


async def member(tx: Tx, *, community_id: UUID, member_id: UUID, lock: bool = False) -> Member | None:
    stmt = select(t.members).where(t.members.c.community_id == community_id, t.members.c.id == member_id)
    row = await tx.first(stmt.with_for_update() if lock else stmt)
    return _member(row) if row else None


async def members_among(
    tx: Tx, *, pairs: Iterable[tuple[UUID, UUID]], lock: bool = False
) -> dict[tuple[UUID, UUID], Member]:
    key = (t.members.c.community_id, t.members.c.id)
    return {
        (m.community_id, m.id): m for m in map(_member, await select_among(tx, t.members, key, list(pairs), lock=lock))
    }


async def page_of_members(
    tx: Tx,
    *,
    community_id: UUID,
    limit: int,
    after: tuple[datetime, UUID] | None,
    state: str | None,
    kind: str | None,
    name_prefix: str | None,
) -> list[Member]:
    """Oldest first, by (created_at, id)."""
    c = t.members.c
    stmt = select(t.members).where(c.community_id == community_id)
    if after is not None:
        stmt = stmt.where(or_(c.created_at > after[0], and_(c.created_at == after[0], c.id > after[1])))
    if state is not None:
        stmt = stmt.where(c.state == state)
    if kind is not None:
        stmt = stmt.where(c.kind == kind)
    if name_prefix is not None:
        stmt = stmt.where(c.display_name.startswith(name_prefix, autoescape=True))
    return [_member(row) for row in await tx.all(stmt.order_by(c.created_at, c.id).limit(limit))]


async def add_members(tx: Tx, *, members: Sequence[Member]) -> set[tuple[UUID, UUID]]:
    """Insert those that are not there; the (community, member) pairs that were new."""
    rows = [{name: getattr(m, name) for name in _FIELDS} for m in members]
    return await insert_new(tx, t.members, rows, key=["community_id", "id"])


async def save_members(tx: Tx, *, members: Sequence[Member]) -> None:
    """Write the present form of members that are there."""
    rows = [{name: getattr(m, name) for name in _FIELDS} for m in members]
    update = [name for name in _FIELDS if name not in ("community_id", "id", "created_at")]
    await upsert(tx, t.members, rows, key=["community_id", "id"], update=update)


async def add_identities(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, str]]:
    """Insert those that nobody has; the (community, identity) pairs that were new."""
    return await insert_new(tx, t.identities, rows, key=["community_id", "identity"])


async def identity(tx: Tx, *, community_id: UUID, identity: str) -> Any | None:
    c = t.identities.c
    return await tx.first(select(t.identities).where(c.community_id == community_id, c.identity == identity))


async def identities_of(tx: Tx, *, pairs: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], list[str]]:
    """(community, member) → identities in order."""
    c = t.identities.c
    rows = await select_among(tx, t.identities, (c.community_id, c.member_id), list(pairs), order_by=[c.identity])
    out: dict[tuple[UUID, UUID], list[str]] = {}
    for row in rows:
        out.setdefault((row.community_id, row.member_id), []).append(row.identity)
    return out


async def give_identity(
    tx: Tx, *, community_id: UUID, identity: str, member_id: UUID, version: int, linked: bool
) -> None:
    c = t.identities.c
    values = {"member_id": member_id, "version": version, "linked": int(linked)}
    await tx.execute(
        update(t.identities).where(c.community_id == community_id, c.identity == identity).values(**values)
    )


async def add_transitions(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, t.transitions, rows)


async def transitions_of(tx: Tx, *, community_id: UUID, member_id: UUID, limit: int, before: int | None) -> list[Any]:
    """Newest first."""
    c = t.transitions.c
    stmt = select(t.transitions).where(c.community_id == community_id, c.member_id == member_id)
    if before is not None:
        stmt = stmt.where(c.seq < before)
    return await tx.all(stmt.order_by(c.seq.desc()).limit(limit))


async def add_code(tx: Tx, *, community_id: UUID, digest: str, member_id: UUID, expires_at: datetime) -> None:
    """One code per member at a time: an older one ends."""
    c = t.link_codes.c
    await tx.execute(delete(t.link_codes).where(c.community_id == community_id, c.member_id == member_id))
    row = {"community_id": community_id, "hash": digest, "member_id": member_id, "expires_at": expires_at}
    await insert_many(tx, t.link_codes, [row])


async def take_code(tx: Tx, *, community_id: UUID, digest: str) -> UUID | None:
    """The member a code is for; taking it uses it up. None when there is none, or not any more."""
    c = t.link_codes.c
    stmt = delete(t.link_codes).where(c.community_id == community_id, c.hash == digest, c.expires_at > tx.now)
    row = (await tx.execute(stmt.returning(c.member_id))).first()
    return row.member_id if row else None
