"""SQL that reads boards: pages in either direction, and where members stand, without counting rows.

A rank is made of the buckets above the member's and of the tallies inside it: as many rows as there are buckets,
whatever the number of members. Only `ordinal` also counts, among those who tie, the ones who came earlier.

Each read is one statement, and so sees one instant without a transaction. It names the board and the period; which
generation that is, and of which zone the community, the statement itself finds out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)

from kit.database import NOTHING_SEEN, Database, Question, UtcDateTime, gathered, is_new, snapshot
from services.rewards.domain.boards import DENSE, ORDINAL, Board
from services.rewards.store.boards import to_board
from services.rewards.store.shown import ORDER, on_board
from services.rewards.tables.boards import board_buckets, board_periods, board_scores, board_tallies, boards
from services.rewards.tables.metadata import metadata

Position = tuple[int, datetime, UUID]
"""(score, reached_at, member): a place in the order of a board, whether anybody stands there or not."""


class Placed(NamedTuple):
    """A line of a board without its rank. It sorts as the board does, therefore `negated` is minus the score; `name` is
    empty for a member not heard of yet."""

    negated: int
    reached_at: datetime
    member_id: UUID
    name: str


class Final(NamedTuple):
    """Since when a period changes no more (None: it still does), the hash of its lines, and how many entries came
    afterwards, for nothing."""

    finalized_at: datetime | None = None
    hash: str | None = None
    late_entries: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one statement saw of a board. `zone` is None for a community not heard of yet.

    `lines` in the order of the board; `rank` is that of the first of them by the board's policy, `tied` how many have
    its score (None: none above it). `me` and `my_rank` are the member asked for, if on the board.
    """

    board: Board
    final: Final
    zone: str | None
    day_start: int
    total: int
    lines: list[Placed]
    rank: int
    tied: int | None
    me: Placed | None
    my_rank: int


_known_communities, _known_members = metadata.tables["known_communities"], metadata.tables["known_members"]
_order = ORDER
_given = (
    bindparam("negated", type_=BigInteger()),
    bindparam("reached_at", type_=UtcDateTime()),
    bindparam("position", type_=Uuid()),
)
_community = bindparam("community", type_=Uuid())

_head = (
    select(
        boards,
        board_periods.c.slot,
        board_periods.c.finalized_at,
        board_periods.c.hash,
        board_periods.c.late_entries,
        _known_communities.c.zone,
        _known_communities.c.day_start,
    )
    .select_from(
        boards.outerjoin(
            board_periods,
            and_(
                board_periods.c.generation == boards.c.generation,
                board_periods.c.kind == bindparam("kind", type_=String()),
                board_periods.c.key == bindparam("key", type_=String()),
            ),
        ).outerjoin(_known_communities, _known_communities.c.community_id == boards.c.community_id)
    )
    .where(boards.c.community_id == _community, boards.c.id == bindparam("board", type_=String()))
    .cte("head")
)
_slot = select(_head.c.slot).scalar_subquery()
_policy = select(_head.c.tie_policy).scalar_subquery()
_placed = select(*_order).where(on_board(_slot))


def _row_of(member: Any) -> Any:
    # The bucket is in no index but the key's: it is looked up for those who are ranked and not for every line.
    return select(*_order, board_scores.c.bucket).where(on_board(_slot), board_scores.c.member_id == member)


_me = _row_of(bindparam("member", type_=Uuid())).cte("me")


def _page(position: Sequence[Any] | None, limit: str, *, upwards: bool = False) -> Any:
    """So many rows from a position on (None: from the top), those nearest to it."""
    stmt = _placed.limit(bindparam(limit, type_=BigInteger()))
    if position is not None:
        here, there = tuple_(*_order), tuple_(*position)
        stmt = stmt.where(here < there if upwards else here > there)
    return stmt.order_by(*(column.desc() if upwards else column for column in _order))


def _value(column: Any) -> Any:
    # For a comparison of rows. Neither database looks up a place by comparing with a subquery's row, so its values come
    # one by one; and SQLite not by a subquery's column either, which has rules of its own, but by a function's value.
    return func.coalesce(column, column)


def _around() -> Any:
    mine = [select(_value(_me.c[c.name])).scalar_subquery() for c in _order]
    upper, lower = _page(mine, "above", upwards=True).subquery(), _page(mine, "below").subquery()
    return union_all(select(upper), select(*(_me.c[c.name] for c in _order)), select(lower))


def _name(line: Any) -> Any:
    known = _known_members.c.community_id == _community, _known_members.c.member_id == line.c.member_id
    return func.coalesce(select(_known_members.c.display_name).where(*known).scalar_subquery(), "").label("name")


def _rank(line: Any, in_higher_buckets: Any) -> Any:
    """The rank of a row of scores; `in_higher_buckets` says how many members are."""
    dense = _policy == DENSE
    scores = select(func.coalesce(func.sum(board_buckets.c.scores), 0)).where(
        board_buckets.c.slot == _slot, board_buckets.c.bucket > line.c.bucket
    )
    higher = case((dense, scores.scalar_subquery()), else_=in_higher_buckets)
    better = func.sum(case((dense, 1), else_=board_tallies.c.members))
    in_bucket = select(func.coalesce(better, 0)).where(*_its_bucket(line), board_tallies.c.score > -line.c.negated)
    earlier = select(func.count()).where(
        on_board(_slot),
        board_scores.c.negated == line.c.negated,
        tuple_(board_scores.c.reached_at, board_scores.c.member_id)
        < tuple_(_value(line.c.reached_at), _value(line.c.member_id)),
    )
    above = higher + in_bucket.scalar_subquery()
    above += case((_policy == ORDINAL, earlier.scalar_subquery()), else_=0)
    return (above + 1).cast(BigInteger)


def _its_bucket(line: Any) -> tuple[Any, Any]:
    return board_tallies.c.slot == _slot, board_tallies.c.bucket == line.c.bucket


def _counted(*lines: Any) -> Any:
    """One row of one pass: how many are on the board, and how many in the buckets above that of each of these rows."""
    members = func.sum(board_buckets.c.members)
    sums = [members.label("total")]
    for line in lines:
        mine = select(line.c.bucket).scalar_subquery()
        sums.append(members.filter(board_buckets.c.bucket > mine).label(line.name))
    whole = (func.coalesce(total, 0).cast(BigInteger).label(total.name) for total in sums)
    return select(*whole).where(board_buckets.c.slot == _slot).subquery("counted")


def _listed(lines: Any) -> Any:
    """Lines as one row of lists."""
    lists = (gathered(lines.c[column.name]).label(f"{column.name}s") for column in _order)
    return select(*lists, gathered(_name(lines)).label("names")).subquery("listed")


def _mine() -> list[Any]:
    """The member's line, by the columns of `_me`."""
    return [*(_me.c[column.name].label(f"my_{column.name}") for column in _order), _name(_me).label("my_name")]


def _first() -> Question:
    """The first lines, unless the board was seen like this before; and the member's line and rank in any case."""
    listed, counted = _listed(_page(None, "limit").cte("lines")), _counted()
    board = select(*(column for column in _head.c if column.key != "slot"), counted.c.total, *listed.c)
    # The offset keeps the condition inside: PostgreSQL would ask it of rows that were read for it.
    read = (
        board.select_from(_head.join(listed, true()).join(counted, true()))
        .where(is_new())
        .offset(literal_column("0", Integer()))
        .subquery("read")
    )
    above = _counted(_me)
    member = select(*_mine(), _rank(_me, above.c.me).label("my_rank")).select_from(_me.join(above, true()))
    mine = member.subquery("mine")
    seen = select(snapshot().label("snapshot")).subquery("seen")
    source = seen.outerjoin(read, true()).outerjoin(mine, true())
    return Question(select(*seen.c, *read.c, *mine.c).select_from(source))


def _reading(lines: Any, *, me: bool = True) -> Question:
    """The board with these lines of it and the rank of the first of them; with the member's line and rank."""
    lines = lines.cte("lines")
    listed = _listed(lines)
    top = select(lines.c.member_id).order_by(*(lines.c[column.name] for column in _order)).limit(1)
    top = _row_of(top.scalar_subquery()).cte("top")
    counted = _counted(top, *([_me] if me else []))
    columns = [*(column for column in _head.c if column.key != "slot"), counted.c.total, *listed.c]
    source = _head.join(listed, true()).join(counted, true()).outerjoin(top, true())
    tied = select(board_tallies.c.members).where(*_its_bucket(top), board_tallies.c.score == -top.c.negated)
    columns += [_rank(top, counted.c.top).label("rank"), tied.scalar_subquery().label("tied")]
    if me:
        source = source.outerjoin(_me, true())
        columns += [*_mine(), _rank(_me, counted.c.me).label("my_rank")]
    return Question(select(*columns).select_from(source))


TOP = _first()
AFTER = _reading(_page(_given, "limit"))
BEFORE = _reading(_page(_given, "limit", upwards=True))
AROUND = _reading(_around(), me=False)
QUESTIONS = {"top": TOP, "after": AFTER, "before": BEFORE, "around": AROUND}


@dataclass(frozen=True, slots=True)
class At:
    """A period of a board, by the names people give them."""

    community_id: UUID
    board_id: str
    kind: str
    key: str


class Top(NamedTuple):
    """The first lines, and the member asked for. `reading`, which is without the member, is None when it is as it was
    under the snapshot that was named; `snapshot` is None when it cannot be told apart from others."""

    snapshot: str | None
    reading: Reading | None
    me: Placed | None
    my_rank: int


async def top(db: Database, at: At, *, limit: int, member: UUID | None, seen: str = NOTHING_SEEN) -> Top | None:
    """The first `limit` lines, unless nothing was committed since `seen`; None when there is no such board."""
    (r,) = await db.ask(TOP, **_asked(at, member), limit=limit, seen=seen)
    me, my_rank = _mine_of(r)
    if r.id is not None:
        return Top(r.snapshot, _to_reading(r, _lines(r), 1, None, None, 0), me, my_rank)
    return Top(r.snapshot, None, me, my_rank) if r.snapshot is not None and r.snapshot == seen else None


async def after(db: Database, at: At, *, position: Position, limit: int, member: UUID | None) -> Reading | None:
    """The first `limit` lines below the position."""
    return await _read(db, AFTER, at, member, limit=limit, **_placing(position))


async def before(db: Database, at: At, *, position: Position, limit: int, member: UUID | None) -> Reading | None:
    """The last `limit` lines above the position."""
    return await _read(db, BEFORE, at, member, limit=limit, **_placing(position))


async def around(db: Database, at: At, *, member: UUID, above: int, below: int) -> Reading | None:
    """The member's line with up to so many on either side; no lines when not on the board."""
    return await _read(db, AROUND, at, member, above=above, below=below)


def _placing(position: Position) -> dict[str, Any]:
    score, reached_at, member = position
    return {"negated": -score, "reached_at": reached_at, "position": member}


def _asked(at: At, member: UUID | None) -> dict[str, Any]:
    return {"community": at.community_id, "board": at.board_id, "kind": at.kind, "key": at.key, "member": member}


async def _read(db: Database, question: Question, at: At, member: UUID | None, **more: Any) -> Reading | None:
    rows = await db.ask(question, **_asked(at, member), **more)
    if not rows:
        return None
    (r,) = rows
    lines = _lines(r)
    rank, tied = (r.rank, r.tied) if lines else (1, None)
    return _to_reading(r, lines, rank, tied, *(_mine_of(r) if question is not AROUND else (None, 0)))


def _lines(r: Any) -> list[Placed]:
    return sorted(map(Placed._make, zip(r.negateds, r.reached_ats, r.member_ids, r.names, strict=True)))


def _mine_of(r: Any) -> tuple[Placed | None, int]:
    if r.my_member_id is None:
        return None, 0
    return Placed(r.my_negated, r.my_reached_at, r.my_member_id, r.my_name), r.my_rank


def _to_reading(r: Any, lines: list[Placed], rank: int, tied: int | None, me: Placed | None, my_rank: int) -> Reading:
    final = Final(r.finalized_at, r.hash.hex() if r.hash is not None else None, r.late_entries or 0)
    return Reading(to_board(r), final, r.zone, r.day_start or 0, r.total, lines, rank, tied, me, my_rank)
