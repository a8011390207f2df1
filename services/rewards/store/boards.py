"""SQL that keeps boards: their periods, scores and the histogram. `store.ranking` reads them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Date, String, Uuid, and_, case, delete, func, select, update
from sqlalchemy.types import TypeEngine

from kit.database import Tx, UtcDateTime, add_up, delete_among, given, insert_new, select_among, upsert
from services.rewards.domain.boards import Board, Prize, Slot, bucket_of
from services.rewards.domain.decay import Decay
from services.rewards.domain.leagues import League, Terms
from services.rewards.domain.seasons import Season
from services.rewards.store.shown import ORDER, SHOWN, on_board
from services.rewards.tables.boards import (
    board_buckets,
    board_leaders,
    board_periods,
    board_scores,
    board_tallies,
    boards,
)
from services.rewards.tables.ledger import entries

_DAY = timedelta(days=1)
Key = tuple[UUID, UUID]
"""(slot, member)"""


class Score(NamedTuple):
    """`hidden` as in `store.shown`."""

    score: int
    reached_at: datetime
    hidden: int = SHOWN


def to_board(row: Any) -> Board:
    return Board(
        row.community_id, row.id, row.generation, row.name, row.unit, row.tie_policy, tuple(row.periods),
        row.created_at, row.since, row.late_grace_hours, tuple(map(_to_season, row.seasons)),
        tuple([Prize(**told) for told in row.prizes]), tuple(row.excluded_segments), tuple(map(_to_terms, row.leagues)),
        Decay(row.decay_percent, row.decay_day) if row.decay_percent is not None else None,
    )  # fmt: skip


def _to_season(told: Mapping[str, str]) -> Season:
    return Season(told["key"], date.fromisoformat(told["first_day"]), date.fromisoformat(told["last_day"]))


def _season(one: Season) -> dict[str, str]:
    return {"key": one.key, "first_day": one.first_day.isoformat(), "last_day": one.last_day.isoformat()}


def _to_terms(told: Mapping[str, Any]) -> Terms:
    league = told["league"]
    if league is not None:
        lists = {name: tuple(league[name]) for name in ("tiers", "promote", "demote")}
        league = League(**{**league, **lists})
    return Terms(date.fromisoformat(told["since"]), league)


def _terms(one: Terms) -> dict[str, Any]:
    return {"since": one.since.isoformat(), "league": asdict(one.league) if one.league is not None else None}


async def boards_on(tx: Tx, units: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], list[Board]]:
    """(community, unit) → the boards that count it."""
    out: dict[tuple[UUID, str], list[Board]] = {}
    for row in await select_among(tx, boards, (boards.c.community_id, boards.c.unit), list(units)):
        out.setdefault((row.community_id, row.unit), []).append(to_board(row))
    return out


async def boards_of(tx: Tx, community_id: UUID) -> list[Board]:
    stmt = select(boards).where(boards.c.community_id == community_id).order_by(boards.c.created_at, boards.c.id)
    return [to_board(row) for row in await tx.all(stmt)]


async def board(tx: Tx, community_id: UUID, board_id: str) -> Board | None:
    row = await tx.first(select(boards).where(boards.c.community_id == community_id, boards.c.id == board_id))
    return None if row is None else to_board(row)


async def add_boards(tx: Tx, new: Iterable[Board]) -> set[tuple[UUID, str]]:
    """Record the boards whose (community, id) is new; returns those keys."""
    rows = [
        {
            "community_id": b.community_id,
            "id": b.id,
            "generation": b.generation,
            "name": b.name,
            "unit": b.unit,
            "tie_policy": b.tie_policy,
            "periods": list(b.periods),
            "seasons": [_season(one) for one in b.seasons],
            "prizes": [asdict(one) for one in b.prizes],
            "excluded_segments": list(b.excluded_segments),
            "leagues": [_terms(one) for one in b.leagues],
            "late_grace_hours": b.late_grace_hours,
            "since": b.since,
            "created_at": b.created_at,
        }
        for b in new
    ]
    return {(c, b) for c, b in await insert_new(tx, boards, rows, key=("community_id", "id"))}


async def set_seasons(tx: Tx, board: Board) -> None:
    seasons = [_season(one) for one in board.seasons]
    await tx.execute(update(boards).where(boards.c.generation == board.generation).values(seasons=seasons))


async def set_prizes(tx: Tx, board: Board) -> None:
    prizes = [asdict(one) for one in board.prizes]
    await tx.execute(update(boards).where(boards.c.generation == board.generation).values(prizes=prizes))


async def set_excluded_segments(tx: Tx, board: Board) -> None:
    segments = list(board.excluded_segments)
    await tx.execute(update(boards).where(boards.c.generation == board.generation).values(excluded_segments=segments))


async def set_leagues(tx: Tx, board: Board) -> None:
    terms = [_terms(one) for one in board.leagues]
    await tx.execute(update(boards).where(boards.c.generation == board.generation).values(leagues=terms))


async def remove_board(tx: Tx, found: Board) -> None:
    await tx.execute(delete(boards).where(boards.c.generation == found.generation))


async def add_periods(tx: Tx, slots: Iterable[Slot]) -> None:
    rows = [
        {
            "slot": s.id,
            "generation": s.board.generation,
            "kind": s.kind,
            "key": s.key,
            "first_day": s.first_day,
            "last_day": s.last_day,
            "due_at": s.due(),
        }
        for s in slots
    ]
    await insert_new(tx, board_periods, rows, key=("slot",))


async def closed(tx: Tx, slots: Sequence[UUID]) -> set[UUID]:
    """Those of the periods whose scores change no more."""
    t = board_periods.c
    rows = await select_among(tx, [t.slot, t.closed_at], t.slot, slots)
    return {row.slot for row in rows if row.closed_at is not None}


async def count_late(tx: Tx, entries_of: Mapping[UUID, int]) -> None:
    """So many entries came after their period was closed (slot → how many)."""
    t = board_periods.c
    change = case(*((t.slot == slot, count) for slot, count in entries_of.items()))
    stmt = update(board_periods).where(t.slot.in_(sorted(entries_of)))
    await tx.execute(stmt.values(late_entries=t.late_entries + change))


async def scores(tx: Tx, keys: Sequence[Key]) -> dict[Key, Score]:
    """Present scores. No lock: whoever changes a member's score holds the member's account."""
    by = board_scores.c.slot, board_scores.c.member_id
    wanted = [*by, board_scores.c.negated, board_scores.c.reached_at, board_scores.c.hidden]
    rows = await select_among(tx, wanted, by, keys)
    return {(r.slot, r.member_id): Score(-r.negated, r.reached_at, r.hidden) for r in rows}


async def reached(tx: Tx, keys: Collection[Key], slots: Mapping[UUID, Slot]) -> dict[Key, datetime]:
    """When members reached their scores, from the entries: the latest that was not taken back in full. Keys without
    any such entry are left out. Of each account only what is later than that is read, back from the period's end."""
    rows = [(slot, member, *_limits(slots[slot])) for slot, member in sorted(keys)]
    wanted = given(tx, "wanted", _WANTED, rows)
    at, t = entries.c.effective_at, wanted.c
    account = entries.c.owner_id == t.member, entries.c.unit == t.unit, entries.c.community_id == t.community
    period = at >= t.since, at < t.until, entries.c.day.between(t.first, t.last)
    latest = select(at).where(*account, *period, contributes).order_by(at.desc()).limit(1).scalar_subquery()
    found = await tx.all(select(t.slot, t.member, latest.label("latest")))
    return {(row.slot, row.member): row.latest for row in found if row.latest is not None}


_WANTED: dict[str, TypeEngine[Any]] = {
    "slot": Uuid(), "member": Uuid(), "community": Uuid(), "unit": String(), "first": Date(), "last": Date(),
    "since": UtcDateTime(), "until": UtcDateTime(),
}  # fmt: skip


def _limits(slot: Slot) -> tuple[UUID, str, date, date, datetime, datetime]:
    """What a slot counts: community, unit, days, and instants between which these days are wherever one is. (Which day
    an entry counts for is not in the index.)"""
    first, last = max(slot.first_day, date.min + 2 * _DAY), min(slot.last_day, date.max - 4 * _DAY)
    since, until = (datetime.combine(day, time(), UTC) for day in (first - 2 * _DAY, last + 4 * _DAY))
    return slot.board.community_id, slot.board.unit, slot.first_day, slot.last_day, since, until


contributes = and_(entries.c.scored == 1, func.abs(entries.c.amount) > entries.c.reversed)


async def put_scores(tx: Tx, changed: Mapping[Key, Score]) -> None:
    rows = [
        {
            "slot": slot,
            "member_id": member,
            "negated": -new.score,
            "reached_at": new.reached_at,
            "bucket": bucket_of(new.score),
            "hidden": new.hidden,
        }
        for (slot, member), new in changed.items()
    ]
    columns = "negated", "reached_at", "bucket", "hidden"
    await upsert(tx, board_scores, rows, key=("slot", "member_id"), update=columns)


async def remove_scores(tx: Tx, keys: Sequence[Key]) -> None:
    """Take members off slots."""
    await delete_among(tx, board_scores, (board_scores.c.slot, board_scores.c.member_id), keys)


async def count_tallies(tx: Tx, steps: Mapping[tuple[UUID, int, int], int]) -> dict[tuple[UUID, int, int], int]:
    """Change how many members have a score; (slot, bucket, score) → members afterwards. Those at 0 are removed."""
    rows = [{"slot": s, "bucket": b, "score": n, "members": step} for (s, b, n), step in steps.items()]
    key = ("slot", "bucket", "score")
    changed = await add_up(tx, board_tallies, rows, key=key, add=("members",), returning=(*key, "members"))
    after = {(s, b, n): members for s, b, n, members in changed}
    gone = [at for at, members in after.items() if members == 0]
    await delete_among(tx, board_tallies, [board_tallies.c[name] for name in key], gone)
    return after


async def count_buckets(tx: Tx, changes: Mapping[tuple[UUID, int], tuple[int, int]]) -> None:
    rows = [{"slot": s, "bucket": b, "members": m, "scores": n} for (s, b), (m, n) in changes.items()]
    await add_up(tx, board_buckets, rows, key=("slot", "bucket"), add=("members", "scores"))


async def first_of(tx: Tx, slots: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who is first in each of the slots; slots without anybody are left out."""
    mine = on_board(board_periods.c.slot)
    first = select(board_scores.c.member_id).where(mine).order_by(*ORDER).limit(1).scalar_subquery()
    rows = await select_among(tx, [board_periods.c.slot, first.label("member_id")], board_periods.c.slot, slots)
    return {row.slot: row.member_id for row in rows if row.member_id is not None}


async def add_leaders(tx: Tx, leaders: Mapping[UUID, UUID]) -> set[Key]:
    """Note who leads (slot → member); returns those who never led that slot before."""
    rows = [{"slot": slot, "member_id": member, "led_at": tx.now} for slot, member in leaders.items()]
    return {(s, m) for s, m in await insert_new(tx, board_leaders, rows, key=("slot", "member_id"))}
