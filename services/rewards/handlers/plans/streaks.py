"""What activities would have seen of their actor's streak, had rules asked for it when they were handled.

It is folded from the facts that were known by then, those of activities before them in their batch among them. The
series, and whose zone its days go by, are those of now; a day that an outage excuses was known as such as it ended.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kit import copies
from kit.contracts.events import Activity
from kit.copies import KnownCommunity
from kit.database import Tx
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.streaks import OUTAGE, State
from services.rewards.domain.undoing import checkin_undone_by, inverse_of
from services.rewards.handlers import calendars, checkins, streaks
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.keeping import Chapter
from services.rewards.handlers.series_days import default_of, for_series, owner_of, zone_of_owner
from services.rewards.handlers.streaks import Fact, Standing
from services.rewards.handlers.watching import Watch
from services.rewards.store import checkins as store

Moment = tuple[datetime, int]
"""When an activity was handled, and its place in the chapter; BEFORE for what was there before its batch."""
BEFORE = -1


class _Asked(NamedTuple):
    at: Moment
    activity: Activity


async def remembered(
    live: Tx, chapter: Chapter, found: Sequence[Activity], community: KnownCommunity, types: Collection[str]
) -> dict[UUID, State]:
    """By event id, of the chapter's activities of these types that it was not kept for."""
    c, asked = community.id, dict[UUID, list[_Asked]]()
    for n, (a, item) in enumerate(zip(found, chapter.items, strict=True)):
        if item.streak is None and a.type in types and item.who is not None:
            asked.setdefault(item.who.id, []).append(_Asked((chapter.times[n], n), a))
    held = default_of((await checkins.in_force(live, [c])).get(c, ())) if asked else None
    if held is None:
        return {}
    days = await _calendars(live, chapter.place(community), held, asked)
    there = await streaks.views(live, c, held.terms, days)
    gone: dict[UUID, list[tuple[Fact, datetime]]] = {}
    for row in await store.voided_facts(live, [one.key for one in there.values()]):
        gone.setdefault(row.member_id, []).append((streaks.fact_of(row), row.voided_at))
    places = _Places(chapter, found, held)
    out: dict[UUID, State] = {}
    for member_id, some in asked.items():
        out |= _seen(there[member_id], gone.get(member_id, ()), some, places)
    return out


async def _calendars(live: Tx, place: KnownCommunity, held: Held, members: Iterable[UUID]) -> dict[UUID, Calendar]:
    series, c = held.terms.present, place.id
    owners = {member_id: owner_of(series, c, member_id) for member_id in members}
    known = await copies.known_members_of(live, list({owner for owner in owners.values() if owner != (c, c)}))
    zones = {owner: zone_of_owner(owner, place, known.get(owner)) for owner in owners.values()}
    read = await calendars.read(live, zones)
    return {member_id: for_series(read[owner], series) for member_id, owner in owners.items()}


class _Places:
    """Where in a chapter what made a fact stands, and what took it away."""

    def __init__(self, chapter: Chapter, found: Sequence[Activity], held: Held) -> None:
        types = {name for type in held.terms.present.on for name in checkin_undone_by(type)}
        self._made: dict[tuple[UUID | None, datetime], int] = {}
        self._undone: dict[tuple[UUID | None, datetime], int] = {}
        for n, (a, at) in enumerate(zip(found, chapter.times, strict=True)):
            self._made.setdefault((a.event_id, at), n)
            inverse = inverse_of(a, n) if a.type in types else None
            if inverse is not None:
                self._undone.setdefault((inverse.thing, at), n)

    def came(self, fact: Fact, calendar: Calendar) -> Moment:
        if fact.kind == OUTAGE:
            return calendar.end_of(fact.day), BEFORE
        return fact.created_at, self._made.get((fact.event_id, fact.created_at), BEFORE)

    def went(self, fact: Fact, at: datetime) -> Moment:
        return at, self._undone.get((fact.thing, at), BEFORE)


def _seen(
    one: Standing, gone: Sequence[tuple[Fact, datetime]], asked: Iterable[_Asked], places: _Places
) -> Mapping[UUID, State]:
    """Facts come and go in the order in which they did, and whoever asks sees those of that moment."""
    coming = [(places.came(fact, one.calendar), fact, True) for fact in (*one.rows, *(fact for fact, _ in gone))]
    coming += [(places.went(fact, at), fact, False) for fact, at in gone]
    coming.sort(key=lambda change: (change[0], not change[2]))
    one.rows.clear()
    one.added.clear()
    watch, number, out = Watch(one), 0, dict[UUID, State]()
    for at, a in sorted(asked, key=lambda each: each.at):
        while number < len(coming) and coming[number][0] <= at:
            _, fact, comes = coming[number]
            if comes:
                one.rows.append(fact)
                one.added.append(fact)
            else:
                one.void(fact)
            number += 1
        out.setdefault(a.event_id, watch.on(one.calendar.day_of(a.effective_at)))
    return out
