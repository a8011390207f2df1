"""SQL that keeps boards: their periods, scores and the histogram. `store.ranking` reads them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Date,
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
    tuple_,
    update,
    values,
)

from kit.database import Tx, add_up, delete_among, expect_many_rows, insert_many, insert_new, select_among, upsert
from services.rewards.domain.boards import Board, Slot, bucket_of, key_of
from services.rewards.tables.boards import (
    board_buckets,
    board_leaders,
    board_periods,
    board_scores,
    board_tallies,
    boards,
)
from services.rewards.tables.ledger import entries

Key = tuple[UUID, UUID]
"""(slot, member)"""

PURGE_STEP = 2000
DAYS_STEP = 10_000


class Score(NamedTuple):
    score: int
    reached_at: datetime


def to_board(row: Any) -> Board:
    return Board(
        row.community_id, row.id, row.generation, row.name, row.unit, row.tie_policy, tuple(row.periods), row.created_at
    )


async def boards_on(tx: Tx, units: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], list[Board]]:
    """(community, unit) → the boards that count it."""
    out: dict[tuple[UUID, str], list[Board]] = {}
    for row in await select_among(tx, boards, (boards.c.community_id, boards.c.unit), list(units)):
        out.setdefault((row.community_id, row.unit), []).append(to_board(row))
    return out


async def boards_of(tx: Tx, community_id: UUID) -> list[Board]:
    stmt = select(boards).where(boards.c.community_id == community_id).order_by(boards.c.created_at, boards.c.id)
    return [to_board(row) for row in await tx.all(stmt)]


async def board(tx: Tx, community_id: UUID, board_id: str) -> Board | None:
    row = await tx.first(select(boards).where(boards.c.community_id == community_id, boards.c.id == board_id))
    return None if row is None else to_board(row)


async def add_boards(tx: Tx, new: Iterable[Board]) -> set[tuple[UUID, str]]:
    """Record the boards whose (community, id) is new; returns those keys."""
    rows = [
        {
            "community_id": b.community_id,
            "id": b.id,
            "generation": b.generation,
            "name": b.name,
            "unit": b.unit,
            "tie_policy": b.tie_policy,
            "periods": list(b.periods),
            "created_at": b.created_at,
        }
        for b in new
    ]
    return {(c, b) for c, b in await insert_new(tx, boards, rows, key=("community_id", "id"))}


async def remove_board(tx: Tx, found: Board) -> None:
    await tx.execute(delete(boards).where(boards.c.generation == found.generation))


async def add_periods(tx: Tx, slots: Iterable[Slot]) -> None:
    rows = [
        {
            "slot": s.id,
            "generation": s.board.generation,
            "kind": s.kind,
            "key": s.key,
            "first_day": s.first_day,
            "last_day": s.last_day,
        }
        for s in slots
    ]
    await insert_new(tx, board_periods, rows, key=("slot",))


async def scores(tx: Tx, keys: Sequence[Key]) -> dict[Key, Score]:
    """Present scores. No lock: whoever changes a member's score holds the member's account."""
    by = board_scores.c.slot, board_scores.c.member_id
    rows = await select_among(tx, [*by, board_scores.c.negated, board_scores.c.reached_at], by, keys)
    return {(r.slot, r.member_id): Score(-r.negated, r.reached_at) for r in rows}


async def reached(tx: Tx, keys: Sequence[Key]) -> dict[Key, datetime]:
    """When members reached their scores, from the entries: the latest that was not taken back in full. Keys without
    any such entry are left out. For a few keys (each is a parameter of the statement)."""
    by = board_periods.c.slot, entries.c.owner_id
    latest = func.max(entries.c.effective_at, type_=entries.c.effective_at.type)
    stmt = (
        select(*by, latest.label("latest"))
        .select_from(_counted())
        .where(
            tuple_(*by).in_(keys),
            # Says nothing new, but names the owners alone, which is what the index of entries begins with.
            entries.c.owner_id.in_(list({member for _, member in keys})),
            _contributes,
        )
    )
    return {(r.slot, r.owner_id): r.latest for r in await tx.all(stmt.group_by(*by))}


def _counted() -> Any:
    """Every period of every board with the members' entries that it counts."""
    counts = and_(
        entries.c.community_id == boards.c.community_id,
        entries.c.unit == boards.c.unit,
        entries.c.scored > 0,
        entries.c.day.between(board_periods.c.first_day, board_periods.c.last_day),
    )
    return board_periods.join(boards, boards.c.generation == board_periods.c.generation).join(entries, counts)


_contributes = and_(entries.c.scored == 1, func.abs(entries.c.amount) > entries.c.reversed)


async def put_scores(tx: Tx, changed: Mapping[Key, Score]) -> None:
    rows = [
        {
            "slot": slot,
            "member_id": member,
            "negated": -new.score,
            "reached_at": new.reached_at,
            "bucket": bucket_of(new.score),
        }
        for (slot, member), new in changed.items()
    ]
    await upsert(tx, board_scores, rows, key=("slot", "member_id"), update=("negated", "reached_at", "bucket"))


async def remove_scores(tx: Tx, keys: Sequence[Key]) -> None:
    """Take members off slots."""
    await delete_among(tx, board_scores, (board_scores.c.slot, board_scores.c.member_id), keys)


async def count_tallies(tx: Tx, steps: Mapping[tuple[UUID, int, int], int]) -> dict[tuple[UUID, int, int], int]:
    """Change how many members have a score; (slot, bucket, score) → members afterwards. Those at 0 are removed."""
    rows = [{"slot": s, "bucket": b, "score": n, "members": step} for (s, b, n), step in steps.items()]
    key = ("slot", "bucket", "score")
    changed = await add_up(tx, board_tallies, rows, key=key, add=("members",), returning=(*key, "members"))
    after = {(s, b, n): members for s, b, n, members in changed}
    gone = [at for at, members in after.items() if members == 0]
    await delete_among(tx, board_tallies, [board_tallies.c[name] for name in key], gone)
    return after


async def count_buckets(tx: Tx, changes: Mapping[tuple[UUID, int], tuple[int, int]]) -> None:
    rows = [{"slot": s, "bucket": b, "members": m, "scores": n} for (s, b), (m, n) in changes.items()]
    await add_up(tx, board_buckets, rows, key=("slot", "bucket"), add=("members", "scores"))


async def first_of(tx: Tx, slots: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who is first in each of the slots; slots without anybody are left out."""
    mine = board_scores.c.slot == board_periods.c.slot
    order = board_scores.c.negated, board_scores.c.reached_at, board_scores.c.member_id
    first = select(board_scores.c.member_id).where(mine).order_by(*order).limit(1).scalar_subquery()
    rows = await select_among(tx, [board_periods.c.slot, first.label("member_id")], board_periods.c.slot, slots)
    return {row.slot: row.member_id for row in rows if row.member_id is not None}


async def add_leaders(tx: Tx, leaders: Mapping[UUID, UUID]) -> set[Key]:
    """Note who leads (slot → member); returns those who never led that slot before."""
    rows = [{"slot": slot, "member_id": member, "led_at": tx.now} for slot, member in leaders.items()]
    return {(s, m) for s, m in await insert_new(tx, board_leaders, rows, key=("slot", "member_id"))}


# A board made after entries were posted


async def days_with_entries(tx: Tx, community_id: UUID, unit: str) -> list[date]:
    where = entries.c.community_id == community_id, entries.c.unit == unit, entries.c.scored > 0
    return [row.day for row in await tx.all(select(entries.c.day).where(*where).distinct())]


async def fill(tx: Tx, board: Board, slots: Sequence[Slot], days: Sequence[date]) -> None:
    """Work out the scores of a new board's periods from the entries of these days, then its histogram.

    Linear in the number of entries: each is read once per kind of period and finds its slot by its day.
    """
    await expect_many_rows(tx)
    latest = func.max(case((_contributes, entries.c.effective_at)), type_=entries.c.effective_at.type)
    by_day = (
        select(entries.c.owner_id, entries.c.day, func.sum(entries.c.amount).label("amount"), latest.label("latest"))
        .where(entries.c.community_id == board.community_id, entries.c.unit == board.unit, entries.c.scored > 0)
        .group_by(entries.c.owner_id, entries.c.day)
        .cte()
    )
    for kind in board.periods:
        slot_of = {slot.key: slot.id for slot in slots if slot.kind == kind}
        if kind == "all":
            for slot in slot_of.values():
                await _fill_slots(tx, by_day, literal(slot, board_scores.c.slot.type), by_day)
            continue
        for part in _whole_periods(kind, days):
            named = values(column("day", Date), column("slot", Uuid), name="named")
            slot_days = named.data([(day, slot_of[key_of(kind, day)]) for day in part]).cte()
            joined = by_day.join(slot_days, slot_days.c.day == by_day.c.day)
            await _fill_slots(tx, by_day, slot_days.c.slot, joined)
    await _fill_histogram(tx, board.generation)


def _whole_periods(kind: str, days: Sequence[date]) -> list[list[date]]:
    """The days in parts that a statement can name, none of which ends inside a period."""
    parts: list[list[date]] = []
    for _, group in groupby(sorted(days), key=partial(key_of, kind)):
        period = list(group)
        if not parts or len(parts[-1]) + len(period) > DAYS_STEP:
            parts.append([])
        parts[-1] += period
    return parts


async def _fill_slots(tx: Tx, by_day: Any, slot: Any, source: Any) -> None:
    """Insert the scores of whole slots, `slot` being the column (or the constant) that names them in `source`."""
    reached_at = func.max(by_day.c.latest, type_=entries.c.effective_at.type)
    members = (
        select(slot, by_day.c.owner_id, -func.sum(by_day.c.amount), reached_at, literal(0))
        .select_from(source)
        .group_by(slot, by_day.c.owner_id)
        .having(reached_at.isnot(None))
    )
    await tx.execute(
        insert(board_scores).from_select(["slot", "member_id", "negated", "reached_at", "bucket"], members)
    )


async def _fill_histogram(tx: Tx, generation: UUID) -> None:
    mine = board_scores.c.slot.in_(select(board_periods.c.slot).where(board_periods.c.generation == generation))
    counts = (
        select(board_scores.c.slot, board_scores.c.negated, func.count().label("members"))
        .where(mine)
        .group_by(board_scores.c.slot, board_scores.c.negated)
    )
    tallies: list[dict[str, Any]] = []
    buckets: dict[tuple[UUID, int], tuple[int, int]] = {}
    for row in await tx.all(counts):
        bucket = bucket_of(-row.negated)
        tallies.append({"slot": row.slot, "bucket": bucket, "score": -row.negated, "members": row.members})
        members_before, scores_before = buckets.get((row.slot, bucket), (0, 0))
        buckets[row.slot, bucket] = members_before + row.members, scores_before + 1
    await insert_many(tx, board_tallies, tallies)
    await insert_many(
        tx,
        board_buckets,
        [{"slot": s, "bucket": b, "members": m, "scores": n} for (s, b), (m, n) in buckets.items()],
    )
    # Joined, and with the score's sign turned on the tally's side: so the index on (slot, negated) serves.
    same = board_tallies.c.slot == board_scores.c.slot, board_scores.c.negated == -board_tallies.c.score
    await tx.execute(update(board_scores).where(mine, *same).values(bucket=board_tallies.c.bucket))


# A board that is gone


async def purge(tx: Tx) -> int:
    """Remove some rows of a generation that no board has any more; 0 when none is left."""
    alive = exists().where(boards.c.generation == board_periods.c.generation)
    slot = await tx.scalar(select(board_periods.c.slot).where(~alive).limit(1))
    if slot is None:
        return 0
    some = select(board_scores.c.member_id).where(board_scores.c.slot == slot).limit(PURGE_STEP)
    where = board_scores.c.slot == slot, board_scores.c.member_id.in_(some)
    removed = (await tx.execute(delete(board_scores).where(*where))).rowcount
    if removed < PURGE_STEP:
        for table in (board_tallies, board_buckets, board_leaders, board_periods):
            removed += (await tx.execute(delete(table).where(table.c.slot == slot))).rowcount
    return removed
