"""SQL of badges: versions, standings, grants, marks. Who changes a standing holds its row."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, exists, func, or_, select

from kit.database import Tx, delete_among, insert_many, insert_new, lock_rows, select_among, upsert
from services.rewards.domain.backfills import OPEN
from services.rewards.tables.backfills import badge_backfills as backfills
from services.rewards.tables.badges import badge_grants as grants
from services.rewards.tables.badges import badge_marks as marks
from services.rewards.tables.badges import badge_runs as runs
from services.rewards.tables.badges import badge_standings as standings
from services.rewards.tables.badges import badge_versions as versions

Key = tuple[UUID, str, UUID]
"""(community, badge, member)"""

NO_SLOT = UUID(int=0)
"""Of a run that is of a programme, and of no period of a board."""
_RUN = ("community_id", "badge_id", "slot")
_MEMBER = ("community_id", "badge_id", "member_id")
_OF_STANDING = (standings.c.community_id, standings.c.badge_id, standings.c.member_id)
_OF_GRANT = (grants.c.community_id, grants.c.badge_id, grants.c.member_id, grants.c.number)
_OF_MARK = (marks.c.community_id, marks.c.badge_id, marks.c.member_id, marks.c.value, marks.c.event_id)


# Versions


async def newest(tx: Tx, community_ids: Iterable[UUID]) -> dict[tuple[UUID, str], tuple[int, bool]]:
    """(community, badge) → its newest version, and whether a backfill of it is open."""
    by = versions.c.community_id, versions.c.id
    open_one = exists().where(backfills.c.community_id == by[0], backfills.c.badge_id == by[1])
    counted = open_one.where(backfills.c.state.in_(OPEN)).correlate(versions).label("backfilled")
    stmt = select(*by, func.max(versions.c.version).label("version"), counted)
    found = await tx.all(stmt.where(by[0].in_(sorted(set(community_ids)))).group_by(*by))
    return {(r.community_id, r.id): (r.version, bool(r.backfilled)) for r in found}


async def bodies(tx: Tx, keys: Iterable[tuple[UUID, str, int]]) -> list[Row[Any]]:
    """These (community, badge, version)."""
    return await select_among(tx, versions, (versions.c.community_id, versions.c.id, versions.c.version), list(keys))


async def created_at(tx: Tx, keys: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], datetime]:
    """When the first version of each (community, badge) was made."""
    wanted = [(c, i, 1) for c, i in keys]
    return {(r.community_id, r.id): r.created_at for r in await bodies(tx, wanted)}


async def add_versions(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, str, int]]:
    """Record those whose (community, badge, version) is new; returns those keys."""
    return {(c, i, v) for c, i, v in await insert_new(tx, versions, rows, key=("community_id", "id", "version"))}


# Standings


async def standings_of(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    rows = await select_among(tx, standings, _OF_STANDING, list(keys))
    return {(r.community_id, r.badge_id, r.member_id): r for r in rows}


async def lock(tx: Tx, rows: Sequence[dict[str, Any]]) -> dict[Key, Row[Any]]:
    """Hold the standings with the keys of `rows` until the transaction ends. Those that are not there yet come back as
    given, or not at all."""
    found = await lock_rows(tx, standings, _OF_STANDING, rows)
    return {(r.community_id, r.badge_id, r.member_id): r for r in found}


async def put_standings(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    names = [column.name for column in standings.columns if column.name not in _MEMBER]
    await upsert(tx, standings, rows, key=_MEMBER, update=names)


async def of_member(tx: Tx, community_id: UUID, member_id: UUID) -> dict[str, Row[Any]]:
    """Badge → how the member stands with it."""
    where = standings.c.community_id == community_id, standings.c.member_id == member_id
    return {r.badge_id: r for r in await tx.all(select(standings).where(*where))}


async def holders(tx: Tx, community_id: UUID, badge_id: str, *, after: UUID | None, limit: int) -> list[Row[Any]]:
    """Who holds a badge, by their ids; one that expired is held no more, whether it was noted or not."""
    here = standings.c
    stmt = select(standings).where(here.community_id == community_id, here.badge_id == badge_id, here.held)
    stmt = stmt.where(or_(here.expires_at.is_(None), here.expires_at > tx.now))
    if after is not None:
        stmt = stmt.where(here.member_id > after)
    return await tx.all(stmt.order_by(here.member_id).limit(limit))


async def expired(tx: Tx, limit: int) -> list[Key]:
    """Standings that are written as held and expired meanwhile, the first to expire first."""
    here = standings.c
    stmt = select(*_OF_STANDING).where(here.held, here.expires_at <= tx.now)
    stmt = stmt.order_by(here.expires_at, *_OF_STANDING).limit(limit)
    return [(r.community_id, r.badge_id, r.member_id) for r in await tx.all(stmt)]


# Grants


async def add_grants(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, grants, rows)


async def grants_of(tx: Tx, keys: Iterable[tuple[UUID, str, UUID, int]]) -> list[Row[Any]]:
    """These (community, badge, member, number)."""
    return await select_among(tx, grants, _OF_GRANT, list(keys))


async def end_grants(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of grants that ended."""
    await upsert(tx, grants, rows, key=(*_MEMBER, "number"), update=("ended_at", "ended_why", "ended_reason"))


async def grant_with(tx: Tx, code: str) -> Row[Any] | None:
    """The grant that a certificate's code belongs to."""
    return await tx.first(select(grants).where(grants.c.code == code))


# Runs


def new_run(tx: Tx, community_id: UUID, badge_id: str, slot: UUID = NO_SLOT) -> dict[str, Any]:
    """A run from the beginning, as soon as may be."""
    key = {"community_id": community_id, "badge_id": badge_id, "slot": slot}
    return {**key, "due_at": tx.now, "after_member": None, "enough": None, "done": False}


async def put_run(tx: Tx, row: dict[str, Any]) -> None:
    await upsert(tx, runs, [row], key=_RUN, update=("due_at", "after_member", "enough", "done"))


async def end_run(tx: Tx, run: Any) -> None:
    """Forget a run of a period: there is another one for the next."""
    await tx.execute(delete(runs).where(*[runs.c[name] == getattr(run, name) for name in _RUN]))


async def due_run(tx: Tx) -> Row[Any] | None:
    """The run that was due first of those that are not done."""
    stmt = select(runs).where(runs.c.done.is_(False), runs.c.due_at <= tx.now)
    return await tx.first(stmt.order_by(runs.c.due_at, runs.c.badge_id, runs.c.community_id, runs.c.slot).limit(1))


# Marks


async def marks_at(tx: Tx, places: Iterable[tuple[UUID, str, UUID, str]]) -> list[Row[Any]]:
    """The marks with one of these (community, badge, member, value)."""
    return await select_among(tx, marks, _OF_MARK[:4], sorted(places))


async def marks_about(tx: Tx, things: Iterable[UUID]) -> list[Row[Any]]:
    """The marks that an inverse event about one of these things would name."""
    return await select_among(tx, marks, marks.c.thing, sorted(things))


async def marks_of(tx: Tx, keys: Iterable[Key]) -> list[Row[Any]]:
    return await select_among(tx, marks, _OF_MARK[:3], sorted(keys))


async def add_marks(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, marks, rows)


async def remove_marks(tx: Tx, keys: Sequence[tuple[UUID, str, UUID, str, UUID]]) -> None:
    """Remove the marks with these (community, badge, member, value, event)."""
    await delete_among(tx, marks, _OF_MARK, keys)


async def granted_between(
    tx: Tx, community_id: UUID, member_id: UUID, first: datetime, last: datetime
) -> list[Row[Any]]:
    """The member's grants of these times (both inclusive) that were not taken back, in their order."""
    same = and_(*[mine == theirs for mine, theirs in zip(_OF_STANDING, _OF_GRANT, strict=False)])
    g = grants.c
    where = standings.c.community_id == community_id, standings.c.member_id == member_id
    kept = or_(g.ended_why.is_(None), g.ended_why == "expired")
    stmt = (
        select(grants).select_from(grants.join(standings, same)).where(*where, kept, g.granted_at.between(first, last))
    )
    return await tx.all(stmt.order_by(g.granted_at, g.badge_id, g.number))


async def grants_of_member(tx: Tx, community_id: UUID, member_id: UUID) -> list[Row[Any]]:
    """The last grant of each badge that the member was ever granted."""
    last = and_(*[mine == theirs for mine, theirs in zip(_OF_STANDING, _OF_GRANT, strict=False)])
    joined = grants.join(standings, and_(last, standings.c.number == grants.c.number))
    where = standings.c.community_id == community_id, standings.c.member_id == member_id
    return await tx.all(select(grants).select_from(joined).where(*where))
