"""SQL of check-ins: versions of series, calendars, facts, streaks."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, literal, or_, select, tuple_

from kit.database import Tx, delete_among, insert_many, insert_new, lock_rows, select_among, upsert
from services.rewards.tables.checkins import checkin_calendars as calendars
from services.rewards.tables.checkins import checkin_facts as facts
from services.rewards.tables.checkins import checkin_gaps as gaps
from services.rewards.tables.checkins import checkin_series as series
from services.rewards.tables.checkins import checkin_streaks as streaks

Key = tuple[UUID, str, UUID]
"""(community, series, member)"""

_STREAK = ("community_id", "series_id", "member_id")
_FACT = (*_STREAK, "day", "kind", "number")
_OF_STREAK = (streaks.c.community_id, streaks.c.series_id, streaks.c.member_id)
_OF_FACT = (facts.c.community_id, facts.c.series_id, facts.c.member_id)


# Series


async def versions(tx: Tx, community_ids: Iterable[UUID]) -> dict[tuple[UUID, str], int]:
    """(community, series) → how many versions there are."""
    by = series.c.community_id, series.c.id
    stmt = select(*by, func.max(series.c.version).label("version")).where(by[0].in_(sorted(set(community_ids))))
    return {(r.community_id, r.id): r.version for r in await tx.all(stmt.group_by(*by))}


async def bodies(tx: Tx, keys: Iterable[tuple[UUID, str]]) -> list[Row[Any]]:
    """Every version of these (community, series), oldest first."""
    order = series.c.community_id, series.c.id, series.c.version
    return await select_among(tx, series, order[:2], list(keys), order_by=order)


async def add_versions(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, str, int]]:
    """Record those whose (community, series, version) is new; returns those keys."""
    return {(c, i, v) for c, i, v in await insert_new(tx, series, rows, key=("community_id", "id", "version"))}


# Calendars


async def stretches(tx: Tx, owners: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], list[Row[Any]]]:
    """(community, owner) → the stretches of its calendar, earliest first; owners without any are missing."""
    by = calendars.c.community_id, calendars.c.owner_id
    out: dict[tuple[UUID, UUID], list[Row[Any]]] = {}
    for row in await select_among(tx, calendars, by, list(owners), order_by=(*by, calendars.c.since)):
        out.setdefault((row.community_id, row.owner_id), []).append(row)
    return out


async def add_stretches(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Those of which there is none yet that begins then."""
    await insert_new(tx, calendars, rows, key=("community_id", "owner_id", "since"))


async def remove_stretches(tx: Tx, rows: Sequence[tuple[UUID, UUID, Any]]) -> None:
    by = calendars.c.community_id, calendars.c.owner_id, calendars.c.since
    await delete_among(tx, calendars, by, rows)


# Gaps


async def put_gaps(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await upsert(tx, gaps, rows, key=("community_id", "gap_id"), update=("since", "until"))


async def forget_gaps(tx: Tx, before: datetime) -> None:
    """Those that ended before then."""
    await tx.execute(delete(gaps).where(gaps.c.until < before))


async def gaps_of(tx: Tx, community_ids: Iterable[UUID], since: datetime) -> list[Row[Any]]:
    """Gaps of these communities that last, or ended after then."""
    recent = or_(gaps.c.until.is_(None), gaps.c.until > since)
    return await select_among(tx, gaps, gaps.c.community_id, sorted(set(community_ids)), where=recent)


# Facts and streaks


async def lock(tx: Tx, rows: Sequence[dict[str, Any]]) -> dict[Key, Row[Any]]:
    """Hold the streaks with the keys of `rows` until the transaction ends. Those that are not there yet come back as
    given, or not at all."""
    found = await lock_rows(tx, streaks, _OF_STREAK, rows)
    return {(r.community_id, r.series_id, r.member_id): r for r in found}


async def streaks_of(tx: Tx, keys: Iterable[Key]) -> dict[Key, Row[Any]]:
    rows = await select_among(tx, streaks, _OF_STREAK, list(keys))
    return {(r.community_id, r.series_id, r.member_id): r for r in rows}


async def members_of(tx: Tx, community_id: UUID, series_id: str, *, after: UUID | None, limit: int) -> list[UUID]:
    """Who has facts in a series, by their ids."""
    stmt = select(streaks.c.member_id).where(streaks.c.community_id == community_id, streaks.c.series_id == series_id)
    if after is not None:
        stmt = stmt.where(streaks.c.member_id > after)
    return [row.member_id for row in await tx.all(stmt.order_by(streaks.c.member_id).limit(limit))]


async def streaks_after(tx: Tx, after: Key | None, limit: int) -> list[Row[Any]]:
    """Streaks of all communities in the order of their keys, those behind `after`."""
    stmt = select(streaks).order_by(*_OF_STREAK).limit(limit)
    if after is not None:
        stmt = stmt.where(
            tuple_(*_OF_STREAK) > tuple_(*[literal(v, c.type) for v, c in zip(after, _OF_STREAK, strict=True)])
        )
    return await tx.all(stmt)


async def all_facts(tx: Tx, keys: Iterable[Key]) -> list[Row[Any]]:
    return await select_among(tx, facts, _OF_FACT, list(keys))


async def voided_facts(tx: Tx, keys: Iterable[Key]) -> list[Row[Any]]:
    return await select_among(tx, facts, _OF_FACT, list(keys), where=facts.c.voided_at.is_not(None))


async def facts_about(tx: Tx, things: Iterable[UUID]) -> list[Row[Any]]:
    """Those that hold and that an inverse event about one of these things would name."""
    return await select_among(tx, facts, facts.c.thing, sorted(things), where=facts.c.voided_at.is_(None))


async def late_facts(tx: Tx, keys: Iterable[Key]) -> list[Row[Any]]:
    """Those that touch a day from the `window_from` of their streak on."""
    same = [mine == theirs for mine, theirs in zip(_OF_STREAK, _OF_FACT, strict=True)]
    since = select(streaks.c.window_from).where(*same).correlate(facts).scalar_subquery()
    return await select_among(tx, facts, _OF_FACT, list(keys), where=facts.c.last_day >= since)


async def facts_ahead(tx: Tx, keys: Iterable[Key]) -> list[Row[Any]]:
    """The same, each with the `kept` that they follow: of one moment, whoever writes meanwhile."""
    same = [mine == theirs for mine, theirs in zip(_OF_STREAK, _OF_FACT, strict=True)]
    late = and_(*same, facts.c.last_day >= streaks.c.window_from)
    return await select_among(tx, [*facts.columns, streaks.c.kept], _OF_FACT, list(keys), where=late)


async def add_facts(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, facts, rows)


async def void_facts(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of facts that hold no longer."""
    await upsert(tx, facts, rows, key=_FACT, update=("voided_at",))


async def put_streaks(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    names = [column.name for column in streaks.columns if column.name not in _STREAK]
    await upsert(tx, streaks, rows, key=_STREAK, update=names)
