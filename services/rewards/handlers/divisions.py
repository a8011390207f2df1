"""Reading leagues: where a member plays and against whom, and all divisions of a period.

Ranks are of the division alone and worked out at every reading, by the board's tie policy; a division is small. Past
periods read by the terms that held in them, for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from kit import copies
from kit.database import Tx
from kit.days import Period, local_day
from kit.errors import NotFound
from services.rewards.domain.boards import Board, Slot, ranks, slot_of
from services.rewards.domain.leagues import DOWN, LOWEST, SAME, UP, League, move, zones
from services.rewards.handlers.boards import check_kept, find, is_away
from services.rewards.handlers.ranking import Asked, meant
from services.rewards.store import leagues as store
from services.rewards.store import shown

LATEST = ""
"""As the kind of period asked for: the one that the board's league is played in."""

ZONES = {UP: "promotion", SAME: "stays", DOWN: "demotion"}


@dataclass(frozen=True, slots=True)
class Window:
    """A period of a board's league; `next_reset_at` is when the one that runs now ends."""

    slot: Slot
    league: League
    period: Period
    next_reset_at: datetime
    state: store.State


@dataclass(frozen=True, slots=True)
class Line:
    """`zone` is where the member would go if it ended now, or went: promotion, stays, demotion."""

    rank: int
    member_id: UUID
    display_name: str
    score: int
    reached_at: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Table:
    """One division, numbers from 0; `up` and `down` are how many go where, as many as are on it now."""

    window: Window
    tier: int
    division: int
    up: int
    down: int
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Standing:
    """`tier` is None for who did not play in a past period; `table` for who has no place, or none yet. `tier_after` is
    known when the period is settled, `me` is None for who is not shown any more."""

    window: Window
    tier: int | None
    tier_after: int | None
    table: Table | None
    me: Line | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`divisions` are (tier, division, how many are shown), lowest tier first."""

    window: Window
    divisions: Sequence[tuple[int, int, int]]


async def standing(tx: Tx, asked: Asked, member: UUID) -> Standing:
    """NotFound for who is on no board, or not on this one."""
    window = await _window(tx, asked)
    board = window.slot.board
    if is_away(board, member, await shown.absent(tx, [(board.community_id, member)])):
        raise NotFound("this member is not on the board", code="not_on_board")
    seat = await store.seat(tx, window.slot.id, member)
    if seat is None or seat.tier is None:
        tier = await _next_tier(tx, window, member) if asked.key is None else None
        return Standing(window, tier, None, None, None)
    if seat.number is None:
        return Standing(window, seat.tier, seat.tier_after, None, None)
    table = await _table(tx, window, seat.tier, seat.number // window.league.size)
    me = next((line for line in table.lines if line.member_id == member), None)
    return Standing(window, seat.tier, seat.tier_after, table, me)


async def _next_tier(tx: Tx, window: Window, member: UUID) -> int:
    key = window.slot.board.generation, member
    return min((await store.tiers(tx, [key])).get(key, LOWEST), window.league.top)


async def overview(tx: Tx, asked: Asked) -> Overview:
    window = await _window(tx, asked)
    return Overview(window, await store.divisions(tx, window.slot.id, window.league.size))


async def division(tx: Tx, asked: Asked, tier: int, number: int) -> Table:
    """NotFound for one that nobody is shown in."""
    window = await _window(tx, asked)
    table = await _table(tx, window, tier, number) if tier <= window.league.top else None
    if table is None or not table.lines:
        raise NotFound("there is no such division; see GET /v1/boards/{id}/leagues", code="division_unknown")
    return table


async def _window(tx: Tx, asked: Asked) -> Window:
    board = await find(tx, asked.community_id, asked.board_id)
    kind = asked.kind or _latest(board)
    check_kept(board, kind)
    place = await copies.known_community(tx, asked.community_id)
    zone, day_start = (place.zone, place.day_start) if place is not None else ("UTC", 0)
    period, resets = meant(replace(asked, kind=kind), board, tx.now, zone, day_start)
    assert period.start is not None
    assert resets is not None
    slot = slot_of(board, kind, local_day(period.start, zone, day_start))
    if slot is None or slot.league is None:
        raise NotFound(f"no league is played in {period.key}{_begins(board)}", code="no_league")
    return Window(slot, slot.league, period, resets, await store.state(tx, slot.id))


def _latest(board: Board) -> str:
    """The period that the league is played in, or was last."""
    for terms in reversed(board.leagues):
        if terms.league is not None:
            return terms.league.period
    raise NotFound("this board has no league", code="no_league")


def _begins(board: Board) -> str:
    return f"; the next one begins on {board.league_since} or later" if board.league is not None else ""


async def _table(tx: Tx, window: Window, tier: int, division: int) -> Table:
    league, first = window.league, division * window.league.size
    found = await store.lines(tx, window.slot, tier, range(first, first + league.size))
    numbers = ranks(window.slot.board.tie_policy, 1, None, [one.score for one in found])
    lines = []
    for place, (rank, one) in enumerate(zip(numbers, found, strict=True)):
        step = move(league, tier, len(found), place, one.score) if one.tier_after is None else one.tier_after - tier
        lines.append(Line(rank, one.member_id, one.name, one.score, one.reached_at, ZONES[step]))
    return Table(window, tier, division, *zones(league, tier, len(found)), lines)
