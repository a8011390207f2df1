"""What was seen: identities, types, imports and their problems."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, and_, func, literal, or_, select, union

from kit.database import Tx, add_up, insert_many, insert_new, select_among
from services.events import tables as t


async def see_identities(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, str]]:
    """Remember identities; the (community, identity) pairs that were new."""
    return await insert_new(tx, t.seen_identities, rows, key=["community_id", "identity"])


async def count_types(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    key = ["community_id", "type"]
    await add_up(tx, t.seen_types, rows, key=key, add=["count", "problems"], keep=["last_at"])


async def seen_types(tx: Tx, *, types: Sequence[tuple[UUID, str]]) -> list[Any]:
    """What was counted of those (community, type) pairs."""
    c = t.seen_types.c
    return await select_among(tx, t.seen_types, (c.community_id, c.type), list(types))


async def own_schemas(tx: Tx, *, types: Sequence[tuple[UUID, str]]) -> list[Any]:
    """Every version of those (community, type) pairs that the community published."""
    c = t.own_types.c
    return await select_among(tx, t.own_types, (c.community_id, c.type), list(types))


async def newest_schemas(tx: Tx, *, types: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], dict[str, Any]]:
    """The schema in force of those (community, type) pairs that have one of the community's own."""
    rows = sorted(await own_schemas(tx, types=types), key=lambda row: row.version)
    return {(row.community_id, row.type): row.schema for row in rows}


async def type_names(tx: Tx, *, community_id: UUID, besides: Iterable[str], limit: int, after: str) -> list[str]:
    """Names of types that were published or seen, or stand in `besides`; each once, in the database's own order."""
    parts: list[Any] = [select(literal(name, String).label("type")) for name in besides]
    for table in (t.own_types, t.seen_types):
        found = select(table.c.type).where(table.c.community_id == community_id, table.c.type > after).distinct()
        # Limited before the union, so that a community with very many types pays for a page of them.
        parts.append(select(found.order_by(table.c.type).limit(limit).subquery().c.type))
    names = union(*parts).subquery().c.type
    return [row.type for row in await tx.all(select(names).where(names > after).order_by(names).limit(limit))]


async def own_type(tx: Tx, *, community_id: UUID, name: str) -> Any | None:
    """The newest version."""
    c = t.own_types.c
    stmt = select(t.own_types).where(c.community_id == community_id, c.type == name)
    return await tx.first(stmt.order_by(c.version.desc()).limit(1))


async def add_own_type(tx: Tx, *, row: dict[str, Any]) -> bool:
    """False when that version is there already."""
    return bool(await insert_new(tx, t.own_types, [row], key=["community_id", "type", "version"]))


async def count_imports(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    key = ["community_id", "name"]
    await add_up(tx, t.imports, rows, key=key, add=["stored", "rejected"], keep=["last_at"])


async def imports(tx: Tx, *, community_id: UUID, limit: int, after: str | None) -> list[Any]:
    c = t.imports.c
    stmt = select(t.imports).where(c.community_id == community_id)
    if after is not None:
        stmt = stmt.where(c.name > after)
    return await tx.all(stmt.order_by(c.name).limit(limit))


async def one_import(tx: Tx, *, community_id: UUID, name: str) -> Any | None:
    c = t.imports.c
    return await tx.first(select(t.imports).where(c.community_id == community_id, c.name == name))


async def add_problems(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, t.import_problems, rows)


async def problem_counts(tx: Tx, *, community_id: UUID, name: str) -> dict[str, int]:
    c = t.import_problems.c
    stmt = select(c.code, func.count().label("many")).where(c.community_id == community_id, c.name == name)
    return {r.code: r.many for r in await tx.all(stmt.group_by(c.code).order_by(c.code))}


async def problems(
    tx: Tx, *, community_id: UUID, name: str, limit: int, after: tuple[datetime, UUID] | None
) -> list[Any]:
    c = t.import_problems.c
    stmt = select(t.import_problems).where(c.community_id == community_id, c.name == name)
    if after is not None:
        stmt = stmt.where(or_(c.at > after[0], and_(c.at == after[0], c.id > after[1])))
    return await tx.all(stmt.order_by(c.at, c.id).limit(limit))
