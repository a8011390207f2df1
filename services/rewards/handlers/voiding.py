"""Inverse events and the check-ins that they undo, whatever comes first (R9).

A check-in and what undoes it may be handled by two replicas at once: both hold the lock of the thing that they are
about, taken before the streaks'. It is another lock than the one that undoing grants takes, which comes after them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from kit.database import Tx
from kit.ids import uuid5
from services.rewards.domain.streaks import DONE
from services.rewards.domain.undoing import EARLIER, Inverse, Way, undone
from services.rewards.handlers.streaks import AGAIN, Fact, Standing
from services.rewards.store import checkins as store
from services.rewards.store import counters
from services.rewards.store import undoing as inverse_store
from services.rewards.store.checkins import Key

MOST_AGAIN = 3
"""So many further check-ins of a day are kept to stand in for one that is undone."""


class Candidate(NamedTuple):
    """A check-in that may be undone: its time, its place in the batch, and how."""

    event_id: UUID
    at: datetime
    order: int
    way: Way


class Hit(NamedTuple):
    """A check-in that counted, or stands in, and is undone by the event at the place `order` in the batch."""

    key: Key
    day: date
    event_id: UUID
    order: int


@dataclass(frozen=True, slots=True)
class Voids:
    """`refused` are events of the batch whose check-in is undone before it counted, `late` those that are undone by an
    event further on in it, and its place; `hits` are check-ins of earlier batches."""

    refused: frozenset[UUID] = frozenset()
    late: Mapping[UUID, int] = field(default_factory=dict)
    hits: tuple[Hit, ...] = ()


async def look(tx: Tx, candidates: Sequence[Candidate], inverses: Sequence[Inverse]) -> Voids:
    """What is undone of the check-ins of a batch and of earlier ones, which nothing changes until the transaction
    ends. `inverses` are the inverse events of the batch."""
    asked = {one.way.thing for one in candidates}
    things = asked | {inverse.thing for inverse in inverses}
    if not things:
        return Voids()
    await lock(tx, things)
    known = [Inverse(r.thing, r.event_id, r.type, r.at, EARLIER) for r in await inverse_store.inverses(tx, asked)]
    about = _by_thing([*known, *inverses])
    refused: set[UUID] = set()
    late: dict[UUID, int] = {}
    # Backwards: of what is there twice the first counts.
    for one in reversed(candidates):
        refused.discard(one.event_id)
        late.pop(one.event_id, None)
        by = undone(about.get(one.way.thing, ()), one.way, one.at, one.order)
        if by is not None and by.order <= one.order:
            refused.add(one.event_id)
        elif by is not None:
            late[one.event_id] = by.order
    new = _by_thing(inverses)
    hits = []
    for row in await store.facts_about(tx, new) if new else ():
        types = tuple({inverse.type for inverse in new[row.thing]})
        by = undone(new[row.thing], Way(row.thing, types, 0), row.at, EARLIER)
        if by is not None:
            hits.append(Hit((row.community_id, row.series_id, row.member_id), row.day, row.event_id, by.order))
    return Voids(frozenset(refused), late, tuple(hits))


async def lock(tx: Tx, things: Iterable[UUID]) -> None:
    """Nothing changes about these check-ins until the transaction ends."""
    await counters.lock(tx, kept=dict.fromkeys(map(_lock_of, things), tx.now))


def void(standings: Mapping[Key, Standing], hits: Sequence[Hit], now: datetime) -> None:
    """Take these back, and let another check-in of the same day count where there is one."""
    for hit in hits:
        one = standings[hit.key]
        for fact in [row for row in one.rows if row.event_id == hit.event_id and row.kind in (DONE, AGAIN)]:
            one.void(fact)
    for hit in hits:
        one = standings[hit.key]
        if not one.of(DONE, hit.day):
            _stand_in(one, one.of(AGAIN, hit.day), now)
        one.excuse(now)


def _stand_in(one: Standing, others: Sequence[Fact], now: datetime) -> None:
    first = min(others, key=lambda fact: (fact.at, fact.number), default=None)
    if first is not None:
        one.void(first)
        one.add(DONE, first.day, first.at, now, event_id=first.event_id, connection_id=first.connection_id,
                thing=first.thing)  # fmt: skip


def _by_thing(inverses: Iterable[Inverse]) -> dict[UUID, list[Inverse]]:
    out: dict[UUID, list[Inverse]] = {}
    for inverse in inverses:
        out.setdefault(inverse.thing, []).append(inverse)
    return out


def _lock_of(thing: UUID) -> UUID:
    return uuid5(thing, "check-in")
