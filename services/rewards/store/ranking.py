"""SQL that reads boards: pages in either direction, and where members stand, without counting rows.

A rank is made of the buckets above the member's and of the tallies inside it: as many rows as there are buckets,
whatever the number of members. Only `ordinal` also counts, among those who tie, the ones who came earlier.

Each read is one statement, and so sees one instant without a transaction. It names the board and the period; which
generation that is, and of which zone the community, the statement itself finds out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, String, Uuid, and_, bindparam, case, func, literal, select, true, tuple_, union_all

from kit.database import Database, Question, UtcDateTime, gathered
from services.rewards.domain.boards import DENSE, ORDINAL, Board
from services.rewards.tables.boards import board_buckets, board_periods, board_scores, board_tallies, boards
from services.rewards.tables.metadata import metadata

Position = tuple[int, datetime, UUID]
"""(score, reached_at, member): a place in the order of a board, whether anybody stands there or not."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A line of a board without its rank. `name` is empty for a member not heard of yet."""

    member_id: UUID
    name: str
    score: int
    reached_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a line stands: `rank` by the board's policy, `tied` how many have its score."""

    rank: int
    tied: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one statement saw of a board. `zone` is None for a community not heard of yet.

    `lines` in the order of the board, `first` is where the first of them stands; `me` the member asked for.
    """

    board: Board
    zone: str | None
    day_start: int
    total: int
    lines: list[Placed]
    first: Standing | None
    me: tuple[Placed, Standing] | None


_known_communities, _known_members = metadata.tables["known_communities"], metadata.tables["known_members"]
_order = board_scores.c.negated, board_scores.c.reached_at, board_scores.c.member_id
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
_placed = select(*_order, board_scores.c.bucket).where(board_scores.c.slot == _slot)
_me = _placed.where(board_scores.c.member_id == bindparam("member", type_=Uuid())).cte("me")


def _page(position: Sequence[Any] | None, limit: str, *, upwards: bool = False) -> Any:
    """So many rows from a position on (None: from the top), those nearest to it."""
    stmt = _placed.limit(bindparam(limit, type_=BigInteger()))
    if position is not None:
        here, there = tuple_(*_order), tuple_(*position)
        stmt = stmt.where(here < there if upwards else here > there)
    return stmt.order_by(*(column.desc() if upwards else column for column in _order))


def _around() -> Any:
    # One by one, not as a row: PostgreSQL does not look up by a comparison with a subquery's row.
    mine = [select(_me.c[column.name]).scalar_subquery() for column in _order]
    upper, lower = _page(mine, "above", upwards=True).subquery(), _page(mine, "below").subquery()
    return union_all(select(upper), select(_me), select(lower))


def _standing(line: Any) -> Any:
    """The rank of a row of scores, and how many have its score."""
    dense = _policy == DENSE
    within = board_tallies.c.slot == _slot, board_tallies.c.bucket == line.c.bucket
    counted = func.sum(case((dense, board_buckets.c.scores), else_=board_buckets.c.members))
    in_buckets = select(func.coalesce(counted, 0)).where(
        board_buckets.c.slot == _slot, board_buckets.c.bucket > line.c.bucket
    )
    in_bucket = select(func.coalesce(func.sum(case((dense, 1), else_=board_tallies.c.members)), 0)).where(
        *within, board_tallies.c.score > -line.c.negated
    )
    tied = select(board_tallies.c.members).where(*within, board_tallies.c.score == -line.c.negated)
    earlier = select(func.count()).where(
        board_scores.c.slot == _slot,
        board_scores.c.negated == line.c.negated,
        tuple_(board_scores.c.reached_at, board_scores.c.member_id) < tuple_(line.c.reached_at, line.c.member_id),
    )
    above = in_buckets.scalar_subquery() + in_bucket.scalar_subquery()
    above += case((_policy == ORDINAL, earlier.scalar_subquery()), else_=0)
    return (above + 1).cast(BigInteger).label("rank"), tied.scalar_subquery().label("tied")


def _name(line: Any) -> Any:
    known = _known_members.c.community_id == _community, _known_members.c.member_id == line.c.member_id
    return func.coalesce(select(_known_members.c.display_name).where(*known).scalar_subquery(), "").label("name")


def _reading(lines: Any) -> Question:
    lines = lines.cte("lines")
    listed = select(
        *(gathered(lines.c[column.name]).label(f"{column.name}s") for column in _order),
        gathered(_name(lines)).label("names"),
    ).subquery("listed")
    top = select(lines).order_by(*(lines.c[column.name] for column in _order)).limit(1).subquery("top")
    first = select(*_standing(top)).select_from(top).subquery("first")
    me = select(_me, _name(_me), *_standing(_me)).select_from(_me).subquery("mine")
    total = select(func.coalesce(func.sum(board_buckets.c.members), 0)).where(board_buckets.c.slot == _slot)
    return Question(
        select(
            *(column for column in _head.c if column.key != "slot"),
            total.scalar_subquery().cast(BigInteger).label("total"),
            *listed.c,
            *(column.label(f"first_{column.key}") for column in first.c),
            *(column.label(f"my_{column.key}") for column in me.c),
        ).select_from(_head.join(listed, true()).outerjoin(first, true()).outerjoin(me, true()))
    )


_TOP = _reading(_page(None, "limit"))
_AFTER = _reading(_page(_given, "limit"))
_BEFORE = _reading(_page(_given, "limit", upwards=True))
_AROUND = _reading(_around())


@dataclass(frozen=True, slots=True)
class At:
    """A period of a board, by the names people give them."""

    community_id: UUID
    board_id: str
    kind: str
    key: str


async def top(db: Database, at: At, *, limit: int, member: UUID | None) -> Reading | None:
    """The first `limit` lines; None when there is no such board."""
    return await _read(db, _TOP, at, member, limit=limit)


async def after(db: Database, at: At, *, position: Position, limit: int, member: UUID | None) -> Reading | None:
    """The first `limit` lines below the position."""
    return await _read(db, _AFTER, at, member, limit=limit, **_placing(position))


async def before(db: Database, at: At, *, position: Position, limit: int, member: UUID | None) -> Reading | None:
    """The last `limit` lines above the position."""
    return await _read(db, _BEFORE, at, member, limit=limit, **_placing(position))


async def around(db: Database, at: At, *, member: UUID, above: int, below: int) -> Reading | None:
    """The member's line with up to so many on either side; no lines when not on the board."""
    return await _read(db, _AROUND, at, member, above=above, below=below)


def _placing(position: Position) -> dict[str, Any]:
    score, reached_at, member = position
    return {"negated": -score, "reached_at": reached_at, "position": member}


async def _read(db: Database, question: Question, at: At, member: UUID | None, **more: Any) -> Reading | None:
    rows = await db.ask(
        question, community=at.community_id, board=at.board_id, kind=at.kind, key=at.key, member=member, **more
    )
    if not rows:
        return None
    (r,) = rows
    board = Board(r.community_id, r.id, r.generation, r.name, r.unit, r.tie_policy, tuple(r.periods), r.created_at)
    # In the order of the board whatever the direction: no two are equal in all three.
    lines = [
        Placed(member_id, name, -negated, reached_at)
        for negated, reached_at, member_id, name in sorted(
            zip(r.negateds, r.reached_ats, r.member_ids, r.names, strict=True)
        )
    ]
    first = Standing(r.first_rank, r.first_tied) if r.first_rank is not None else None
    me = None
    if r.my_rank is not None:
        me = Placed(r.my_member_id, r.my_name, -r.my_negated, r.my_reached_at), Standing(r.my_rank, r.my_tied)
    return Reading(board, r.zone, r.day_start or 0, r.total, lines, first, me)
