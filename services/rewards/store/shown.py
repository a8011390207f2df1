"""Who is shown on boards. Every statement that reads lines of a board names them by `on_board`, and the histogram
counts nobody else: who is hidden is on no page, near nobody, in no total, and no leader.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, and_, delete, or_, select

from kit.database import Tx, insert_new, select_among
from services.rewards.tables.boards import board_absences, board_periods, board_scores, boards

SHOWN, ABSENT, GONE = 0, 1, 2
"""`ABSENT` counts, and is not shown. `GONE` left a period that was closed: its hash is of these lines too."""

ORDER = board_scores.c.negated, board_scores.c.reached_at, board_scores.c.member_id
EVERY_BOARD = ""
BY_MEMBER, BY_OPERATOR, BY_KIND, BY_SEGMENT = "member", "operator", "kind", "segment"
Absent = tuple[UUID, UUID, str]
"""(community, member, board or EVERY_BOARD)"""


def on_board(slot: Any) -> ColumnElement[bool]:
    """The scores that are shown of a period."""
    return and_(board_scores.c.slot == slot, board_scores.c.hidden == SHOWN)


def is_shown(scores: FromClause = board_scores) -> ColumnElement[bool]:
    """The same for who looks scores up by slot and member. A column alone would invite PostgreSQL, before it has
    statistics, to read a whole period by its order for each of them (3 s for a thousand of 20,000)."""
    return scores.c.hidden + 0 == SHOWN


def is_absent(community_id: Any, member_id: Any, board_id: Any) -> ColumnElement[bool]:
    """The absences that keep a member off a board."""
    t = board_absences.c
    this = or_(t.board_id == board_id, t.board_id == EVERY_BOARD)
    return and_(t.community_id == community_id, t.member_id == member_id, this)


async def absent(tx: Tx, members: Iterable[tuple[UUID, UUID]]) -> set[Absent]:
    """Which boards these (community, member) are not on."""
    t = board_absences.c
    rows = await select_among(
        tx, [t.community_id, t.member_id, t.board_id], (t.community_id, t.member_id), sorted(set(members))
    )
    return {tuple(row) for row in rows}


async def absent_by(tx: Tx, members: Iterable[tuple[UUID, UUID]], by: str) -> set[Absent]:
    """Which boards these (community, member) are not on because of `by`."""
    t = board_absences.c
    columns = t.community_id, t.member_id, t.board_id, t.by
    rows = await select_among(tx, columns, (t.community_id, t.member_id), sorted(set(members)))
    return {(r.community_id, r.member_id, r.board_id) for r in rows if r.by == by}


@dataclass(frozen=True, slots=True)
class Absence:
    community_id: UUID
    member_id: UUID
    board_id: str
    by: str
    reason: str
    actor: str
    created_at: datetime


async def absences(
    tx: Tx, community_id: UUID, *, member_id: UUID | None = None, board_id: str | None = None
) -> list[Absence]:
    """Those of a member, or those of a board alone, by member."""
    t = board_absences.c
    stmt = select(board_absences).where(t.community_id == community_id)
    if member_id is not None:
        stmt = stmt.where(t.member_id == member_id)
    if board_id is not None:
        stmt = stmt.where(t.board_id == board_id)
    return [Absence(*tuple(row)) for row in await tx.all(stmt.order_by(t.member_id, t.board_id, t.by))]


async def add_absences(tx: Tx, new: Iterable[Absence]) -> None:
    """Those that are there already stay as they are."""
    rows = [{name: getattr(one, name) for name in Absence.__dataclass_fields__} for one in new]
    await insert_new(tx, board_absences, rows, key=("community_id", "member_id", "board_id", "by"))


async def remove_absences(tx: Tx, community_id: UUID, members: Sequence[UUID], board_id: str, by: str) -> None:
    t = board_absences.c
    same = t.community_id == community_id, t.member_id.in_(sorted(members)), t.board_id == board_id, t.by == by
    await tx.execute(delete(board_absences).where(*same))


async def remove_absences_from(tx: Tx, community_id: UUID, board_id: str) -> None:
    """A board is gone: nobody is kept off it any more."""
    t = board_absences.c
    await tx.execute(delete(board_absences).where(t.community_id == community_id, t.board_id == board_id))


class Standing(NamedTuple):
    """A score of a member in one period of a board."""

    board_id: str
    slot: UUID
    member_id: UUID
    score: int
    reached_at: datetime
    hidden: int
    closed: bool
    kind: str
    first_day: date


async def standings(tx: Tx, community_id: UUID, members: Sequence[UUID]) -> list[Standing]:
    """Every score of these members on any of the community's boards."""
    t = board_scores.c
    joined = boards.join(board_periods, board_periods.c.generation == boards.c.generation).join(
        board_scores, t.slot == board_periods.c.slot
    )
    period = board_periods.c.closed_at, board_periods.c.kind, board_periods.c.first_day
    columns = boards.c.id, t.slot, t.member_id, t.negated, t.reached_at, t.hidden, *period
    where = boards.c.community_id == community_id, t.member_id.in_(sorted(members))
    rows = await tx.all(select(*columns).select_from(joined).where(*where))
    return [
        Standing(
            r.id, r.slot, r.member_id, -r.negated, r.reached_at, r.hidden, r.closed_at is not None, r.kind, r.first_day
        )
        for r in rows
    ]
