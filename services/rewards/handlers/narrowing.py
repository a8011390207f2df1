"""Reading part of a board: the members of a group, those on a platform; and the last so many days, whatever the
calendar says. Ranks, `me`, totals and pages are of that part alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from kit import copies
from kit.database import Database, Tx
from kit.days import local_day, period_between
from kit.errors import NotFound
from services.rewards.domain.boards import Board, slot_id
from services.rewards.handlers.boards import check_kept, find
from services.rewards.handlers.ranking import Asked, Line, Lines, Window, meant
from services.rewards.store import narrowing as store
from services.rewards.store.narrowing import Days, Label, Ranked, Some
from services.rewards.store.ranking import Final, Position

ROLLING = "rolling"
DAYS_USUAL, DAYS_MOST = 30, 366


async def page(
    db: Database,
    asked: Asked,
    labels: Sequence[Label],
    limit: int,
    *,
    days: int = DAYS_USUAL,
    after: Position | None = None,
    before: Position | None = None,
    member: UUID | None = None,
) -> Lines:
    """As `ranking.page`, of who has all of the labels, or (kind ROLLING) of the `days` up to today or the key."""
    some = Some(limit + 1, after, before)
    async with db.read() as tx:
        window, part = await _read(tx, asked, labels, days, some, member)
    more, items = len(part.lines) > limit, [_line(line) for line in part.lines]
    me = _line(part.me) if part.me is not None else None
    if before is not None:
        return Lines(window, items[-limit:], more, True, part.total, me)
    return Lines(window, items[:limit], after is not None, more, part.total, me)


async def around(
    db: Database,
    asked: Asked,
    labels: Sequence[Label],
    member_id: UUID,
    above: int,
    below: int,
    *,
    days: int = DAYS_USUAL,
) -> Lines:
    """As `ranking.around`, among who has all of the labels."""
    async with db.read() as tx:
        window, part = await _read(tx, asked, labels, days, Some(above=above, below=below), member_id)
    if part.me is None:
        raise NotFound("this member is not on the board in this period", code="not_on_board")
    items = [_line(line) for line in part.lines]
    more = part.lines[0].place > 1, part.lines[-1].place < part.total
    return Lines(window, items, *more, part.total, _line(part.me))


async def _read(
    tx: Tx, asked: Asked, labels: Sequence[Label], days: int, some: Some, member: UUID | None
) -> tuple[Window, store.Part]:
    board = await find(tx, asked.community_id, asked.board_id)
    place = await copies.known_community(tx, asked.community_id)
    zone, day_start = (place.zone, place.day_start) if place is not None else ("UTC", 0)
    if asked.kind == ROLLING:
        check_kept(board, "day")
        window, what = _rolling(board, asked, tx.now, zone, day_start, days)
        return window, await store.read(tx, board, what, labels, some=some, member=member)
    check_kept(board, asked.kind)
    period, resets = meant(asked, board, tx.now, zone, day_start)
    slot = slot_id(board.generation, period.kind, period.key)
    window = Window(board, period, resets, await store.final(tx, slot))
    return window, await store.read(tx, board, slot, labels, some=some, member=member)


def _rolling(board: Board, asked: Asked, now: datetime, zone: str, day_start: int, days: int) -> tuple[Window, Days]:
    """The days up to today or the one that is named; the next change by itself is the end of today."""
    last, resets = meant(replace(asked, kind="day"), board, now, zone, day_start)
    assert last.start is not None
    day = local_day(last.start, zone, day_start)
    first = day - timedelta(days=days - 1)
    period = period_between(ROLLING, last.key, first, day, zone, day_start)
    return Window(board, period, resets, Final()), Days(first, day)


def _line(line: Ranked) -> Line:
    return Line(line.rank, line.member_id, line.name, line.score, line.reached_at)
