"""SQL of backfills of badges, and of what they read: members' lines and streaks, periods that are final."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, or_, select, update

from kit.database import Tx, delete_among, insert_new, select_among, upsert
from services.rewards.domain.backfills import OPEN
from services.rewards.store.badges import Key
from services.rewards.tables.backfills import badge_backfill_inverses as inverses
from services.rewards.tables.backfills import badge_backfills as t
from services.rewards.tables.badges import badge_grants, badge_marks, badge_standings
from services.rewards.tables.boards import board_periods
from services.rewards.tables.checkins import checkin_streaks as streaks
from services.rewards.tables.kept import kept_activities as kept
from services.rewards.tables.ledger import accounts, entries, transactions

_KEY = ("community_id", "badge_id")
_OF_MARK = (badge_marks.c.community_id, badge_marks.c.badge_id, badge_marks.c.member_id)
_OF_STANDING = (badge_standings.c.community_id, badge_standings.c.badge_id, badge_standings.c.member_id)


async def put(tx: Tx, row: dict[str, Any]) -> None:
    await upsert(tx, t, [row], key=_KEY, update=[name for name in row if name not in _KEY])


async def one(tx: Tx, community_id: UUID, badge_id: str, *, lock: bool = False) -> Row[Any] | None:
    """With `lock` it is held until the transaction ends."""
    stmt = select(t).where(t.c.community_id == community_id, t.c.badge_id == badge_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def still_open(tx: Tx, row: Any) -> Row[Any] | None:
    """The backfill as it is now, held until the transaction ends; None where this one ended meanwhile."""
    same = t.c.community_id == row.community_id, t.c.badge_id == row.badge_id, t.c.began_at == row.began_at
    return await tx.first(select(t).where(*same, t.c.state.in_(OPEN)).with_for_update())


async def unfinished(tx: Tx) -> list[Row[Any]]:
    """Those that are open, and those that left something to be cleared away; the oldest first."""
    wanted = or_(t.c.state.in_(OPEN), t.c.indexed.is_not(None))
    return await tx.all(select(t.c.community_id, t.c.badge_id).where(wanted).order_by(t.c.began_at, t.c.badge_id))


async def change(tx: Tx, row: Any, **values: Any) -> None:
    where = t.c.community_id == row.community_id, t.c.badge_id == row.badge_id
    await tx.execute(update(t).where(*where).values(changed_at=tx.now, **values))


async def row_before(tx: Tx, community_id: UUID, at: datetime) -> int:
    """The last row of kept activities of before then; 0 where none is kept."""
    stmt = select(kept.c.seq).where(kept.c.community_id == community_id, kept.c.kept_at < at)
    return int(await tx.scalar(stmt.order_by(kept.c.seq.desc()).limit(1)) or 0)


# What was counted before it began


async def unreached(tx: Tx, community_id: UUID, badge_id: str, limit: int) -> list[UUID]:
    """Some members who stand with the badge and were never granted it."""
    s = badge_standings.c
    stmt = select(s.member_id).where(s.community_id == community_id, s.badge_id == badge_id, s.number == 0)
    return [row.member_id for row in await tx.all(stmt.order_by(s.member_id).limit(limit))]


async def remove_standings(tx: Tx, keys: Sequence[Key]) -> None:
    """With what is counted; the caller holds them."""
    await delete_among(tx, badge_marks, _OF_MARK, keys)
    await delete_among(tx, badge_standings, _OF_STANDING, keys)


async def granted_before(tx: Tx, keys: Iterable[Key], at: datetime) -> set[Key]:
    """Those of the standings that the first grant of was made before then."""
    g = badge_grants.c
    by = g.community_id, g.badge_id, g.member_id, g.number
    firsts = [(*key, 1) for key in sorted(set(keys))]
    rows = await select_among(tx, by, by, firsts, where=g.created_at < at)
    return {(r.community_id, r.badge_id, r.member_id) for r in rows}


# Inverse events


async def add_inverses(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Of one that was told twice the first row counts."""
    await insert_new(tx, inverses, rows, key=(*_KEY, "event_id"))


async def rows_of(tx: Tx, row: Any, event_ids: Collection[UUID]) -> dict[UUID, int]:
    """Inverse event → the row of kept activities that it is in; without those that came before all that is kept."""
    i = inverses.c
    keys = [(row.community_id, row.badge_id, id) for id in sorted(event_ids)]
    found = await select_among(tx, inverses, (i.community_id, i.badge_id, i.event_id), keys)
    return {r.event_id: r.seq for r in found}


async def forget_inverses(tx: Tx, row: Any, limit: int) -> int:
    """Some of them; how many."""
    i = inverses.c
    by = i.community_id, i.badge_id, i.event_id
    where = i.community_id == row.community_id, i.badge_id == row.badge_id
    keys = [tuple(r) for r in await tx.all(select(*by).where(*where).order_by(i.event_id).limit(limit))]
    await delete_among(tx, inverses, by, keys)
    return len(keys)


# Members


async def accounts_after(tx: Tx, community_id: UUID, unit: str, after: UUID | None, limit: int) -> list[UUID]:
    """The next owners of members' accounts, which are held until the transaction ends: nothing is posted to them."""
    a = accounts.c
    stmt = select(a.owner_id).where(a.community_id == community_id, a.unit == unit, a.system == 0)
    if after is not None:
        stmt = stmt.where(a.owner_id > after)
    return [row.owner_id for row in await tx.all(stmt.order_by(a.owner_id).limit(limit).with_for_update())]


async def count_accounts(tx: Tx, community_id: UUID, unit: str) -> int:
    a = accounts.c
    where = a.community_id == community_id, a.unit == unit, a.system == 0
    return int(await tx.scalar(select(func.count()).select_from(accounts).where(*where)))


async def lines_of(tx: Tx, community_id: UUID, unit: str, owners: Collection[UUID]) -> list[Row[Any]]:
    """(owner_id, transaction_id, amount, effective_at, source_event_id, created_at) of these members' lines."""
    e, g = entries.c, transactions.c
    columns = e.owner_id, e.transaction_id, e.amount, e.effective_at, g.source_event_id, g.created_at
    same = and_(e.community_id == community_id, g.community_id == community_id, g.id == e.transaction_id)
    by = e.owner_id, e.unit
    keys = [(owner, unit) for owner in sorted(owners)]
    return await select_among(tx, columns, by, keys, where=same, order_by=(e.owner_id, g.created_at, e.transaction_id))


async def hold_streaks(tx: Tx, keys: Iterable[Key]) -> None:
    """(community, series, member): nothing changes in these streaks until the transaction ends."""
    by = streaks.c.community_id, streaks.c.series_id, streaks.c.member_id
    await select_among(tx, by, by, sorted(keys), lock=True)


async def count_streaks(tx: Tx, community_id: UUID, series_id: str) -> int:
    where = streaks.c.community_id == community_id, streaks.c.series_id == series_id
    return int(await tx.scalar(select(func.count()).select_from(streaks).where(*where)))


# Periods


def _final(generation: UUID, kind: str, since: date | None) -> list[Any]:
    p = board_periods.c
    where = [p.generation == generation, p.kind == kind, p.finalized_at.is_not(None)]
    return where if since is None else [*where, p.last_day >= since]


async def next_period(
    tx: Tx, generation: UUID, kind: str, since: date | None, after: tuple[date, UUID] | None
) -> Row[Any] | None:
    """(slot, last_day) of the period that ended next among those that are final."""
    p = board_periods.c
    where = _final(generation, kind, since)
    if after is not None:
        day, slot = after
        where.append(or_(p.last_day > day, and_(p.last_day == day, p.slot > slot)))
    return await tx.first(select(p.slot, p.last_day).where(*where).order_by(p.last_day, p.slot).limit(1))


async def count_periods(tx: Tx, generation: UUID, kind: str, since: date | None) -> int:
    where = _final(generation, kind, since)
    return int(await tx.scalar(select(func.count()).select_from(board_periods).where(*where)))
