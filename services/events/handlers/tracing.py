"""What became of an activity: decisions, levels, places, reversals, messages, from the other services' events (E4)."""

from collections.abc import Sequence
from typing import Any

from kit.contracts import Envelope
from kit.contracts.notify import MessageStateChanged
from kit.contracts.rewards import ActivityScored, BoardLed, LevelReached, PointsAdjusted
from kit.database import Tx
from services.events.handlers.storing import _following
from services.events.store import activities as store

SCORED = "scored"
MESSAGE = "message"
LEVEL = "level"
BOARD = "board"
ADJUSTED = "adjusted"


def _rows(batch: Sequence[Envelope[Any]], kind: str) -> list[dict[str, Any]]:
    return [
        {
            "id": e.id,
            "event_id": e.event.event_id if kind == SCORED else e.event.cause_id,
            "community_id": e.event.community_id,
            "kind": kind,
            "at": e.time,
            "body": e.event,
            "log_partition": e.origin.partition,
            "log_offset": e.origin.offset,
        }
        for e in batch
    ]


async def keep_decisions(tx: Tx, batch: list[Envelope[ActivityScored]]) -> None:
    """Decisions stay beside the activity they are on, and feed the live tail."""
    await store.add_consequences(tx, rows=_rows(batch, SCORED))
    await store.set_tails(tx, stream=SCORED, following=_following(batch))


async def keep_messages(tx: Tx, batch: list[Envelope[MessageStateChanged]]) -> None:
    await _keep_caused(tx, batch, MESSAGE)


async def keep_levels(tx: Tx, batch: list[Envelope[LevelReached]]) -> None:
    await _keep_caused(tx, batch, LEVEL)


async def keep_boards(tx: Tx, batch: list[Envelope[BoardLed]]) -> None:
    await _keep_caused(tx, batch, BOARD)


async def keep_adjustments(tx: Tx, batch: list[Envelope[PointsAdjusted]]) -> None:
    """What was taken back of entries that the activity led to."""
    await _keep_caused(tx, batch, ADJUSTED)


async def _keep_caused(tx: Tx, batch: Sequence[Envelope[Any]], kind: str) -> None:
    """Those that name an activity as their cause; others are no consequence of one."""
    await store.add_consequences(tx, rows=_rows([e for e in batch if e.event.cause_id is not None], kind))
