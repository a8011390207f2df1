"""Reading boards: a page in either direction, the members around one, and where somebody stands. Exact at any size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.copies import KnownMember, known_community, known_members
from kit.database import Tx
from kit.days import Period, period_named, period_of
from kit.errors import BadRequest, NotFound
from services.rewards.domain.boards import Board, ranks, slot_id
from services.rewards.handlers.boards import find
from services.rewards.store import ranking as store


@dataclass(frozen=True, slots=True)
class Window:
    """One period of a board; `next_reset_at` is when the period of this kind that runs now ends (None: never)."""

    board: Board
    period: Period
    next_reset_at: datetime | None
    slot: UUID


@dataclass(frozen=True, slots=True)
class Line:
    rank: int
    member_id: UUID
    display_name: str
    score: int
    reached_at: datetime

    @property
    def position(self) -> store.Position:
        return self.score, self.reached_at, self.member_id


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines of a board; `above` and `below` say whether there are more on either side."""

    window: Window
    items: list[Line]
    above: bool
    below: bool
    total: int


async def window(tx: Tx, community_id: UUID, board_id: str, kind: str, key: str | None) -> Window:
    """The period `key` of a board, without a key the present one; NotFound, BadRequest for a key that is none."""
    board = await find(tx, community_id, board_id)
    if kind not in board.periods:
        raise NotFound(f"this board keeps {', '.join(board.periods)}", code="period_not_kept")
    place = await known_community(tx, community_id)
    zone, day_start = (place.zone, place.day_start) if place else ("UTC", 0)
    present = period_of(kind, tx.now, zone, day_start)
    try:
        period = period_named(kind, key, zone, day_start) if key is not None else present
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{key!r} is no {kind}", code="period_key_invalid") from error
    return Window(board, period, present.end, slot_id(board.generation, kind, period.key))


async def page(
    tx: Tx,
    at: Window,
    limit: int,
    *,
    after: store.Position | None = None,
    before: store.Position | None = None,
) -> Lines:
    """`limit` lines: the first, those just below `after`, or those just above `before`."""
    if before is not None:
        rows = await store.rows_before(tx, at.slot, before, limit + 1)
        above, below = len(rows) > limit, True
        rows = rows[-limit:]
    else:
        rows = await store.rows_after(tx, at.slot, after, limit + 1)
        above, below = after is not None, len(rows) > limit
        rows = rows[:limit]
    items = await _ranked(tx, at, rows)
    return Lines(at, items, above, below, await store.total(tx, at.slot))


async def around(tx: Tx, at: Window, member_id: UUID, above: int, below: int) -> Lines:
    """A member with up to so many on either side, fewer at the edges; NotFound when not on the board."""
    found = (await store.standings(tx, at.slot, [member_id], at.board.tie_policy)).get(member_id)
    if found is None:
        raise NotFound("this member is not on the board in this period", code="not_on_board")
    position = found.score, found.reached_at, member_id
    upper = await store.rows_before(tx, at.slot, position, above + 1)
    lower = await store.rows_after(tx, at.slot, position, below + 1)
    rows = upper[-above:] if above else []
    rows += [store.Placed(member_id, found.score, found.reached_at), *lower[:below]]
    items = await _ranked(tx, at, rows)
    return Lines(at, items, len(upper) > above, len(lower) > below, await store.total(tx, at.slot))


async def standing(tx: Tx, at: Window, member_id: UUID) -> Line | None:
    """Where one member stands; None when not on the board."""
    found = (await store.standings(tx, at.slot, [member_id], at.board.tie_policy)).get(member_id)
    if found is None:
        return None
    names = await known_members(tx, at.board.community_id, [member_id])
    return _line(found.rank, store.Placed(member_id, found.score, found.reached_at), _name(names, member_id))


async def _ranked(tx: Tx, at: Window, rows: Sequence[store.Placed]) -> list[Line]:
    if not rows:
        return []
    first = (await store.standings(tx, at.slot, [rows[0].member_id], at.board.tie_policy))[rows[0].member_id]
    numbers = ranks(at.board.tie_policy, first.rank, first.tied, [row.score for row in rows])
    names = await known_members(tx, at.board.community_id, [row.member_id for row in rows])
    return [_line(n, row, _name(names, row.member_id)) for n, row in zip(numbers, rows, strict=True)]


def _name(names: Mapping[UUID, KnownMember], member_id: UUID) -> str:
    member = names.get(member_id)
    return member.display_name if member is not None else ""


def _line(rank: int, row: store.Placed, name: str) -> Line:
    return Line(rank, row.member_id, name, row.score, row.reached_at)
