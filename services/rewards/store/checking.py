"""SQL that looks whether the boards are what the entries say. Most of it reads every board and every entry once."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, case, func, or_, select

from kit.database import Tx
from services.rewards.domain.decay import DECAY
from services.rewards.store.shown import ORDER, SHOWN, on_board
from services.rewards.tables.boards import board_buckets, board_periods, board_scores, board_tallies, boards
from services.rewards.tables.ledger import accounts, entries

_decays = board_periods.c.kind.startswith(DECAY)


def _periods() -> Any:
    return board_periods.join(boards, boards.c.generation == board_periods.c.generation)


async def top(tx: Tx, slot: UUID, count: int) -> list[Row[Any]]:
    """(member_id, score, reached_at) of the first in a period, best first."""
    columns = board_scores.c.member_id, (-board_scores.c.negated).label("score"), board_scores.c.reached_at
    return await tx.all(select(*columns).where(on_board(slot)).order_by(*ORDER).limit(count))


async def wrong_totals(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(community_id, board, kind, key, scored, tallied, bucketed) where the histogram of a period does not count the
    members on it."""
    by_slot = [
        select(table.c.slot, count.label("members")).group_by(table.c.slot).subquery()
        for table, count in (
            (board_scores, func.sum(case((board_scores.c.hidden == SHOWN, 1), else_=0))),
            (board_tallies, func.sum(board_tallies.c.members)),
            (board_buckets, func.sum(board_buckets.c.members)),
        )
    ]
    joined = _periods()
    for one in by_slot:
        joined = joined.outerjoin(one, one.c.slot == board_periods.c.slot)
    scored, tallied, bucketed = (func.coalesce(one.c.members, 0) for one in by_slot)
    columns = boards.c.community_id, boards.c.id.label("board"), board_periods.c.kind, board_periods.c.key
    stmt = select(*columns, scored.label("scored"), tallied.label("tallied"), bucketed.label("bucketed"))
    # What decayed to an earlier day is on its way out, bit by bit.
    there = or_(~_decays, board_periods.c.last_day == boards.c.decay_day)
    wrong = or_(scored != tallied, scored != bucketed)
    return await tx.all(stmt.select_from(joined).where(wrong, there).limit(most))


async def wrong_sums(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(community_id, board, kind, key, scores, entries) where the scores of a period that is not closed
    do not sum to its entries; those that decay are another matter (`decaying.sums`)."""
    shown = select(board_scores.c.slot, func.sum(-board_scores.c.negated).label("sum")).group_by(board_scores.c.slot)
    scores = shown.subquery()
    # By day first: a period joins some days, not all of a community's entries.
    day = entries.c.community_id, entries.c.unit, entries.c.day
    days = select(*day, func.sum(entries.c.amount).label("sum")).where(entries.c.scored > 0).group_by(*day).subquery()
    counts = and_(
        days.c.community_id == boards.c.community_id,
        days.c.unit == boards.c.unit,
        days.c.day.between(board_periods.c.first_day, board_periods.c.last_day),
    )
    posted = (
        select(board_periods.c.slot, func.sum(days.c.sum).label("sum"))
        .select_from(_periods().join(days, counts))
        .group_by(board_periods.c.slot)
        .subquery()
    )
    joined = _periods().outerjoin(scores, scores.c.slot == board_periods.c.slot)
    joined = joined.outerjoin(posted, posted.c.slot == board_periods.c.slot)
    still_open = board_periods.c.closed_at.is_(None)
    in_scores, in_entries = func.coalesce(scores.c.sum, 0), func.coalesce(posted.c.sum, 0)
    columns = boards.c.community_id, boards.c.id.label("board"), board_periods.c.kind, board_periods.c.key
    stmt = select(*columns, in_scores.label("scores"), in_entries.label("entries"))
    return await tx.all(stmt.select_from(joined).where(in_scores != in_entries, still_open, ~_decays).limit(most))


async def sums_by_unit(tx: Tx) -> list[Row[Any]]:
    """(unit, entries, members, total) of all communities: how many lines, what members have, what all sums to."""
    lines = select(entries.c.unit, func.count().label("entries")).group_by(entries.c.unit).subquery()
    owned = case((accounts.c.system == 0, accounts.c.balance), else_=0)
    columns = func.sum(owned).label("members"), func.sum(accounts.c.balance).label("total")
    sums = select(accounts.c.unit, *columns).group_by(accounts.c.unit).subquery()
    count = func.coalesce(lines.c.entries, 0).label("entries")
    joined = sums.outerjoin(lines, lines.c.unit == sums.c.unit)
    stmt = select(sums.c.unit, count, sums.c.members, sums.c.total).select_from(joined)
    return sorted(await tx.all(stmt), key=lambda row: str(row.unit))


async def periods(tx: Tx) -> list[Row[Any]]:
    """(community_id, board, kind, key, slot) of every period of every board there is."""
    columns = boards.c.community_id, boards.c.id.label("board"), board_periods.c.kind, board_periods.c.key
    rows = await tx.all(select(*columns, board_periods.c.slot).select_from(_periods()))
    # Sorted here: two databases do not agree on the order of text.
    return sorted(rows, key=lambda row: (str(row.community_id), row.board, row.kind, row.key))
