"""Badges granted and revoked: in the transaction of what they are for, after everything else in it.

What a transaction did that badges may be about is noted where it happens, and looked at once, before the commit: so
all locks of badges are taken together, after all others, and in one order (what marks can be undone by, then standings
in the order of their keys). A note goes with what it is of when a savepoint takes that back. A fixed number of
statements, whatever was noted.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from kit.database import Tx
from kit.ids import uuid5
from kit.turns import in_turns
from services.rewards.domain import badges as domain
from services.rewards.domain.badges import (
    BALANCE,
    LEVEL,
    PROGRAMME,
    STREAK,
    Badge,
    Criterion,
    Grant,
    Measure,
    Reached,
    Since,
)
from services.rewards.domain.ledger import Posting
from services.rewards.domain.levels import Scheme
from services.rewards.domain.levels import read as read_scheme
from services.rewards.domain.undoing import EARLIER, Inverse, Way, mark_undone_by, undone
from services.rewards.handlers import badges
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import Held, hold, save
from services.rewards.handlers.tallies import Candidate, Place, Tally
from services.rewards.store import badges as store
from services.rewards.store import counters
from services.rewards.store import levels as levels_store
from services.rewards.store import undoing as undoing_store
from services.rewards.store.badges import Key


class Streak(NamedTuple):
    """A member's streak in a series after a change. `value` gives a measure of it now, `reached` when that came to a
    number of days and by which event (None: by none); with a time, by a day that was counted then or later, if one
    was."""

    community_id: UUID
    member_id: UUID
    series_id: str
    value: Callable[[Measure], int]
    reached: Callable[[Measure, int, datetime | None], tuple[datetime, UUID | None] | None]


class Result(NamedTuple):
    """What a member has to show (`passed`, `perfect`) for the programme of a series, which ended then."""

    community_id: UUID
    member_id: UUID
    series_id: str
    shown: frozenset[str]
    ended_at: datetime


class Change(NamedTuple):
    """A posting on a member's account."""

    amount: int
    at: datetime
    cause_id: UUID | None
    history: bool


class Balance(NamedTuple):
    """A member's account after some changes."""

    community_id: UUID
    member_id: UUID
    unit: str
    balance: int
    changes: Sequence[Change]


def note_streaks(tx: Tx, streaks: Sequence[Streak], results: Callable[[Tx], Awaitable[Sequence[Result]]]) -> None:
    """These changed; `results` looks what their members have to show for programmes that are over."""
    if streaks:
        tx.last.append(Note(streaks=streaks, results=results))


def note_balances(
    tx: Tx,
    postings: Sequence[Posting],
    balances: Mapping[tuple[UUID, UUID, str], int],
    history: Mapping[UUID, bool],
) -> None:
    """These were posted; `balances` (community, member, unit) are those after them, `history` says of source events
    whether they are no news."""
    changes: dict[tuple[UUID, UUID, str], list[Change]] = {}
    for p in postings:
        source = p.source_event_id
        change = Change(p.amount, p.effective_at, source, source is not None and history.get(source, False))
        changes.setdefault((p.community_id, p.member_id, p.unit), []).append(change)
    if changes:
        tx.last.append(Note(balances=[Balance(*key, balances[key], some) for key, some in changes.items()]))


class Then(NamedTuple):
    """Of what is counted once more, as it was counted then: when that was, the inverse events that had been heard of,
    and the standings that stay as they are."""

    now: datetime
    heard: Collection[UUID]
    left: Collection[Key]


@dataclass(slots=True)
class Note:
    """Something that was done; called before the commit."""

    defined: Mapping[UUID, Sequence[Defined]] | None = None
    candidates: Sequence[Candidate] = ()
    inverses: Sequence[tuple[UUID, Inverse]] = ()
    """With their communities."""
    streaks: Sequence[Streak] = ()
    results: Callable[[Tx], Awaitable[Sequence[Result]]] | None = None
    balances: Sequence[Balance] = ()
    history: frozenset[UUID] = frozenset()
    """The events that are no news."""
    done: bool = False

    async def __call__(self, tx: Tx) -> None:
        if self.done:
            return
        notes = [step for step in tx.last if isinstance(step, Note) and not step.done]
        for one in notes:
            one.done = True
        await _settle(tx, notes)


async def count_again(tx: Tx, note: Note, then: Then) -> int:
    """What the note holds, as it was then; how many grants it brings. The caller sees to it that nobody else counts for
    these badges meanwhile."""
    held = await _settle(tx, [note], then)
    return sum(isinstance(change, Grant) for one in held for change in one.changes)


async def _settle(tx: Tx, notes: Sequence[Note], then: Then | None = None) -> list[Held]:
    """The standings that were looked at."""
    now = tx.now if then is None else then.now
    defined = await _defined(tx, notes)
    measures = [
        *_of_streaks(notes, defined),
        *await _of_programmes(tx, notes, defined),
        *await _of_balances(tx, notes, defined),
    ]
    counting = {c for c, some in defined.items() if any(one.badge.criterion.kind == domain.EVENTS for one in some)}
    inverses = [i for note in notes for c, i in note.inverses if c in counting]
    candidates = [one for note in notes for one in note.candidates]
    if not (measures or candidates or inverses):
        return []
    candidates, gone = await _undoing(tx, candidates, inverses, then)
    by_key = {(c, one.badge.id): one for c, some in defined.items() for one in some}
    badges_of = {key: one.badge for key, one in by_key.items()}
    changed = await _worth_holding(tx, candidates, measures, badges_of, now)
    if not changed and not gone:
        return []
    held = await hold(tx, {key: by_key[key[:2]] for key in {*changed, *gone} if key[:2] in by_key})
    await _count(tx, held, [one for one in candidates if one.key in held], gone, now)
    for key, measure in measures:
        if key in held:
            one = held[key]
            one.take(domain.measured(one.defined.badge, one.standing, measure.value, measure.since, now))
    if then is not None:
        # What is over by now ends here, before anybody who ends such waits for standings that this transaction holds.
        for one in held.values():
            one.take(domain.expired(one.standing, tx.now))
    await save(tx, list(held.values()))
    return list(held.values())


async def _defined(tx: Tx, notes: Sequence[Note]) -> Mapping[UUID, Sequence[Defined]]:
    """The badges in force where something was noted."""
    known = {c: some for note in notes if note.defined is not None for c, some in note.defined.items()}
    seen = {c for note in notes if note.defined is not None for c in note.defined}
    asked = {one.community_id for note in notes for one in note.streaks}
    missing = (asked | {one.community_id for note in notes for one in note.balances}) - seen
    return {**known, **(await badges.in_force(tx, missing) if missing else {})}


# What is measured elsewhere


class Measured(NamedTuple):
    value: int
    since: Since


def _of_streaks(notes: Sequence[Note], defined: Mapping[UUID, Sequence[Defined]]) -> list[tuple[Key, Measured]]:
    history = frozenset[UUID]().union(*(note.history for note in notes))
    out = []
    for streak in [streak for note in notes for streak in note.streaks]:
        for one in defined.get(streak.community_id, ()):
            wanted = one.badge.criterion
            if wanted.kind == STREAK and wanted.series == streak.series_id:
                key = streak.community_id, one.badge.id, streak.member_id
                found = partial(streak_reached, streak, wanted, history)
                out.append((key, Measured(streak.value(wanted.measure), found)))
    return out


def streak_reached(
    streak: Streak, wanted: Criterion, history: frozenset[UUID], after: datetime | None
) -> Reached | None:
    found = streak.reached(wanted.measure, wanted.least, after)
    return Reached(*found, found[1] in history) if found is not None else None


async def _of_programmes(
    tx: Tx, notes: Sequence[Note], defined: Mapping[UUID, Sequence[Defined]]
) -> list[tuple[Key, Measured]]:
    out = []
    for note in notes:
        touched = {(streak.community_id, streak.series_id) for streak in note.streaks}
        some = [one for c in {c for c, _ in touched} for one in defined.get(c, ()) if _is_about(one, touched)]
        if note.results is None or not some:
            continue
        for result in await note.results(tx):
            for one in some:
                if _is_about(one, {(result.community_id, result.series_id)}):
                    key = result.community_id, one.badge.id, result.member_id
                    out.append((key, Measured(*shown(one.badge, result))))
    return out


def _is_about(one: Defined, series: set[tuple[UUID, str]]) -> bool:
    wanted = one.badge.criterion
    return wanted.kind == PROGRAMME and (one.community_id, wanted.series) in series


def shown(badge: Badge, result: Result) -> tuple[int, Since]:
    """The value that a badge for a programme goes by, and since when."""
    return int(badge.criterion.result in result.shown), domain.once(result.ended_at)


async def _of_balances(
    tx: Tx, notes: Sequence[Note], defined: Mapping[UUID, Sequence[Defined]]
) -> list[tuple[Key, Measured]]:
    found = [balance for note in notes for balance in note.balances]
    levelled = {
        b.community_id
        for b in found
        if any(one.badge.criterion.kind == LEVEL for one in defined.get(b.community_id, ()))
    }
    schemes = {
        c: (row.unit, read_scheme(row.scheme))
        for c, row in (await levels_store.current(tx, levelled) if levelled else {}).items()
    }
    out = []
    for balance in found:
        for one in defined.get(balance.community_id, ()):
            measure = measure_of(one.badge, balance.unit, schemes.get(balance.community_id))
            if measure is not None:
                key = balance.community_id, one.badge.id, balance.member_id
                found_at = partial(balance_reached, balance, measure, one.badge.criterion.least)
                out.append((key, Measured(measure(balance.balance), found_at)))
    return out


def measure_of(badge: Badge, unit: str, levels: tuple[str, Scheme] | None) -> Callable[[int], int] | None:
    """What the badge makes of an amount of the unit; None where such accounts do not concern it."""
    wanted = badge.criterion
    if wanted.kind == BALANCE and wanted.unit == unit:
        return lambda amount: amount
    if wanted.kind == LEVEL and levels is not None and levels[0] == unit:
        return levels[1].level_at
    return None


def balance_reached(
    balance: Balance, measure: Callable[[int], int], least: int, after: datetime | None
) -> Reached | None:
    changes = sorted(balance.changes, key=lambda change: change.at)
    so_far = balance.balance - sum(change.amount for change in changes)
    for change in changes:
        so_far += change.amount
        # Whoever spends has enough afterwards too, and has reached nothing by it.
        brings = after is None or (change.amount > 0 and change.at >= after)
        if brings and measure(so_far) >= least:
            return Reached(change.at, change.cause_id, change.history)
    return None


async def _worth_holding(
    tx: Tx,
    candidates: Sequence[Candidate],
    measures: Sequence[tuple[Key, Measured]],
    badges_of: Mapping[tuple[UUID, str], Badge],
    now: datetime,
) -> set[Key]:
    """The standings that may change. Most do not: who holds a badge for good gets no lock for each message."""
    keys = {one.key for one in candidates} | {key for key, _ in measures}
    found = {key: Held.read(row) for key, row in (await store.standings_of(tx, keys)).items()}
    nothing = domain.Standing()
    out = {one.key for one in candidates if domain.counts(one.defined.badge, found.get(one.key, nothing), one.mark.at)}
    for key, measure in measures:
        if domain.may_change(badges_of[key[:2]], found.get(key, nothing), measure.value, now):
            out.add(key)
    return out


# What is counted


async def _undoing(
    tx: Tx, candidates: Sequence[Candidate], inverses: Sequence[Inverse], then: Then | None
) -> tuple[list[Candidate], dict[Key, set[Place]]]:
    """The candidates that stand, and the marks that go, by standing.

    An event and what undoes it may be handled by two replicas at once: both hold the lock of the thing that they are
    about, and whichever comes second sees the other (the inverse events are written before). What is counted once more
    is by one process alone.
    """
    things = {one.way.thing for one in candidates if one.way is not None} | {one.thing for one in inverses}
    if not things:
        return list(candidates), {}
    if then is None:
        await counters.lock(tx, kept=dict.fromkeys(map(_lock_of, things), tx.now))
    about: dict[UUID, list[Inverse]] = {}
    for row in await undoing_store.inverses(tx, {one.way.thing for one in candidates if one.way is not None}):
        if then is not None and row.event_id not in then.heard:
            continue
        about.setdefault(row.thing, []).append(Inverse(row.thing, row.event_id, row.type, row.at, EARLIER))
    for inverse in inverses:
        # In its place in the batch, and not as the row that this very batch wrote of it.
        rest = [one for one in about.get(inverse.thing, []) if one.event_id != inverse.event_id]
        about[inverse.thing] = [*rest, inverse]
    gone: dict[Key, set[Place]] = {}
    for row in await store.marks_about(tx, {one.thing for one in inverses}):
        way = Way(row.thing, mark_undone_by(row.type), 0)
        key = row.community_id, row.badge_id, row.member_id
        left = then is not None and key in then.left
        if not left and undone(about[row.thing], way, row.at, EARLIER) is not None:
            gone.setdefault(key, set()).add((row.value, row.event_id))
    stands = [one for one in candidates if one.way is None or not _undone(one, one.way, about)]
    return stands, gone


def _undone(one: Candidate, way: Way, about: Mapping[UUID, Sequence[Inverse]]) -> bool:
    return undone(about.get(way.thing, ()), way, one.mark.at, one.order) is not None


def _lock_of(thing: UUID) -> UUID:
    """Another than the lock under which grants for the thing are undone: that one is taken earlier in a transaction."""
    return uuid5(thing, "badges")


async def _count(
    tx: Tx,
    held: Mapping[Key, Held],
    candidates: Sequence[Candidate],
    gone: Mapping[Key, set[Place]],
    now: datetime,
) -> None:
    """Bring the marks, and with them what is counted, to what happened."""
    touched = {one.key for one in candidates} | gone.keys()
    tallies = {key: Tally(held[key]) for key in touched if key in held}
    places = {(*one.key, one.mark.value) for one in candidates}
    places |= {(*key, value) for key, some in gone.items() for value, _ in some}
    for row in await store.marks_at(tx, [place for place in places if place[:3] in tallies]):
        tallies[row.community_id, row.badge_id, row.member_id].see(row)
    for key, some in gone.items():
        if key in tallies:
            tallies[key].remove(some)
    async for part in in_turns(candidates):
        for one in part:
            tallies[one.key].add(one)
    stored: dict[Key, list[Any]] = {key: [] for key, tally in tallies.items() if tally.reaches(now)}
    for row in await store.marks_of(tx, stored):
        stored[row.community_id, row.badge_id, row.member_id].append(row)
    for key, tally in tallies.items():
        tally.settle(stored.get(key), now)
    await store.add_marks(tx, [row for tally in tallies.values() for row in tally.rows()])
    await store.remove_marks(tx, [(*key, *place) for key, tally in tallies.items() for place in sorted(tally.removed)])
