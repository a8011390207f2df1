"""Members, their identities and their moves."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update

from kit.database import Tx, add_up, insert_many, insert_new, select_among, upsert
from services.members import tables as t
from services.members.domain import Member
from services.members.store.keyset import Seek, Slice, page

_FIELDS = tuple(Member.__dataclass_fields__)
NAME_KEY = 200
"""Bytes of a name that prefixes are found by."""


_values_of = attrgetter(*_FIELDS)


def _member(row: Any) -> Member:
    return Member(*_values_of(row))


def name_key(name: str) -> bytes:
    return name.casefold().encode()[:NAME_KEY]


def _row(m: Member) -> dict[str, Any]:
    return {**dict(zip(_FIELDS, _values_of(m), strict=True)), "name_key": name_key(m.display_name)}


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
    seek: Seek | None,
    state: str | None = None,
    kind: str | None = None,
    member_id: UUID | None = None,
    name_prefix: str | None = None,
) -> tuple[list[Member], Slice]:
    """Oldest first by (created_at, id); with `name_prefix`, whatever its case, by (name_key, id)."""
    c = t.members.c
    stmt = select(t.members).where(c.community_id == community_id)
    for column, wanted in ((c.state, state), (c.kind, kind), (c.id, member_id)):
        if wanted is not None:
            stmt = stmt.where(column == wanted)
    order = [c.created_at, c.id]
    if name_prefix:
        first = name_key(name_prefix)
        # UTF-8 has no byte 0xff, so this is above every name that begins so.
        stmt = stmt.where(c.name_key >= first, c.name_key < first + b"\xff")
        order = [c.name_key, c.id]
    found = await page(tx, stmt, order=order, seek=seek, limit=limit)
    return [_member(row) for row in found.rows], found


async def count_by_state(tx: Tx) -> dict[str, int]:
    """Members of all communities."""
    rows = await tx.all(select(t.members.c.state, func.count().label("members")).group_by(t.members.c.state))
    return {row.state: row.members for row in rows}


async def add_members(tx: Tx, *, members: Sequence[Member]) -> set[tuple[UUID, UUID]]:
    """Insert those that are not there; the (community, member) pairs that were new."""
    return await insert_new(tx, t.members, [_row(m) for m in members], key=["community_id", "id"])


async def save_members(tx: Tx, *, members: Sequence[Member]) -> None:
    """Write the present form of members that are there."""
    update = [name for name in (*_FIELDS, "name_key") if name not in ("community_id", "id", "created_at")]
    await upsert(tx, t.members, [_row(m) for m in members], key=["community_id", "id"], update=update)


async def add_identities(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, str]]:
    """Insert those that nobody has; the (community, identity) pairs that were new."""
    return await insert_new(tx, t.identities, rows, key=["community_id", "identity"])


async def identity(tx: Tx, *, community_id: UUID, identity: str, lock: bool = False) -> Any | None:
    c = t.identities.c
    stmt = select(t.identities).where(c.community_id == community_id, c.identity == identity)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def identities_among(tx: Tx, *, pairs: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Any]:
    c = t.identities.c
    rows = await select_among(tx, t.identities, (c.community_id, c.identity), list(pairs))
    return {(row.community_id, row.identity): row for row in rows}


async def identities_of(tx: Tx, *, pairs: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], list[str]]:
    """(community, member) → identities in order."""
    c = t.identities.c
    columns = (c.community_id, c.member_id, c.identity)
    rows = await select_among(tx, columns, (c.community_id, c.member_id), list(pairs))
    out: dict[tuple[UUID, UUID], list[str]] = {}
    # Put in order here, by code points: the order of a database's texts depends on where it was made.
    for row in sorted(rows, key=lambda row: row.identity):
        out.setdefault((row.community_id, row.member_id), []).append(row.identity)
    return out


async def give_identity(
    tx: Tx, *, community_id: UUID, identity: str, member_id: UUID, version: int, linked: bool
) -> None:
    c = t.identities.c
    values = {"member_id": member_id, "version": version, "linked": linked}
    await tx.execute(
        update(t.identities).where(c.community_id == community_id, c.identity == identity).values(**values)
    )


async def remove_identities(tx: Tx, *, community_id: UUID, member_id: UUID) -> None:
    """A member's identities, with what was tried under them, and the codes that would link more."""
    c, tried, codes = t.identities.c, t.link_attempts.c, t.link_codes.c
    mine = c.community_id == community_id, c.member_id == member_id
    names = select(c.identity).where(*mine)
    await tx.execute(delete(t.link_attempts).where(tried.community_id == community_id, tried.identity.in_(names)))
    await tx.execute(delete(t.link_codes).where(codes.community_id == community_id, codes.member_id == member_id))
    await tx.execute(delete(t.identities).where(*mine))


async def mark_seen(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    """Note when identities that are there were first seen: rows of the whole table."""
    await upsert(tx, t.identities, rows, key=["community_id", "identity"], update=["first_seen_at"])


async def add_transitions(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, t.transitions, rows)


async def page_of_transitions(tx: Tx, *, community_id: UUID, member_id: UUID, limit: int, seek: Seek | None) -> Slice:
    """Newest first."""
    c = t.transitions.c
    stmt = select(t.transitions).where(c.community_id == community_id, c.member_id == member_id)
    return await page(tx, stmt, order=[c.seq], seek=seek, limit=limit, descending=True)


async def add_code(tx: Tx, *, community_id: UUID, digest: str, member_id: UUID, expires_at: datetime) -> None:
    """One code per member at a time: an older one ends. Old codes of others are cleared away."""
    c = t.link_codes.c
    mine = and_(c.community_id == community_id, c.member_id == member_id)
    await tx.execute(delete(t.link_codes).where(or_(mine, c.expires_at <= tx.now)))
    row = {"community_id": community_id, "hash": digest, "member_id": member_id, "expires_at": expires_at}
    await insert_many(tx, t.link_codes, [row])


async def take_code(tx: Tx, *, community_id: UUID, digest: str) -> UUID | None:
    """The member a code is for; taking it uses it up. None when there is none, or not any more."""
    c = t.link_codes.c
    stmt = delete(t.link_codes).where(c.community_id == community_id, c.hash == digest, c.expires_at > tx.now)
    row = (await tx.execute(stmt.returning(c.member_id))).first()
    return row.member_id if row else None


async def count_attempt(tx: Tx, *, community_id: UUID, identity: str, period: int) -> int:
    """One more attempt of this identity in this period; how many it is now. Older periods are cleared away."""
    await tx.execute(delete(t.link_attempts).where(t.link_attempts.c.period < period))
    row = {"community_id": community_id, "identity": identity, "period": period, "attempts": 1}
    key = ["community_id", "identity", "period"]
    [(attempts,)] = await add_up(tx, t.link_attempts, [row], key=key, add=["attempts"], returning=["attempts"])
    return int(attempts)


async def forget_attempts(tx: Tx, *, community_id: UUID, identity: str) -> None:
    c = t.link_attempts.c
    await tx.execute(delete(t.link_attempts).where(c.community_id == community_id, c.identity == identity))
