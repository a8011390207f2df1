"""SQL that ranks part of a board, or days added up: whoever counts is sorted anew at every reading.

The histogram cannot help there, so a read costs as much as there are members in what it counts (docs/rewards.md has
figures); of members who are named, as much as there are names. It is one statement, and so sees one instant.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Uuid, and_, func, literal, null, or_, select, tuple_, union_all

from kit.database import Tx, given, insert_new, select_among, upsert
from services.rewards.domain.boards import DENSE, ORDINAL, Board
from services.rewards.domain.signal_rows import instant
from services.rewards.store.ranking import Final, Position
from services.rewards.store.shown import SHOWN, is_shown
from services.rewards.tables.boards import board_periods, board_scores, member_labels

GROUP, PLATFORM, SEGMENT = "group", "platform", "segment"
Label = tuple[str, str]
"""(kind, value): a group that members were active in, a platform they are on, a segment they are in."""
_LINE, _ME, _TOTAL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a board that keeps them, both inclusive, added up."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Improvement:
    """By how much members on the period `slot` are above their score in `before`; 0 for who was not on that."""

    slot: UUID
    before: UUID


What = UUID | Days | Improvement


class Ranked(NamedTuple):
    """A line with its rank and its place in the order; `name` is empty for a member not heard of yet."""

    rank: int
    place: int
    score: int
    reached_at: datetime
    member_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one statement saw of part of a board; the lines in its order."""

    total: int
    lines: list[Ranked]
    me: Ranked | None


@dataclass(frozen=True, slots=True)
class Some:
    """Lines asked for: the first, those just below or above a position, or those around `member`."""

    limit: int = 0
    after: Position | None = None
    before: Position | None = None
    above: int | None = None
    below: int = 0


_LABEL = ("community_id", "kind", "value", "member_id")
Since = Mapping[tuple[UUID, Label, UUID], int]
"""(community, label, member) → since when, as `member_labels.negated` has it."""


async def add_labels(tx: Tx, labels: Since) -> None:
    """What is there stays as it is."""
    await insert_new(tx, member_labels, _label_rows(tx, labels), key=_LABEL)


async def put_labels(tx: Tx, labels: Since) -> None:
    """What is there becomes as early as this."""
    await upsert(tx, member_labels, _label_rows(tx, labels), key=_LABEL, update=("negated",), newer="negated")


def _label_rows(tx: Tx, labels: Since) -> list[dict[str, Any]]:
    return [
        {
            "community_id": community_id,
            "kind": kind,
            "value": value,
            "member_id": member_id,
            "negated": negated,
            "noted_at": tx.now,
        }
        for (community_id, (kind, value), member_id), negated in labels.items()
    ]


async def active_since(tx: Tx, people: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], dict[Label, datetime]]:
    """(community, member) → the groups and platforms that they were active in, and since when, of those who ever
    were."""
    t = member_labels
    columns = t.c.community_id, t.c.member_id, t.c.kind, t.c.value, t.c.negated
    out: dict[tuple[UUID, UUID], dict[Label, datetime]] = {}
    by, active = (t.c.community_id, t.c.member_id), t.c.kind != SEGMENT
    for row in await select_among(tx, columns, by, sorted(people), where=active):
        out.setdefault((row.community_id, row.member_id), {})[row.kind, row.value] = instant(-row.negated)
    return out


async def final(tx: Tx, slot: UUID) -> Final:
    t = board_periods.c
    row = await tx.first(select(t.finalized_at, t.hash, t.late_entries).where(t.slot == slot))
    if row is None:
        return Final()
    return Final(row.finalized_at, row.hash.hex() if row.hash is not None else None, row.late_entries)


async def read(
    tx: Tx,
    board: Board,
    what: What,
    labels: Sequence[Label],
    *,
    some: Some,
    member: UUID | None,
    among: Collection[UUID] | None = None,
) -> Part:
    """Lines of a period (its slot), of days or of an improvement, of those members alone who have all of the labels
    and, unless it is None, are `among` these."""
    keys = _keys(tx, board, what, labels, among) if among is not None else None
    ranked = _ranked(board, _scores(board, what, labels, keys))
    mine = select(ranked).where(ranked.c.member_id == member)
    lines = _some(ranked, some, mine.subquery()).subquery()
    nothing = [null().cast(column.type).label(column.name) for column in list(ranked.c)[1:]]
    counted = select(func.count().label("rank"), *nothing).select_from(ranked)
    told = union_all(
        select(literal(_LINE).label("what"), lines),
        select(literal(_ME).label("what"), mine.subquery()),
        select(literal(_TOTAL).label("what"), counted.subquery()),
    ).cte("told")
    known = tx.database.table("known_members")
    same = and_(known.c.community_id == board.community_id, known.c.member_id == told.c.member_id)
    rows = await tx.all(
        select(told, func.coalesce(known.c.display_name, "").label("name"))
        .select_from(told.outerjoin(known, same))
        .order_by(told.c.what, told.c.place)
    )
    found: dict[int, list[Any]] = {_LINE: [], _ME: [], _TOTAL: []}
    for row in rows:
        found[row.what].append(row)
    mine_first = next(map(_line, found[_ME]), None)
    return Part(found[_TOTAL][0].rank, [_line(row) for row in found[_LINE]], mine_first)


def _line(row: Any) -> Ranked:
    return Ranked(row.rank, row.place, -row.negated, row.reached_at, row.member_id, row.name)


def _keys(tx: Tx, board: Board, what: What, labels: Sequence[Label], among: Collection[UUID]) -> Any:
    """Keys of scores: of those of these members who have all of the labels, whether they scored or not.

    Scores and labels are looked up for each. Before it has statistics PostgreSQL takes what a period or a label has to
    be little: it reads all of that and looks for the members in it. So the keys are not merged into what they are
    joined with, and labels are no joins.
    """
    named = given(tx, "named", {"member_id": Uuid()}, [(member_id,) for member_id in sorted(among)])
    of = member_labels
    where = [
        select(of.c.member_id).where(*_has(board, of, label), of.c.member_id == named.c.member_id).scalar_subquery()
        == named.c.member_id
        for label in labels
    ]
    if isinstance(what, Days):
        days = named.join(board_periods, and_(*_days(board, what)))
        keys = select(named.c.member_id, board_periods.c.slot).select_from(days)
    else:
        slots = {"slot": what.slot, "before": what.before} if isinstance(what, Improvement) else {"slot": what}
        keys = select(named.c.member_id, *(literal(slot, Uuid()).label(name) for name, slot in slots.items()))
    return keys.where(*where).cte("keys").prefix_with("MATERIALIZED")


def _scores(board: Board, what: What, labels: Sequence[Label], keys: Any) -> Any:
    """Who counts and with what: who has all of the labels, or the scores with these keys."""
    t = board_scores.c
    if keys is None:
        source, where = _labelled(board, what, labels)
    else:
        source = board_scores.join(keys, and_(t.slot == keys.c.slot, t.member_id == keys.c.member_id))
        where = [is_shown()]
    if isinstance(what, Days):
        reached_at = func.max(t.reached_at, type_=t.reached_at.type)
        # A sum of bigints is a numeric on PostgreSQL.
        negated = func.sum(t.negated).cast(t.negated.type)
        columns = t.member_id, negated.label("negated"), reached_at.label("reached_at")
        return select(*columns).select_from(source).where(*where).group_by(t.member_id).cte("scores")
    counted: Any = t.negated
    if isinstance(what, Improvement):
        before = board_scores.alias("before")
        slot, there = (what.before, before.c.hidden == SHOWN) if keys is None else (keys.c.before, is_shown(before))
        source = source.outerjoin(before, and_(before.c.slot == slot, before.c.member_id == t.member_id, there))
        counted = t.negated - func.coalesce(before.c.negated, 0)
    return select(t.member_id, counted.label("negated"), t.reached_at).select_from(source).where(*where).cte("scores")


def _labelled(board: Board, what: What, labels: Sequence[Label]) -> tuple[Any, list[Any]]:
    """The scores of who has all of the labels: joined, so that a small group's few are looked up by their key."""
    source: Any = board_scores
    where: list[Any] = [is_shown()]
    for number, label in enumerate(labels):
        of = member_labels.alias(f"label_{number}")
        source = source.join(of, of.c.member_id == board_scores.c.member_id)
        where += _has(board, of, label)
    if isinstance(what, Days):
        return source.join(board_periods, board_scores.c.slot == board_periods.c.slot), [*where, *_days(board, what)]
    return source, [*where, board_scores.c.slot == (what.slot if isinstance(what, Improvement) else what)]


def _has(board: Board, of: Any, label: Label) -> list[Any]:
    return [of.c.community_id == board.community_id, of.c.kind == label[0], of.c.value == label[1]]


def _days(board: Board, what: Days) -> list[Any]:
    day = board_periods.c
    return [day.generation == board.generation, day.kind == "day", day.first_day.between(what.first, what.last)]


def _ranked(board: Board, scores: Any) -> Any:
    number = func.row_number(type_=BigInteger())
    rank = {DENSE: func.dense_rank(), ORDINAL: number}.get(board.tie_policy, func.rank())
    order = scores.c.negated, scores.c.reached_at, scores.c.member_id
    by_policy = rank.over(order_by=order if board.tie_policy == ORDINAL else scores.c.negated)
    place = number.over(order_by=order)
    return select(by_policy.label("rank"), place.label("place"), *order).cte("ranked")


def _some(ranked: Any, some: Some, mine: Any) -> Any:
    stmt = select(ranked)
    if some.above is not None:
        place = select(mine.c.place).scalar_subquery()
        return stmt.where(ranked.c.place.between(place - some.above, place + some.below))
    order = [ranked.c.negated, ranked.c.reached_at, ranked.c.member_id]
    for position, below in ((some.after, True), (some.before, False)):
        if position is not None:
            score, reached_at, member_id = position
            # Compared one by one: columns of a CTE have no index that a comparison of rows could use.
            here, there = (
                tuple_(*order[1:]),
                tuple_(literal(reached_at, order[1].type), literal(member_id, order[2].type)),
            )
            tied = and_(order[0] == -score, here > there if below else here < there)
            stmt = stmt.where(or_(order[0] > -score if below else order[0] < -score, tied))
    if some.before is not None:
        return stmt.order_by(ranked.c.place.desc()).limit(some.limit)
    return stmt.order_by(ranked.c.place).limit(some.limit)
