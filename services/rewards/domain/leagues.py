"""Leagues of boards: tiers, divisions of a few people each, and who goes up or down when a period is final."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

LEAGUE_PERIODS = ("week", "month", "quarter")
"""A day is over before the late grace of the day before is; a season has none that follows it for certain."""

GRACE_MOST = 72
"""Divisions are drawn when the period before is final: with more than this the better half of a week would be over."""

LOWEST = 0
DEMOTE, STAY = "demote", "stay"
UP, SAME, DOWN = 1, 0, -1


@dataclass(frozen=True, slots=True)
class League:
    """`tiers` are names, the lowest first; `promote` and `demote` have a number for each. `inactive` says what becomes
    of who did not play: DEMOTE or STAY."""

    period: str
    tiers: tuple[str, ...]
    size: int
    promote: tuple[int, ...]
    demote: tuple[int, ...]
    inactive: str

    @property
    def top(self) -> int:
        return len(self.tiers) - 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for periods that begin on `since` or later, until later terms do; None: no league."""

    since: date
    league: League | None


def league_in(terms: Sequence[Terms], kind: str, first_day: date) -> League | None:
    """The league that is played in the period of this kind that begins on this day, for ever the same."""
    held = [one for one in terms if one.since <= first_day]
    league = max(held, key=lambda one: one.since).league if held else None
    return league if league is not None and league.period == kind else None


def changed(terms: Sequence[Terms], since: date, league: League | None) -> tuple[Terms, ...]:
    """The terms once this league holds from `since` on, which is later than any period that runs."""
    before = [one for one in terms if one.since < since]
    there = before[-1].league if before else None
    return tuple(before) if there == league else (*before, Terms(since, league))


def zones(league: League, tier: int, ranked: int) -> tuple[int, int]:
    """How many of a division with so many who are ranked go up, and how many down.

    Never more than half of them either way: so nobody does both, a division of two changes one each, and who is alone
    has beaten nobody and lost to nobody.
    """
    half = ranked // 2
    up = min(league.promote[tier], half) if tier < league.top else 0
    return up, min(league.demote[tier], half) if tier > LOWEST else 0


def move(league: League, tier: int, ranked: int, place: int, score: int) -> int:
    """UP, SAME or DOWN for who stands at `place` (from 0) of so many, in the board's order: by rank more of those
    who tie would go up than there is room for. Nobody goes up with nothing."""
    up, down = zones(league, tier, ranked)
    if place < up and score > 0:
        return UP
    return DOWN if place >= ranked - down else SAME
