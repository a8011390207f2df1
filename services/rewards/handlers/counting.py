"""The points economy as metrics, counted once a batch after its commit.

A community names its own units, so that a label of them could grow without bounds: every unit that no new community
starts with counts as `other`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from kit.metrics import BADGES, DECISIONS, LEDGER_IMBALANCE, POINTS_GIVEN, POINTS_HELD, POINTS_TAKEN
from services.rewards.domain.ledger import DEFAULT_UNITS, Posting

OTHER = "other"
UNITS = frozenset(unit.id for unit in DEFAULT_UNITS)


def unit_label(unit: str) -> str:
    return unit if unit in UNITS else OTHER


def count_points(postings: Iterable[Posting]) -> None:
    """What went to and from members, by unit and kind of transaction."""
    given: Counter[tuple[str, str]] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    for posting in postings:
        if not posting.of_member:
            continue
        moved = given if posting.amount > 0 else taken
        moved[unit_label(posting.unit), posting.kind] += abs(posting.amount)
    for labels, amount in given.items():
        POINTS_GIVEN.labels(*labels).inc(amount)
    for labels, amount in taken.items():
        POINTS_TAKEN.labels(*labels).inc(amount)


def count_decisions(verdicts: Iterable[str]) -> None:
    for verdict, times in Counter(verdicts).items():
        DECISIONS.labels(verdict).inc(times)


def count_badges(outcomes: Iterable[str]) -> None:
    """`granted`, or why grants ended."""
    for outcome, times in Counter(outcomes).items():
        BADGES.labels(outcome).inc(times)


def show_books(books: Mapping[str, tuple[int, int]]) -> None:
    """Unit → (how far off zero, held by members), as gauges; units that nobody has any more fall to 0."""
    off: Counter[str] = Counter(dict.fromkeys((*UNITS, OTHER), 0))
    held: Counter[str] = Counter(dict.fromkeys((*UNITS, OTHER), 0))
    for unit, (distance, sum_held) in books.items():
        off[unit_label(unit)] += distance
        held[unit_label(unit)] += sum_held
    for unit in off:
        LEDGER_IMBALANCE.labels(unit).set(off[unit])
        POINTS_HELD.labels(unit).set(held[unit])
