"""SQL that reads boards: pages in either direction, and where members stand, without counting rows.

A rank is made of the buckets above the member's and of the tallies inside it: as many rows as there are buckets,
whatever the number of members. Only `ordinal` also counts, among those who tie, the ones who came earlier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, literal, select, tuple_

from kit.database import Tx
from services.rewards.domain.boards import DENSE, ORDINAL, Standing
from services.rewards.tables.boards import board_buckets, board_scores, board_tallies

Position = tuple[int, datetime, UUID]
"""(score, reached_at, member): a place in the order of a board, whether anybody stands there or not."""

_order = board_scores.c.negated, board_scores.c.reached_at, board_scores.c.member_id


@dataclass(frozen=True, slots=True)
class Placed:
    """A line of a board without its rank."""

    member_id: UUID
    score: int
    reached_at: datetime


async def rows_after(tx: Tx, slot: UUID, position: Position | None, limit: int) -> list[Placed]:
    """The first `limit` below the position (None: of the board), best first."""
    stmt = _rows(slot).order_by(*_order).limit(limit)
    if position is not None:
        stmt = stmt.where(tuple_(*_order) > _at(position))
    return [Placed(r.member_id, -r.negated, r.reached_at) for r in await tx.all(stmt)]


async def rows_before(tx: Tx, slot: UUID, position: Position, limit: int) -> list[Placed]:
    """The last `limit` above the position, best first."""
    stmt = _rows(slot).where(tuple_(*_order) < _at(position))
    stmt = stmt.order_by(*(column.desc() for column in _order)).limit(limit)
    return [Placed(r.member_id, -r.negated, r.reached_at) for r in reversed(await tx.all(stmt))]


def _rows(slot: UUID) -> Any:
    return select(*_order).where(board_scores.c.slot == slot)


def _at(position: Position) -> Any:
    score, reached_at, member = position
    values = -score, reached_at, member
    return tuple_(*(literal(v, c.type) for v, c in zip(values, _order, strict=True)))


async def standings(tx: Tx, slot: UUID, members: Sequence[UUID], policy: str) -> dict[UUID, Standing]:
    """Where these few members stand; those not on the board are left out."""
    above = _above(policy)
    tied = (
        select(board_tallies.c.members)
        .where(
            board_tallies.c.slot == board_scores.c.slot,
            board_tallies.c.bucket == board_scores.c.bucket,
            board_tallies.c.score == -board_scores.c.negated,
        )
        .scalar_subquery()
    )
    stmt = select(*_order, (above + 1).label("rank"), tied.label("tied"))
    stmt = stmt.where(board_scores.c.slot == slot, board_scores.c.member_id.in_(members))
    return {
        r.member_id: Standing(r.member_id, -r.negated, r.reached_at, int(r.rank), int(r.tied))
        for r in await tx.all(stmt)
    }


def _above(policy: str) -> Any:
    """How many count as better than a row of `board_scores`, as an expression."""
    in_buckets = board_buckets.c.scores if policy == DENSE else board_buckets.c.members
    in_bucket = func.count() if policy == DENSE else func.coalesce(func.sum(board_tallies.c.members), 0)
    buckets = (
        select(func.coalesce(func.sum(in_buckets), 0))
        .where(board_buckets.c.slot == board_scores.c.slot, board_buckets.c.bucket > board_scores.c.bucket)
        .scalar_subquery()
    )
    tallies = (
        select(in_bucket)
        .select_from(board_tallies)
        .where(
            board_tallies.c.slot == board_scores.c.slot,
            board_tallies.c.bucket == board_scores.c.bucket,
            board_tallies.c.score > -board_scores.c.negated,
        )
        .scalar_subquery()
    )
    if policy != ORDINAL:
        return buckets + tallies
    other = board_scores.alias("other")
    earlier = (
        select(func.count())
        .select_from(other)
        .where(
            and_(other.c.slot == board_scores.c.slot, other.c.negated == board_scores.c.negated),
            tuple_(other.c.reached_at, other.c.member_id) < tuple_(board_scores.c.reached_at, board_scores.c.member_id),
        )
        .scalar_subquery()
    )
    return buckets + tallies + earlier


async def total(tx: Tx, slot: UUID) -> int:
    """How many are on the board."""
    stmt = select(func.coalesce(func.sum(board_buckets.c.members), 0)).where(board_buckets.c.slot == slot)
    return int(await tx.scalar(stmt))
