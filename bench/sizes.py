"""How much each part measures: enough for a steady ratio, bounded so that a whole run stays within minutes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """`seconds` is one load run; `activities` what a consumer gets through; `board` members; `samples` reads of one
    kind; `levels` stored events at which growth is measured; `stored` events for memory (0: the demo's only);
    `timeline` events that a timeline is read from; `entries` stored before others are posted."""

    seconds: int
    connections: tuple[int, ...]
    activities: int
    board: int
    samples: int
    levels: tuple[int, ...]
    stored: int
    producer_records: int
    timeline: int
    entries: int


DEFAULT = Size(3, (1, 8, 32), 20_000, 1_000_000, 2_000, (10_000, 100_000), 0, 1_000_000, 1_000_000, 100_000)
FULL = Size(
    5, (1, 8, 32), 50_000, 1_000_000, 5_000, (10_000, 100_000, 1_000_000), 1_000_000, 2_000_000, 10_000_000, 1_000_000
)
SMOKE = Size(1, (1, 8), 2_000, 20_000, 200, (2_000, 5_000), 0, 50_000, 20_000, 2_000)
"""Whether everything works; its figures mean nothing."""
