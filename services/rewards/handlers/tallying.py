"""What caps and cooldowns were used by: read under locks before a batch is decided, written after it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from kit.database import Tx
from services.rewards.domain import engine
from services.rewards.domain.engine import Moments, State, Want
from services.rewards.store import counters


async def state_of(
    tx: Tx, wants: Sequence[Want], besides: Collection[UUID]
) -> tuple[dict[UUID, counters.Counter], State]:
    """The counters as they were found and locked, and the state that deciding moves on. The rows `besides` are locked
    with them, in one go: things that count nothing (nobody misses them between two batches), and places."""
    wanted, slots = engine.reads(wants, tx.now)
    locked = await counters.lock(tx, kept={**dict.fromkeys(besides, tx.now), **wanted})
    moments = await counters.moments_of(tx, slots=slots)
    return locked, State(
        {id: counter.value for id, counter in locked.items()},
        {slot: Moments(items) for slot, items in moments.items()},
        {
            id: engine.later(counter.kept_until, wanted[id]) if id in wanted else counter.kept_until
            for id, counter in locked.items()
        },
    )


async def save(tx: Tx, state: State, before: Mapping[UUID, counters.Counter]) -> None:
    values = {id: counters.Counter(value, state.kept[id]) for id, value in state.counters.items()}
    # One that counts nothing is there to be locked, and may be forgotten at any time.
    changed = {id: c for id, c in values.items() if c != before[id] and (c.value or before[id].value)}
    await counters.save(tx, values=changed)
    rows = [
        {"slot": slot, "at": at, "event_id": event_id, "amount": amount, "kept_until": state.kept[slot]}
        for slot, moments in state.moments.items()
        for (at, event_id), amount in _summed(moments).items()
    ]
    await counters.add_moments(tx, rows=rows)


def _summed(moments: Moments) -> dict[tuple[Any, UUID], int]:
    out: dict[tuple[Any, UUID], int] = {}
    for at, event_id, amount in moments.added:
        out[at, event_id] = out.get((at, event_id), 0) + amount
    return out
