"""SQL that fills periods from entries that were posted before, and clears those of boards that are gone."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Uuid, case, column, delete, exists, func, insert, literal, select, update, values

from kit.database import Tx, expect_many_rows, insert_many
from services.rewards.domain.boards import ALL, Board, Slot, bucket_of
from services.rewards.store.boards import contributes
from services.rewards.store.shown import ABSENT, SHOWN, is_absent
from services.rewards.tables.boards import (
    board_buckets,
    board_leaders,
    board_periods,
    board_scores,
    board_tallies,
    boards,
)
from services.rewards.tables.leagues import league_periods, league_seats, league_tallies, league_tiers
from services.rewards.tables.ledger import entries

PURGE_STEP = 2000
DAYS_STEP = 10_000
SLOTS_STEP = 1000


async def days_with_entries(tx: Tx, community_id: UUID, unit: str) -> list[date]:
    where = entries.c.community_id == community_id, entries.c.unit == unit, entries.c.scored > 0
    return [row.day for row in await tx.all(select(entries.c.day).where(*where).distinct())]


async def fill(tx: Tx, board: Board, slots: Sequence[Slot], days: Sequence[date]) -> None:
    """Work out the scores of new periods of a board from the entries of these days, then their histogram.

    Linear in the number of entries: each is read once per kind of period and finds its slot by its day.
    """
    if not slots:
        return
    await expect_many_rows(tx)
    latest = func.max(case((contributes, entries.c.effective_at)), type_=entries.c.effective_at.type)
    by_day = (
        select(entries.c.owner_id, entries.c.day, func.sum(entries.c.amount).label("amount"), latest.label("latest"))
        .where(entries.c.community_id == board.community_id, entries.c.unit == board.unit, entries.c.scored > 0)
        .group_by(entries.c.owner_id, entries.c.day)
        .cte()
    )
    for part in _whole_periods(slots, days):
        named = values(column("day", Date), column("slot", Uuid), name="named")
        slot_days = named.data(part).cte()
        joined = by_day.join(slot_days, slot_days.c.day == by_day.c.day)
        await _fill_slots(tx, board, by_day, slot_days.c.slot, joined)
    for slot in slots:
        if slot.kind == ALL:
            await _fill_slots(tx, board, by_day, literal(slot.id, board_scores.c.slot.type), by_day)
    await fill_histogram(tx, [slot.id for slot in slots])


def _whole_periods(slots: Sequence[Slot], days: Sequence[date]) -> list[list[tuple[date, UUID]]]:
    """The days of each period but `all`, in parts that a statement can name, none of which ends inside a period."""
    ordered = sorted(days)
    parts: list[list[tuple[date, UUID]]] = [[]]
    for slot in slots:
        if slot.kind == ALL:
            continue
        first, after = bisect_left(ordered, slot.first_day), bisect_right(ordered, slot.last_day)
        if parts[-1] and len(parts[-1]) + after - first > DAYS_STEP:
            parts.append([])
        parts[-1] += [(day, slot.id) for day in ordered[first:after]]
    return [part for part in parts if part]


async def _fill_slots(tx: Tx, board: Board, by_day: Any, slot: Any, source: Any) -> None:
    """Insert the scores of whole slots, `slot` being the column (or the constant) that names them in `source`."""
    reached_at = func.max(by_day.c.latest, type_=entries.c.effective_at.type)
    away = exists().where(is_absent(board.community_id, by_day.c.owner_id, board.id))
    hidden = case((away, ABSENT), else_=SHOWN)
    members = (
        select(slot, by_day.c.owner_id, -func.sum(by_day.c.amount), reached_at, literal(0), hidden)
        .select_from(source)
        .group_by(slot, by_day.c.owner_id)
        .having(reached_at.isnot(None))
    )
    columns = ["slot", "member_id", "negated", "reached_at", "bucket", "hidden"]
    await tx.execute(insert(board_scores).from_select(columns, members))


async def fill_histogram(tx: Tx, slots: Sequence[UUID]) -> None:
    """That of whole slots, whose lines are there and in no bucket yet."""
    for start in range(0, len(slots), SLOTS_STEP):
        await _fill_histogram_of(tx, board_scores.c.slot.in_(slots[start : start + SLOTS_STEP]))


async def _fill_histogram_of(tx: Tx, mine: Any) -> None:
    by = board_scores.c.slot, board_scores.c.negated
    counts = select(*by, func.count().label("members")).where(mine, board_scores.c.hidden == SHOWN).group_by(*by)
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
    # Joined, and with the score's sign turned on the tally's side: so the index on (slot, hidden, negated) serves.
    # Those who are hidden are in no bucket.
    same = board_tallies.c.slot == board_scores.c.slot, board_scores.c.negated == -board_tallies.c.score
    await tx.execute(
        update(board_scores).where(mine, board_scores.c.hidden == SHOWN, *same).values(bucket=board_tallies.c.bucket)
    )


# A board that is gone


async def purge(tx: Tx) -> int:
    """Remove some rows of a generation that no board has any more; 0 when none is left."""
    alive = exists().where(boards.c.generation == board_periods.c.generation)
    gone = await tx.first(select(board_periods.c.slot, board_periods.c.generation).where(~alive).limit(1))
    if gone is None:
        return 0
    removed, whole = 0, True
    for table, by, value in (
        (board_scores, board_scores.c.slot, gone.slot),
        (league_seats, league_seats.c.slot, gone.slot),
        (league_tiers, league_tiers.c.generation, gone.generation),
    ):
        some = select(table.c.member_id).where(by == value).limit(PURGE_STEP)
        count = (await tx.execute(delete(table).where(by == value, table.c.member_id.in_(some)))).rowcount
        removed, whole = removed + count, whole and count < PURGE_STEP
    if whole:
        for table in (board_tallies, board_buckets, board_leaders, league_tallies, league_periods, board_periods):
            removed += (await tx.execute(delete(table).where(table.c.slot == gone.slot))).rowcount
    return removed
