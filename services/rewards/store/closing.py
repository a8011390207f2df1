"""SQL of periods that end: which may be over, closing them, their lines as they are hashed, and the last word."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, func, select, update

from kit.database import Tx
from services.rewards.domain.boards import Board, Slot
from services.rewards.store.boards import to_board
from services.rewards.store.shown import ABSENT, ORDER, on_board
from services.rewards.tables.boards import board_buckets, board_periods, board_scores, boards

LINES_STEP = 1_000


class Due(NamedTuple):
    """A period that may be over. `zone` is None while its community has not been heard of."""

    slot: Slot
    closed_at: datetime | None
    zone: str | None
    day_start: int


class Line(NamedTuple):
    member_id: UUID
    score: int
    reached_at: datetime


async def due(tx: Tx, *, after: UUID, limit: int) -> list[Due]:
    """Periods to look at, in the order of their ids, behind `after`."""
    t, known = board_periods.c, tx.database.table("known_communities")
    joined = board_periods.join(boards, boards.c.generation == t.generation).outerjoin(
        known, known.c.community_id == boards.c.community_id
    )
    period = t.slot, t.kind, t.key, t.first_day, t.last_day, t.closed_at
    stmt = select(boards, *period, known.c.zone, known.c.day_start).select_from(joined)
    rows = await tx.all(stmt.where(t.due_at <= tx.now, t.slot > after).order_by(t.slot).limit(limit))
    return [Due(_slot(to_board(r), r), r.closed_at, r.zone, r.day_start or 0) for r in rows]


def _slot(board: Board, row: Any) -> Slot:
    return Slot(row.slot, board, row.kind, row.key, row.first_day, row.last_day)


async def set_due(tx: Tx, slot: UUID, at: datetime) -> None:
    await tx.execute(update(board_periods).where(board_periods.c.slot == slot).values(due_at=at))


async def close(tx: Tx, slot: UUID) -> None:
    """From now on nothing changes in the period; the caller holds the system accounts of the board's unit."""
    t = board_periods.c
    await tx.execute(update(board_periods).where(t.slot == slot, t.closed_at.is_(None)).values(closed_at=tx.now))


async def lines(tx: Tx, slot: UUID, *, after: UUID) -> list[Line]:
    """Some lines of a closed period as they were when it was closed, in the order of the members' ids."""
    t = board_scores.c
    stmt = select(t.member_id, t.negated, t.reached_at).where(t.slot == slot, t.member_id > after, t.hidden != ABSENT)
    return [_line(row) for row in await tx.all(stmt.order_by(t.member_id).limit(LINES_STEP))]


def _line(row: Any) -> Line:
    return Line(row.member_id, -row.negated, row.reached_at)


async def finalize(tx: Tx, slot: UUID, *, hash: bytes, members: int) -> bool:
    """Write down what a closed period came to; False when that is there already, or the board is gone."""
    t = board_periods.c
    there = exists().where(boards.c.generation == t.generation)
    stmt = update(board_periods).where(t.slot == slot, t.closed_at.isnot(None), t.finalized_at.is_(None), there)
    done = await tx.execute(stmt.values(finalized_at=tx.now, hash=hash, members=members, due_at=None))
    return bool(done.rowcount == 1)


async def hold_period(tx: Tx, slot: UUID) -> Any | None:
    """(closed_at, finalized_at) of a period, which nobody closes until the transaction ends."""
    t = board_periods.c
    return await tx.first(select(t.closed_at, t.finalized_at).where(t.slot == slot).with_for_update())


async def final(tx: Tx, slot: UUID) -> "Finalized | None":
    """The period, if it is final."""
    rows = await tx.all(_finalized().where(board_periods.c.slot == slot))
    return _final(rows[0]) if rows else None


async def set_erased_hash(tx: Tx, slot: UUID, hash: bytes) -> None:
    """The hash of the lines since members among them were erased; what was announced stays beside it."""
    await tx.execute(update(board_periods).where(board_periods.c.slot == slot).values(erased_hash=hash))


async def best(tx: Tx, slot: UUID, count: int) -> list[Line]:
    """The first lines that are shown."""
    t = board_scores.c
    rows = await tx.all(
        select(t.member_id, t.negated, t.reached_at).where(on_board(slot)).order_by(*ORDER).limit(count)
    )
    return [_line(row) for row in rows]


async def shown_in(tx: Tx, slot: UUID) -> int:
    """How many members are shown."""
    t = board_buckets.c
    return int(await tx.scalar(select(func.coalesce(func.sum(t.members), 0)).where(t.slot == slot)))


async def score_at(tx: Tx, slot: UUID, place: int) -> int:
    """The score of the line at this place (1: the first) of those that are shown; there are so many."""
    stmt = select(board_scores.c.negated).where(on_board(slot)).order_by(*ORDER).offset(place - 1).limit(1)
    return -int(await tx.scalar(stmt))


async def members_with(tx: Tx, slot: UUID, score: int, *, after: UUID | None, limit: int) -> list[UUID]:
    """Members who are shown with at least this score, in the order of their ids."""
    t = board_scores.c
    stmt = select(t.member_id).where(on_board(slot), t.negated <= -score)
    if after is not None:
        stmt = stmt.where(t.member_id > after)
    return [row.member_id for row in await tx.all(stmt.order_by(t.member_id).limit(limit))]


async def last_day(tx: Tx, slot: UUID) -> date | None:
    """The last day of a period; None where its board was deleted."""
    t = board_periods.c
    joined = board_periods.join(boards, boards.c.generation == t.generation)
    found: date | None = await tx.scalar(select(t.last_day).select_from(joined).where(t.slot == slot))
    return found


class Finalized(NamedTuple):
    """`hash` is that of its lines now: of erased members there are others since it was announced."""

    community_id: UUID
    board: str
    slot: Slot
    hash: bytes
    members: int
    finalized_at: datetime
    late_entries: int


async def finalized(tx: Tx, *, after: UUID, limit: int) -> list[Finalized]:
    """Periods that are final, of all boards, in the order of their ids; for who verifies them."""
    rows = await tx.all(_finalized().where(board_periods.c.slot > after).order_by(board_periods.c.slot).limit(limit))
    return [_final(row) for row in rows]


def _finalized() -> Any:
    t = board_periods.c
    joined = board_periods.join(boards, boards.c.generation == t.generation)
    hash = func.coalesce(t.erased_hash, t.hash).label("hash")
    period = t.slot, t.kind, t.key, t.first_day, t.last_day, hash, t.members, t.finalized_at, t.late_entries
    return select(boards, *period).select_from(joined).where(t.finalized_at.isnot(None))


def _final(r: Any) -> Finalized:
    slot = _slot(to_board(r), r)
    return Finalized(r.community_id, r.id, slot, bytes(r.hash), r.members, r.finalized_at, r.late_entries)


async def periods_of(tx: Tx, board: Board, kind: str, *, before: date | None, limit: int) -> list[Any]:
    """(key, first_day, last_day, due_at, closed_at, finalized_at, hash, erased_hash, members, late_entries) of the
    periods of a kind that anybody scored in, latest first: those that begin before that day."""
    t = board_periods.c
    where = [t.generation == board.generation, t.kind == kind]
    if before is not None:
        where.append(t.first_day < before)
    hashes = t.hash, t.erased_hash
    columns = t.key, t.first_day, t.last_day, t.due_at, t.closed_at, t.finalized_at, *hashes, t.members, t.late_entries
    return await tx.all(select(*columns).where(*where).order_by(t.first_day.desc()).limit(limit))
