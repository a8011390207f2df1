"""SQL of leagues: seats in divisions, the tiers members are in, and what a period came to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, func, select, update

from kit.database import Tx, add_up, insert_new, select_among, upsert
from services.rewards.domain.boards import Slot
from services.rewards.store.boards import Key, to_board
from services.rewards.store.shown import ABSENT, ORDER, is_shown
from services.rewards.tables.boards import board_periods, board_scores, boards
from services.rewards.tables.leagues import league_periods, league_seats, league_tallies, league_tiers

_seats, _periods, _scores = league_seats.c, league_periods.c, board_scores.c
_waiting = and_(_seats.number.is_(None), _seats.tier_after.is_(None))
_playing = and_(_seats.number.is_not(None), _seats.tier_after.is_(None))
_scored = and_(_scores.slot == _seats.slot, _scores.member_id == _seats.member_id)


class Seat(NamedTuple):
    """A place among the people of a tier in a period; `number` counts from 0, None for who did not play."""

    slot: UUID
    member_id: UUID
    first_at: datetime
    tier: int
    number: int | None
    tier_after: int | None = None


class Playing(NamedTuple):
    """A seat with what its member came to; `score` is None for who is not on the board."""

    seat: Seat
    score: int | None
    reached_at: datetime | None


async def open_periods(tx: Tx, slots: Collection[Slot]) -> None:
    rows = [{"slot": s.id, "generation": s.board.generation, "first_day": s.first_day} for s in slots]
    await insert_new(tx, league_periods, rows, key=("slot",))


async def add_waiting(tx: Tx, first: Mapping[Key, datetime]) -> None:
    """These members wait for a place, since their first score; who has one, or waits already, stays as they are."""
    rows = [{"slot": slot, "member_id": member, "first_at": at} for (slot, member), at in first.items()]
    await insert_new(tx, league_seats, rows, key=("slot", "member_id"))


async def waiting(tx: Tx, slots: Collection[UUID], *, drawn: bool, limit: int | None = None) -> list[Any]:
    """Who is on the board of these periods, `drawn` or not, and has no place yet: (slot, member, first_at), who scored
    first before the others."""
    joined = league_seats.join(league_periods, _periods.slot == _seats.slot).join(board_scores, _scored)
    stmt = select(_seats.slot, _seats.member_id, _seats.first_at).select_from(joined)
    when = _periods.drawn_at.is_not(None) if drawn else _periods.drawn_at.is_(None)
    stmt = stmt.where(_seats.slot.in_(sorted(slots)), _waiting, when, is_shown())
    return await tx.all(stmt.order_by(_seats.first_at, _seats.member_id).limit(limit))


async def tiers(tx: Tx, members: Collection[Key]) -> dict[Key, int]:
    """(generation, member) → the tier they play in next; who never played is left out."""
    t = league_tiers.c
    rows = await select_among(tx, league_tiers, (t.generation, t.member_id), sorted(members))
    return {(row.generation, row.member_id): row.tier for row in rows}


async def put_tiers(tx: Tx, changes: Mapping[Key, int]) -> None:
    rows = [{"generation": g, "member_id": member, "tier": tier} for (g, member), tier in changes.items()]
    await upsert(tx, league_tiers, rows, key=("generation", "member_id"), update=("tier",))


async def number(tx: Tx, people: Mapping[tuple[UUID, int], int]) -> dict[tuple[UUID, int], int]:
    """Count so many more people of tiers, (slot, tier) → how many, and hold those rows; how many there were before."""
    rows = [{"slot": slot, "tier": tier, "members": count} for (slot, tier), count in people.items()]
    key = "slot", "tier"
    after = await add_up(tx, league_tallies, rows, key=key, add=("members",), returning=(*key, "members"))
    return {(slot, tier): members - people[slot, tier] for slot, tier, members in after}


async def put_seats(tx: Tx, seats: Sequence[Seat]) -> None:
    rows = [seat._asdict() for seat in seats]
    await upsert(tx, league_seats, rows, key=("slot", "member_id"), update=("tier", "number", "tier_after"))


# Periods, one after the other


class Period(NamedTuple):
    """`finalized` is whether the board's period is."""

    slot: Slot
    drawn: bool
    finalized: bool
    after_member: UUID | None


async def open_ones(tx: Tx, *, after: UUID, limit: int) -> list[Period]:
    """Of each board's league the earliest period that is not settled, in the order of their ids, behind `after`."""
    earlier = league_periods.alias()
    first = ~exists().where(
        earlier.c.generation == _periods.generation,
        earlier.c.first_day < _periods.first_day,
        earlier.c.settled_at.is_(None),
    )
    stmt = _open().where(_periods.slot > after, first).order_by(_periods.slot).limit(limit)
    return [_period(row) for row in await tx.all(stmt)]


async def open_one(tx: Tx, slot: UUID) -> Period | None:
    """None where it is settled, or its board gone."""
    row = await tx.first(_open().where(_periods.slot == slot))
    return _period(row) if row is not None else None


def _open() -> Any:
    t = board_periods.c
    joined = league_periods.join(board_periods, t.slot == _periods.slot)
    joined = joined.join(boards, boards.c.generation == _periods.generation)
    period = t.slot, t.kind, t.key, t.first_day, t.last_day, t.finalized_at, _periods.drawn_at, _periods.after_member
    return select(boards, *period).select_from(joined).where(_periods.settled_at.is_(None))


def _period(row: Any) -> Period:
    slot = Slot(row.slot, to_board(row), row.kind, row.key, row.first_day, row.last_day)
    return Period(slot, row.drawn_at is not None, row.finalized_at is not None, row.after_member)


async def last_drawn(tx: Tx, generation: UUID) -> date:
    """When the latest period begins that has divisions; the first of all days where none has."""
    where = _periods.generation == generation, _periods.drawn_at.is_not(None)
    return await tx.scalar(select(func.max(_periods.first_day)).where(*where)) or date.min


async def set_period(tx: Tx, slot: UUID, **values: Any) -> None:
    await tx.execute(update(league_periods).where(_periods.slot == slot).values(**values))


async def playing(tx: Tx, slot: UUID, *, limit: int) -> list[Playing]:
    """Seats of which it is not known yet where they lead, division by division, with what was on the board when the
    period was closed."""
    on_it = and_(_scored, _scores.hidden != ABSENT)
    stmt = select(league_seats, _scores.negated, _scores.reached_at).select_from(
        league_seats.outerjoin(board_scores, on_it)
    )
    rows = await tx.all(stmt.where(_seats.slot == slot, _playing).order_by(_seats.tier, _seats.number).limit(limit))
    return [
        Playing(
            Seat(r.slot, r.member_id, r.first_at, r.tier, r.number),
            -r.negated if r.negated is not None else None,
            r.reached_at,
        )
        for r in rows
    ]


async def above_lowest(tx: Tx, slot: Slot, *, after: UUID, limit: int) -> list[Any]:
    """(member, tier, `seated` in the period or not) of who is above the lowest tier, in the order of the ids."""
    t = league_tiers.c
    where = t.generation == slot.board.generation, t.member_id > after, t.tier > 0
    # The page first: joined with the seats at once, all that follow it would be looked up there and sorted.
    page = select(t.member_id, t.tier).where(*where).order_by(t.member_id).limit(limit).subquery()
    there = exists().where(_seats.slot == slot.id, _seats.member_id == page.c.member_id).label("seated")
    return await tx.all(select(page, there).order_by(page.c.member_id))


# Reading


class State(NamedTuple):
    drawn_at: datetime | None
    settled_at: datetime | None


async def state(tx: Tx, slot: UUID) -> State:
    row = await tx.first(select(_periods.drawn_at, _periods.settled_at).where(_periods.slot == slot))
    return State(row.drawn_at, row.settled_at) if row is not None else State(None, None)


async def seat(tx: Tx, slot: UUID, member: UUID) -> Any:
    """The seat's row; None for who has none. Its tier is null while the member waits."""
    return await tx.first(select(league_seats).where(_seats.slot == slot, _seats.member_id == member))


class Line(NamedTuple):
    """`name` is empty for a member not heard of yet."""

    member_id: UUID
    name: str
    score: int
    reached_at: datetime
    tier_after: int | None


async def lines(tx: Tx, slot: Slot, tier: int, numbers: range) -> list[Line]:
    """Who is shown of the people with these numbers, in the order of the board."""
    known = tx.database.table("known_members")
    same = and_(known.c.community_id == slot.board.community_id, known.c.member_id == _seats.member_id)
    name = func.coalesce(known.c.display_name, "").label("name")
    stmt = select(_seats.member_id, name, _scores.negated, _scores.reached_at, _seats.tier_after)
    stmt = stmt.select_from(league_seats.join(board_scores, _scored).outerjoin(known, same))
    these = _seats.number.between(numbers.start, numbers.stop - 1)
    rows = await tx.all(stmt.where(_seats.slot == slot.id, _seats.tier == tier, these, is_shown()).order_by(*ORDER))
    return [Line(r.member_id, r.name, -r.negated, r.reached_at, r.tier_after) for r in rows]


async def divisions(tx: Tx, slot: UUID, size: int) -> list[tuple[int, int, int]]:
    """(tier, division from 0, how many are shown), of each division; reads all seats of the period."""
    division = (_seats.number // size).label("division")
    stmt = select(_seats.tier, division, func.count().label("members"))
    stmt = stmt.select_from(league_seats.join(board_scores, _scored))
    stmt = stmt.where(_seats.slot == slot, _seats.number.is_not(None), is_shown())
    rows = await tx.all(stmt.group_by(_seats.tier, division).order_by(_seats.tier, division))
    return [(row.tier, row.division, row.members) for row in rows]
