"""How boards count and rank. Scores are whole numbers of either sign.

Members are ordered by (score descending, reached_at ascending, id ascending). Ranks need no counting of rows: an exact
histogram says how many are above a score, see `bucket_of`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from kit.ids import uuid5

COMPETITION, DENSE, ORDINAL = "competition", "dense", "ordinal"
TIE_POLICIES = (COMPETITION, DENSE, ORDINAL)
SUB_BUCKETS = 128


@dataclass(frozen=True, slots=True)
class Board:
    """`generation` tells this board from a deleted one of the same id."""

    community_id: UUID
    id: str
    generation: UUID
    name: str
    unit: str
    tie_policy: str
    periods: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """One period of one board; `first_day` and `last_day` inclusive."""

    id: UUID
    board: Board
    kind: str
    key: str
    first_day: date
    last_day: date


class Contribution(NamedTuple):
    """What one entry adds to a score. `taken_back` marks a reversal: its original's `reached_at` no longer holds.
    `event_id` is the activity it came of, if one."""

    community_id: UUID
    member_id: UUID
    unit: str
    amount: int
    effective_at: datetime
    day: date
    taken_back: bool = False
    history: bool = False
    event_id: UUID | None = None


@lru_cache(maxsize=4096)
def slot_id(generation: UUID, kind: str, key: str) -> UUID:
    """The id of a period of a board's generation; anybody computes the same."""
    return uuid5(generation, f"{kind} {key}")


def days_of(kind: str, day: date) -> tuple[date, date]:
    """First and last day of the calendar period of `kind` around `day`, both inclusive."""
    if kind == "all":
        return date.min, date.max
    if kind == "day":
        return day, day
    if kind == "week":
        monday = date.fromordinal(day.toordinal() - day.weekday())
        return monday, date.fromordinal(monday.toordinal() + 6)
    first = day.replace(day=1)
    after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return first, date.fromordinal(after.toordinal() - 1)


def key_of(kind: str, day: date) -> str:
    """How the period around `day` is written: 2026-11-23, 2026-W48, 2026-11, all."""
    if kind == "all":
        return "all"
    if kind == "day":
        return day.isoformat()
    if kind == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    return f"{day.year:04d}-{day.month:02d}"


def slots_of(board: Board, day: date) -> list[Slot]:
    """The periods of a board that an entry of this day counts for."""
    out = []
    for kind in board.periods:
        key = key_of(kind, day)
        out.append(Slot(slot_id(board.generation, kind, key), board, kind, key, *days_of(kind, day)))
    return out


def bucket_of(score: int) -> int:
    """The histogram bucket of a score: monotone, exact below 2·SUB_BUCKETS, then SUB_BUCKETS to each doubling.

    So a board has some thousand buckets at the very most, whatever its scores, and counting those above a member
    reads the buckets above and the scores inside one bucket.
    """
    if score < 0:
        return -bucket_of(-score)
    octave = max(0, score.bit_length() - SUB_BUCKETS.bit_length())
    return octave * SUB_BUCKETS + (score >> octave)


class Moved(NamedTuple):
    """A member's score in a slot before and after; None: not on the board."""

    slot: UUID
    before: int | None
    after: int | None


def histogram_changes(moves: Iterable[Moved]) -> dict[tuple[UUID, int, int], int]:
    """(slot, bucket, score) → by how many its members change; without zeros."""
    out: dict[tuple[UUID, int, int], int] = {}
    for move in moves:
        if move.before == move.after:
            continue
        for score, step in ((move.before, -1), (move.after, 1)):
            if score is not None:
                at = (move.slot, bucket_of(score), score)
                out[at] = out.get(at, 0) + step
    return {at: step for at, step in out.items() if step}


def bucket_changes(
    steps: Mapping[tuple[UUID, int, int], int], members_after: Mapping[tuple[UUID, int, int], int]
) -> dict[tuple[UUID, int], tuple[int, int]]:
    """(slot, bucket) → (by how many its members change, by how many its distinct scores change)."""
    out: dict[tuple[UUID, int], tuple[int, int]] = {}
    for at, step in steps.items():
        after = members_after[at]
        came = after > 0 and after == step
        went = after == 0
        members, scores = out.get(at[:2], (0, 0))
        out[at[:2]] = members + step, scores + (1 if came else -1 if went else 0)
    return {at: change for at, change in out.items() if change != (0, 0)}


def ranks(policy: str, first: int, first_tied: int | None, scores: Sequence[int]) -> list[int]:
    """The ranks of consecutive members of a board with these scores, from the rank of the first of them.

    `first_tied` is how many members have the first one's score, those before the page included; None when none is
    before it. Every later group begins on the page, so its own members tell its size.
    """
    out: list[int] = []
    rank, group_size, groups = first, 0, 1
    for position, score in enumerate(scores):
        if policy == ORDINAL:
            out.append(first + position)
            continue
        if position and score != scores[position - 1]:
            rank += 1 if policy == DENSE else (first_tied if groups == 1 and first_tied is not None else group_size)
            group_size, groups = 0, groups + 1
        group_size += 1
        out.append(rank)
    return out
