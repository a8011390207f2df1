"""Counting for a badge what was there before it (R77): the states of such a backfill."""

from typing import Final

COUNTING: Final = "counting"
CLOSING: Final = "closing"
"""Given up: no more of the past is counted, but what came since the badge was made."""
DONE: Final = "done"
CANCELLED: Final = "cancelled"
FAILED: Final = "failed"

OPEN: Final = (COUNTING, CLOSING)
