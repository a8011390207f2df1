"""Reading part of a board: the members of a group, those on a platform, those who are named; and the last so many days,
whatever the calendar says. Ranks, `me`, totals and pages are of that part alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from kit import copies
from kit.database import Database, Tx
from kit.days import Period, local_day, period_between, period_of
from kit.errors import BadRequest, NotFound
from services.rewards.domain.boards import Board, slot_id
from services.rewards.domain.decay import DECAY
from services.rewards.domain.seasons import SEASON
from services.rewards.handlers.boards import check_kept, find
from services.rewards.handlers.ranking import Asked, Line, Lines, Window, kept_at, meant
from services.rewards.store import narrowing as store
from services.rewards.store.narrowing import Days, Improvement, Label, Ranked, Some
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
    improvement: bool = False,
    after: Position | None = None,
    before: Position | None = None,
    member: UUID | None = None,
    among: Collection[UUID] | None = None,
) -> Lines:
    """As `ranking.page`, of who has all of the labels and is `among` these (None: whoever it is), or (kind ROLLING) of
    the `days` up to today or the key; of an `improvement` the scores are by how much members are above their own in the
    period before."""
    some = Some(limit + 1, after, before)
    async with db.read() as tx:
        window, part = await _read(tx, asked, labels, days, improvement, some, member, among)
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
    improvement: bool = False,
    among: Collection[UUID] | None = None,
) -> Lines:
    """As `ranking.around`, in the part of the board that `page` shows."""
    some = Some(above=above, below=below)
    async with db.read() as tx:
        window, part = await _read(tx, asked, labels, days, improvement, some, member_id, among)
    if part.me is None:
        raise NotFound("this member is not on the board in this period", code="not_on_board")
    items = [_line(line) for line in part.lines]
    more = part.lines[0].place > 1, part.lines[-1].place < part.total
    return Lines(window, items, *more, part.total, _line(part.me))


async def _read(
    tx: Tx,
    asked: Asked,
    labels: Sequence[Label],
    days: int,
    improvement: bool,
    some: Some,
    member: UUID | None,
    among: Collection[UUID] | None,
) -> tuple[Window, store.Part]:
    board = await find(tx, asked.community_id, asked.board_id)
    place = await copies.known_community(tx, asked.community_id)
    zone, day_start = (place.zone, place.day_start) if place is not None else ("UTC", 0)
    if improvement and asked.kind in (ROLLING, DECAY):
        raise NotFound("there is no period before this one to compare it with", code="no_period_before")
    if asked.kind == ROLLING:
        check_kept(board, "day")
        window, added = _rolling(board, asked, tx.now, zone, day_start, days)
        return window, await store.read(tx, board, added, labels, some=some, member=member, among=among)
    check_kept(board, asked.kind)
    period, resets = meant(asked, board, tx.now, zone, day_start)
    slot = slot_id(board.generation, *kept_at(board, period))
    window = Window(board, period, resets, await store.final(tx, slot))
    what = Improvement(slot, _slot_before(board, period, zone, day_start)) if improvement else slot
    return window, await store.read(tx, board, what, labels, some=some, member=member, among=among)


def _slot_before(board: Board, period: Period, zone: str, day_start: int) -> UUID:
    """The period of the same kind before this one; of seasons, the one before. NotFound where there is none."""
    if period.kind == SEASON:
        keys = [one.key for one in board.seasons]
        at = keys.index(period.key)
        key = keys[at - 1] if at else None
    else:
        key = _key_before(period, zone, day_start)
    if key is None:
        raise NotFound("there is no period before this one to compare it with", code="no_period_before")
    return slot_id(board.generation, period.kind, key)


def _key_before(period: Period, zone: str, day_start: int) -> str | None:
    if period.start is None:
        return None
    try:
        return period_of(period.kind, period.start - timedelta(microseconds=1), zone, day_start).key
    except OverflowError:
        # Time began with it.
        return None


def _rolling(board: Board, asked: Asked, now: datetime, zone: str, day_start: int, days: int) -> tuple[Window, Days]:
    """The days up to today or the one that is named; the next change by itself is the end of today."""
    last, resets = meant(replace(asked, kind="day"), board, now, zone, day_start)
    assert last.start is not None
    day = local_day(last.start, zone, day_start)
    try:
        first = day - timedelta(days=days - 1)
    except OverflowError as error:
        raise BadRequest(f"there are no {days} days before {last.key}", code="period_key_invalid") from error
    period = period_between(ROLLING, last.key, first, day, zone, day_start)
    return Window(board, period, resets, Final()), Days(first, day)


def _line(line: Ranked) -> Line:
    return Line(line.rank, line.member_id, line.name, line.score, line.reached_at)
