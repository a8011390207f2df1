"""How boards count and rank. Scores are whole numbers of either sign.

Members are ordered by (score descending, reached_at ascending, id ascending). Ranks need no counting of rows: an exact
histogram says how many are above a score, see `bucket_of`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from kit.ids import uuid5
from services.rewards.domain.decay import DECAY, Decay
from services.rewards.domain.leagues import League, Terms, league_in
from services.rewards.domain.seasons import SEASON, Season, season_on

COMPETITION, DENSE, ORDINAL = "competition", "dense", "ordinal"
TIE_POLICIES = (COMPETITION, DENSE, ORDINAL)
SUB_BUCKETS = 128
ALL = "all"
LATE_GRACE_HOURS = 48
"""As long as rules take late events, unless they say otherwise."""

LAST_DAY = date(9998, 12, 31)
"""What is counted for later days is so by mistake, and never over."""

EARLIEST_END = timedelta(hours=-14)
"""No day ends earlier than so long before it does in UTC."""


@dataclass(frozen=True, slots=True)
class Prize:
    """`amount` of `unit` for each whose rank is among these, both inclusive, when a period of this kind is final."""

    period: str
    rank_from: int
    rank_to: int
    unit: str
    amount: int


@dataclass(frozen=True, slots=True)
class Board:
    """`generation` tells this board from a deleted one of the same id.

    Periods that end on `since` or later are finalised, `late_grace_hours` after their end. `seasons` do not overlap.
    Who is in one of `excluded_segments` is not on it. `leagues` are the terms of its league, the latest last;
    with `decay` it has scores that decay as well.
    """

    community_id: UUID
    id: str
    generation: UUID
    name: str
    unit: str
    tie_policy: str
    periods: tuple[str, ...]
    created_at: datetime
    since: date = date.min
    late_grace_hours: int = LATE_GRACE_HOURS
    seasons: tuple[Season, ...] = ()
    prizes: tuple[Prize, ...] = ()
    excluded_segments: tuple[str, ...] = ()
    leagues: tuple[Terms, ...] = ()
    decay: Decay | None = None

    @property
    def league(self) -> League | None:
        """What is played from `league_since` on, if no other terms come."""
        return self.leagues[-1].league if self.leagues else None

    @property
    def league_since(self) -> date | None:
        return self.leagues[-1].since if self.leagues else None

    def season_on(self, day: date) -> Season | None:
        return season_on(self.seasons, day)


@dataclass(frozen=True, slots=True)
class Slot:
    """One period of one board; `first_day` and `last_day` inclusive."""

    id: UUID
    board: Board
    kind: str
    key: str
    first_day: date
    last_day: date

    @property
    def league(self) -> League | None:
        """The league that is played in it; None: there is none."""
        return league_in(self.board.leagues, self.kind, self.first_day)

    def due(self) -> datetime | None:
        """When it may be over, its late grace too, at the earliest; None for one that is never finalised."""
        if self.kind == ALL or self.kind.startswith(DECAY) or not self.board.since <= self.last_day < LAST_DAY:
            return None
        midnight = datetime.combine(self.last_day, time(), tzinfo=UTC) + timedelta(days=1)
        return midnight + EARLIEST_END + timedelta(hours=self.board.late_grace_hours)

    def may_be_closed(self, now: datetime) -> bool:
        """False where it is certain that it is not finalised yet."""
        due = self.due()
        return due is not None and due <= now


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
    if kind == ALL:
        return date.min, date.max
    if kind == "day":
        return day, day
    if kind == "week":
        monday = date.fromordinal(day.toordinal() - day.weekday())
        return monday, date.fromordinal(monday.toordinal() + 6)
    last_month = day.month if kind == "month" else day.month + 2 - (day.month - 1) % 3
    first = day.replace(month=last_month if kind == "month" else last_month - 2, day=1)
    after = date(day.year + last_month // 12, last_month % 12 + 1, 1)
    return first, date.fromordinal(after.toordinal() - 1)


def key_of(kind: str, day: date) -> str:
    """How the calendar period around `day` is written: 2026-11-23, 2026-W48, 2026-11, 2026-Q4, all."""
    if kind == ALL:
        return ALL
    if kind == "day":
        return day.isoformat()
    if kind == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    if kind == "quarter":
        return f"{day.year:04d}-Q{(day.month + 2) // 3}"
    return f"{day.year:04d}-{day.month:02d}"


def slots_of(board: Board, day: date) -> list[Slot]:
    """The periods of a board that an entry of this day counts for."""
    return [slot for kind in board.periods if (slot := slot_of(board, kind, day)) is not None]


def slot_of(board: Board, kind: str, day: date) -> Slot | None:
    """The period of this kind around the day; None where it lies in no season."""
    if kind != SEASON:
        key = key_of(kind, day)
        return Slot(slot_id(board.generation, kind, key), board, kind, key, *days_of(kind, day))
    season = board.season_on(day)
    return season_slot(board, season) if season is not None else None


def season_slot(board: Board, season: Season) -> Slot:
    id = slot_id(board.generation, SEASON, season.key)
    return Slot(id, board, SEASON, season.key, season.first_day, season.last_day)


def decay_slot(board: Board, decay: Decay) -> Slot:
    """Where the scores of the day that it decays to are kept."""
    key = decay.day.isoformat()
    return Slot(slot_id(board.generation, decay.kind, key), board, decay.kind, key, decay.first_day, decay.day)


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
