"""SQL of boards that decay: filling a day's scores from what the board's days say, clearing those of days before."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Date,
    String,
    Uuid,
    and_,
    case,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
    values,
)

from kit.database import Tx, expect_many_rows, given
from services.rewards.domain.boards import Board, Slot
from services.rewards.domain.decay import DECAY, WHOLE, Decay
from services.rewards.store.boards import Key, Score, to_board
from services.rewards.store.filling import PURGE_STEP, fill_histogram
from services.rewards.store.shown import ABSENT, SHOWN, is_absent
from services.rewards.tables.boards import board_buckets, board_periods, board_scores, board_tallies, boards


class DayLine(NamedTuple):
    """What one day of a board, `day_slot`, has of a member of the slot that decays."""

    slot: UUID
    day_slot: UUID
    member_id: UUID
    reached_at: datetime


async def boards_that_decay(tx: Tx) -> list[Any]:
    """(board, zone, day_start); without those whose community was not heard of yet."""
    known = tx.database.table("known_communities")
    joined = boards.join(known, known.c.community_id == boards.c.community_id)
    stmt = select(boards, known.c.zone, known.c.day_start).select_from(joined)
    rows = await tx.all(stmt.where(boards.c.decay_percent.is_not(None)).order_by(boards.c.generation))
    return [(to_board(row), row.zone, row.day_start) for row in rows]


async def set_decay(tx: Tx, board: Board) -> None:
    decay = board.decay
    told = {"decay_percent": decay and decay.keep_percent_per_day, "decay_day": decay and decay.day}
    await tx.execute(update(boards).where(boards.c.generation == board.generation).values(told))


async def day_lines(tx: Tx, keys: Collection[Key]) -> list[DayLine]:
    """What the days that count say of members; (slot that decays, member), of a few."""
    t, day, whole = board_scores.c, board_periods.alias("day").c, board_periods.c
    counted = and_(
        day.generation == whole.generation, day.kind == "day", day.first_day.between(whole.first_day, whole.last_day)
    )
    wanted = given(tx, "wanted", {"slot": Uuid(), "member_id": Uuid()}, sorted(keys))
    joined = board_periods.join(wanted, wanted.c.slot == whole.slot).join(day.slot.table, counted)
    joined = joined.join(board_scores, and_(t.slot == day.slot, t.member_id == wanted.c.member_id))
    columns = whole.slot, day.slot.label("day_slot"), t.member_id, t.reached_at
    rows = await tx.all(select(*columns).select_from(joined))
    return [DayLine._make(row) for row in rows]


async def fill(tx: Tx, slot: Slot, decay: Decay) -> None:
    """Work out the scores of a new slot from the days that count, each line read once."""
    await expect_many_rows(tx)
    t = board_scores.c
    lines = _lines(slot.board, decay).subquery()
    hidden = case(
        (exists().where(is_absent(slot.board.community_id, lines.c.member_id, slot.board.id)), ABSENT), else_=SHOWN
    )
    columns = literal(slot.id, t.slot.type), lines.c.member_id, lines.c.negated, lines.c.reached_at, literal(0), hidden
    names = ["slot", "member_id", "negated", "reached_at", "bucket", "hidden"]
    await tx.execute(insert(board_scores).from_select(names, select(*columns)))
    await fill_histogram(tx, [slot.id])


def _lines(board: Board, decay: Decay) -> Any:
    """(member_id, negated, reached_at) of everybody who has a line on a day that counts."""
    t, day = board_scores.c, board_periods.c
    named = values(column("day", Date), column("weight", BigInteger), name="named")
    counted = [decay.day - timedelta(days=age) for age in range(decay.days)]
    days = named.data([(one, decay.weight(one)) for one in counted]).cte()
    # In two parts, or the product would not fit. Both databases divide towards zero, whatever the sign.
    left = t.negated // WHOLE * days.c.weight + t.negated % WHOLE * days.c.weight // WHOLE
    # A sum of bigints is a numeric on PostgreSQL.
    negated = func.sum(left).cast(BigInteger).label("negated")
    reached_at = func.max(t.reached_at, type_=t.reached_at.type).label("reached_at")
    joined = board_scores.join(board_periods, day.slot == t.slot).join(days, days.c.day == day.first_day)
    lines = select(t.member_id, negated, reached_at).select_from(joined)
    return lines.where(day.generation == board.generation, day.kind == "day").group_by(t.member_id)


async def line_of(tx: Tx, board: Board, decay: Decay, member: UUID) -> Score | None:
    """What the days say of one member."""
    row = await tx.first(_lines(board, decay).where(board_scores.c.member_id == member))
    return Score(-row.negated, row.reached_at) if row is not None else None


async def sums(tx: Tx, slot: Slot, decay: Decay) -> tuple[int, int]:
    """What the kept scores of a slot sum to, and what the days say; reads them all."""
    t, lines = board_scores.c, _lines(slot.board, decay).subquery()
    kept = await tx.scalar(select(func.coalesce(func.sum(-t.negated), 0)).where(t.slot == slot.id))
    return int(kept), int(await tx.scalar(select(func.coalesce(func.sum(-lines.c.negated), 0))))


async def remove(tx: Tx, slots: Sequence[UUID]) -> None:
    """All that was worked out for these slots, and the slots."""
    for table in (board_scores, board_tallies, board_buckets, board_periods):
        await tx.execute(delete(table).where(table.c.slot.in_(slots)))


async def slots_of(tx: Tx, board: Board) -> list[UUID]:
    """What is kept for the board's decay, of whatever day."""
    assert board.decay is not None
    t = board_periods.c
    where = t.generation == board.generation, t.kind == board.decay.kind
    return [row.slot for row in await tx.all(select(t.slot).where(*where))]


async def remove_some_old(tx: Tx) -> int:
    """Remove some lines of days before the ones that boards decay to; 0 when none is left."""
    t = board_periods.c
    kind = literal(DECAY) + boards.c.decay_percent.cast(String)
    joined = boards.join(board_periods, and_(t.generation == boards.c.generation, t.kind == kind))
    old = boards.c.decay_percent.is_not(None), t.last_day < boards.c.decay_day
    slot = await tx.scalar(select(t.slot).select_from(joined).where(*old).limit(1))
    if slot is None:
        return 0
    some = select(board_scores.c.member_id).where(board_scores.c.slot == slot).limit(PURGE_STEP)
    where = board_scores.c.slot == slot, board_scores.c.member_id.in_(some)
    removed = int((await tx.execute(delete(board_scores).where(*where))).rowcount)
    if removed < PURGE_STEP:
        await remove(tx, [slot])
    return removed + 1
