"""Reading boards: a page in either direction, the members around one, and where somebody stands. Exact at any size.

Each read is one statement. Which period runs at present depends on the community's zone, which that statement tells as
well: it is asked with the period of the zone seen last, and again when that was another one.

First pages are what many ask for at once. Those who come while the same one is being read share the next reading, never
the one that began before they came. Its lines are kept as they are written, and the statement tells whether anything
was committed since: never how old they are.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from kit.database import NOTHING_SEEN, Database
from kit.days import Period, local_day, period_between, period_named, period_of
from kit.errors import BadRequest, NotFound
from kit.gathering import Gathering
from services.rewards.domain.boards import Board, ranks
from services.rewards.domain.decay import DECAY, Decay
from services.rewards.domain.seasons import SEASON
from services.rewards.handlers.boards import check_kept, unknown_board
from services.rewards.store import ranking as store

ZONES_MOST = 10_000
FIRST_MOST = 100
"""First pages that are kept of a database, of at most 200 lines each."""
TOGETHER_MOST = 1000
NO_KEY = ""

R = TypeVar("R", bound=store.Reading)

_zones: dict[UUID, tuple[str, int]] = {}
"""Community → zone and start of the day as seen last. Only a guess: every answer is checked against its own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A period of a board as the caller names it; without a key the present one of its kind."""

    community_id: UUID
    board_id: str
    kind: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One period of a board; `next_reset_at` is when the period of this kind that runs now ends (None: never, or no
    season runs)."""

    board: Board
    period: Period
    next_reset_at: datetime | None
    final: store.Final


class Line(msgspec.Struct, frozen=True):
    """A struct and no dataclass: a page has up to two hundred, and they are made and written five times as fast."""

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
    """Consecutive lines of a board; `above` and `below` say whether there are more on either side. `me` is the line of
    the member asked for, on this page or not; None when not on the board."""

    window: Window
    items: list[Line]
    above: bool
    below: bool
    total: int
    me: Line | None
    encoded: msgspec.Raw | None = None
    """`items` as JSON, where that is known already."""


@dataclass(frozen=True, slots=True)
class _First(store.Reading):
    """A first page without the member, as it was under `snapshot`."""

    snapshot: str | None
    items: list[Line]
    more: bool
    encoded: msgspec.Raw


class _Wanted(NamedTuple):
    """A first page: whoever wants the same is given the same."""

    at: store.At
    limit: int
    member: UUID | None


_firsts: WeakKeyDictionary[Database, dict[tuple[store.At, int], _First]] = WeakKeyDictionary()


async def page(
    db: Database,
    asked: Asked,
    limit: int,
    *,
    after: store.Position | None = None,
    before: store.Position | None = None,
    member: UUID | None = None,
) -> Lines:
    """`limit` lines: the first, those just below `after`, or those just above `before`.

    NotFound for a board or a kind of period that is not kept, BadRequest for a key that names no period.
    """

    def ask(at: store.At) -> Awaitable[store.Reading | None]:
        if before is not None:
            return store.before(db, at, position=before, limit=limit + 1, member=member)
        assert after is not None
        return store.after(db, at, position=after, limit=limit + 1, member=member)

    if before is None and after is None:
        return await _first_page(db, asked, limit, member)
    window, found = await _read(db, asked, ask)
    more, items = len(found.lines) > limit, _ranked(found)
    if before is not None:
        return Lines(window, items[-limit:], more, True, found.total, _me(found))
    return Lines(window, items[:limit], True, more, found.total, _me(found))


async def _first_page(db: Database, asked: Asked, limit: int, member: UUID | None) -> Lines:
    window, found = await _read(db, asked, lambda at: _together.do((db, _Wanted(at, limit, member)), None))
    return Lines(window, found.items, False, found.more, found.total, _me(found), found.encoded)


async def _read_first(key: tuple[Database, _Wanted], askers: Sequence[None]) -> list[_First | None]:
    db, wanted = key
    kept = _firsts.setdefault(db, {})
    known = kept.get(wanted[:2])
    seen = known.snapshot if known is not None and known.snapshot is not None else NOTHING_SEEN
    found = await store.top(db, wanted.at, limit=wanted.limit + 1, member=wanted.member, seen=seen)
    if found is None:
        return [None for _ in askers]
    if found.reading is not None:
        known = _to_first(found.reading, found.snapshot, wanted.limit)
        kept.pop(wanted[:2], None)
        kept[wanted[:2]] = known
        if len(kept) > FIRST_MOST:
            del kept[next(iter(kept))]
    assert known is not None
    mine = known if found.me is None else replace(known, me=found.me, my_rank=found.my_rank)
    return [mine for _ in askers]


_together: Gathering[tuple[Database, _Wanted], None, _First | None] = Gathering(_read_first, TOGETHER_MOST)


def _to_first(found: store.Reading, snapshot: str | None, limit: int) -> _First:
    items = _ranked(found)
    shown, more = items[:limit], len(items) > limit
    told = {name: getattr(found, name) for name in store.Reading.__dataclass_fields__}
    return _First(**told, snapshot=snapshot, items=shown, more=more, encoded=msgspec.Raw(msgspec.json.encode(shown)))


async def around(db: Database, asked: Asked, member_id: UUID, above: int, below: int) -> Lines:
    """A member with up to so many on either side, fewer at the edges; NotFound when not on the board."""
    window, found = await _read(
        db, asked, lambda at: store.around(db, at, member=member_id, above=above + 1, below=below + 1)
    )
    if not found.lines:
        raise NotFound("this member is not on the board in this period", code="not_on_board")
    items = _ranked(found)
    mine = next(number for number, line in enumerate(items) if line.member_id == member_id)
    more_above, more_below = mine > above, len(items) - mine - 1 > below
    shown = items[max(0, mine - above) : mine + below + 1]
    return Lines(window, shown, more_above, more_below, found.total, items[mine])


async def _read(db: Database, asked: Asked, ask: Callable[[store.At], Awaitable[R | None]]) -> tuple[Window, R]:
    now = db.clock()
    at = asked.kind, _guessed(asked, now)
    while True:
        found = await ask(store.At(asked.community_id, asked.board_id, *at))
        if found is None:
            raise unknown_board(asked.board_id)
        window = _window(asked, now, found)
        there = kept_at(window.board, window.period)
        if there == at:
            return window, found
        at = there


def _guessed(asked: Asked, now: datetime) -> str:
    if asked.kind in (SEASON, DECAY):
        # The board knows what runs now.
        return asked.key or NO_KEY
    try:
        return _period(asked, now, *_zones.get(asked.community_id, ("UTC", 0))).key
    except (ValueError, OverflowError):
        # Whether there is such a board is said first.
        return NO_KEY


def _period(asked: Asked, now: datetime, zone: str, day_start: int) -> Period:
    if asked.key is not None:
        return period_named(asked.kind, asked.key, zone, day_start)
    return period_of(asked.kind, now, zone, day_start)


def kept_at(board: Board, period: Period) -> tuple[str, str]:
    """Kind and key of a period as they are kept."""
    if period.kind == DECAY and board.decay is not None:
        return board.decay.kind, period.key
    return period.kind, period.key


def _decayed(asked: Asked, decay: Decay, zone: str, day_start: int) -> tuple[Period, datetime | None]:
    """The days that count on the day that the board decays to, and when that ends."""
    key = decay.day.isoformat()
    if asked.key not in (None, key):
        raise NotFound(f"scores that decay are kept for {key} alone", code="period_not_kept")
    period = period_between(DECAY, key, decay.first_day, decay.day, zone, day_start)
    return period, period.end


def _season(asked: Asked, board: Board, now: datetime, zone: str, day_start: int) -> tuple[Period, datetime | None]:
    """The season asked for, and when the one that runs now ends."""
    running = board.season_on(local_day(now, zone, day_start))
    if asked.key is None and running is None:
        raise NotFound("no season runs now; name one by its key", code="no_season")
    wanted = running if asked.key is None else next((one for one in board.seasons if one.key == asked.key), None)
    if wanted is None:
        raise NotFound(f"this board has no season {asked.key!r}", code="no_season")
    periods = [
        period_between(SEASON, one.key, one.first_day, one.last_day, zone, day_start) if one is not None else None
        for one in (wanted, running)
    ]
    assert periods[0] is not None
    return periods[0], periods[1].end if periods[1] is not None else None


def _window(asked: Asked, now: datetime, found: store.Reading) -> Window:
    board = found.board
    check_kept(board, asked.kind)
    zone, day_start = (found.zone, found.day_start) if found.zone is not None else ("UTC", 0)
    if len(_zones) >= ZONES_MOST:
        _zones.clear()
    _zones[asked.community_id] = zone, day_start
    return Window(board, *meant(asked, board, now, zone, day_start), found.final)


def meant(asked: Asked, board: Board, now: datetime, zone: str, day_start: int) -> tuple[Period, datetime | None]:
    """The period asked for, and when the one of its kind that runs now ends. BadRequest for a key that names none,
    NotFound for a season there is none of."""
    if asked.kind == DECAY and board.decay is not None:
        return _decayed(asked, board.decay, zone, day_start)
    if asked.kind == SEASON:
        return _season(asked, board, now, zone, day_start)
    try:
        period = _period(asked, now, zone, day_start)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{asked.key!r} is no {asked.kind}", code="period_key_invalid") from error
    return period, period_of(asked.kind, now, zone, day_start).end


def _me(found: store.Reading) -> Line | None:
    return _line(found.my_rank, found.me) if found.me is not None else None


def _ranked(found: store.Reading) -> list[Line]:
    numbers = ranks(found.board.tie_policy, found.rank, found.tied, [-line.negated for line in found.lines])
    return [_line(rank, line) for rank, line in zip(numbers, found.lines, strict=True)]


def _line(rank: int, placed: store.Placed) -> Line:
    return Line(rank, placed.member_id, placed.name, -placed.negated, placed.reached_at)
