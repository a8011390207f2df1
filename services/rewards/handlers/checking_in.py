"""Activities into check-ins: the facts of a batch, before its rules run, so that rules see the streak.

A fixed number of statements per batch, whatever its size.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from kit import copies
from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.turns import in_turns
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Series
from services.rewards.domain.ledger import FREEZES, Posting
from services.rewards.domain.proofs import ACCEPTED, status_of
from services.rewards.domain.streaks import DONE, JOINED, State
from services.rewards.domain.undoing import Inverse, Way, checkin_undone_by, way_of_checkin
from services.rewards.expressions import Failed
from services.rewards.handlers import approving, calendars, proving, streaks, voiding, watching
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.ledger import ensure_unit
from services.rewards.handlers.purging import is_history
from services.rewards.handlers.series_days import One, calendar_of, for_series, owner_of, owners_of, zone_of_owner
from services.rewards.handlers.streaks import AGAIN, Standing
from services.rewards.handlers.watching import Look, Watch
from services.rewards.store.checkins import Key

AWAY = ("removed", "banned", "erased")


class World(NamedTuple):
    """What is known of where the activities happened; `inverses` are those of them that undo something, `holds` says
    whether a condition holds of an activity, `statuses` what those are that would be check-ins, once it is known."""

    communities: Mapping[UUID, KnownCommunity]
    series: Mapping[UUID, Sequence[Held]]
    ids: Mapping[tuple[UUID, UUID], UUID]
    members: Mapping[tuple[UUID, UUID], KnownMember]
    inverses: Sequence[Inverse]
    holds: Callable[[Activity, str], bool]
    statuses: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """`streaks` by event id, of activities that look at one: what its actor's in the community's default series was
    before what comes after it in the batch, as of the day of the activity or the one that it is a check-in for.
    `postings` are for the ledger, with the batch's grants. `statuses` say by event id whether a series took it as a
    check-in (`domain.proofs.status_of`)."""

    streaks: Mapping[UUID, State] = field(default_factory=dict)
    postings: Sequence[Posting] = ()
    statuses: Mapping[UUID, str] = field(default_factory=dict)


def types_of(series: Sequence[Held]) -> set[str]:
    """The event types that count as a check-in, or make a member of a programme, somewhere in a community."""
    enabled = [held.terms.present for held in series if held.terms.present.enabled]
    joins = {name for one in enabled if one.programme is not None for name in one.programme.joins_on}
    return joins.union(*(one.on for one in enabled))


async def record(
    tx: Tx, found: Sequence[Activity], world: World, asking: Mapping[UUID, Collection[str]] = MappingProxyType({})
) -> Recorded:
    """Note the check-ins among the activities, one a day, whichever comes first; take back what is undone. `asking`
    says by community of which types of activities the actor's streak is wanted; of what the default series takes it is
    always."""
    some: list[One] = []
    async for part in in_turns(list(enumerate(found))):
        some += [one for order, a in part for one in _candidates(order, a, world)]
    inverses = _about_checkins(world, found)
    askers = watching.askers(found, world, asking)
    if not some and not inverses and not askers:
        return Recorded()
    ways = {one.activity.event_id: way_of_checkin(one.activity) for one in some if one.kind == DONE}
    voids = await voiding.look(tx, _candidate_ways(found, ways), inverses)
    kept = await calendars.follow(tx, owners_of(some, world.communities, world.members))
    dated = [(one, day) for one in some if (day := _day(one, calendar_of(one, kept))) is not None]
    dated, statuses = await _taken(tx, dated, voids.refused)
    if inverses and any(held.terms.judged for some_series in world.series.values() for held in some_series):
        await approving.stop(tx, inverses)
    wanted = {**await _undone(tx, voids, world), **_wanted(dated, kept, voids)}
    looks = await watching.looks(tx, askers, dated, world, kept)
    if not wanted and not looks:
        return Recorded(statuses=statuses)
    asked = watching.wanted(looks.values())
    held = await streaks.hold(tx, {key: watching.both(want, asked.get(key)) for key, want in wanted.items()})
    others = await streaks.glance(tx, {key: want for key, want in asked.items() if key not in held})
    hits = [*voids.hits, *_late_hits(dated, voids)]
    seen = await _in_turn(tx, {**others, **held}, hits, dated, looks, partial(_note, tx, voids=voids, ways=ways))
    if not held:
        return Recorded(seen, statuses=statuses)
    days = {key: set(want.days) for key, want in wanted.items()}
    postings = await streaks.save(tx, list(held.values()), days, await _today(tx, world, wanted, kept))
    if postings:
        await ensure_unit(tx, {posting.community_id for posting in postings}, FREEZES)
    return Recorded(seen, postings, statuses)


async def _in_turn(
    tx: Tx,
    standings: Mapping[Key, Standing],
    hits: Sequence[voiding.Hit],
    dated: Sequence[tuple[One, date]],
    looks: Mapping[int, Look],
    note: Callable[[Standing, One, date], None],
) -> dict[UUID, State]:
    """Void and note what there is, and look, one activity after the other: as if each had come alone."""
    voided: dict[int, list[voiding.Hit]] = {}
    noted: dict[int, list[tuple[One, date]]] = {}
    for hit in hits:
        voided.setdefault(hit.order, []).append(hit)
    for one, day in dated:
        noted.setdefault(one.order, []).append((one, day))
    watches = {look.key: Watch(standings[look.key]) for look in looks.values() if look.key in standings}
    seen: dict[UUID, State] = {}
    async for orders in in_turns(sorted({*voided, *noted, *looks})):
        for order in orders:
            voiding.void(standings, voided.get(order, ()), tx.now)
            for one, day in noted.get(order, ()):
                note(standings[one.key], one, day)
            look = looks.get(order)
            if look is not None and look.event_id not in seen:
                (day,) = look.wanted.days
                seen[look.event_id] = watches[look.key].on(day) if look.key in watches else State()
    return seen


def _late_hits(dated: Sequence[tuple[One, date]], voids: voiding.Voids) -> list[voiding.Hit]:
    """Check-ins of the batch that are undone further on in it."""
    return [
        voiding.Hit(one.key, day, one.activity.event_id, voids.late[one.activity.event_id])
        for one, day in dated
        if one.kind == DONE and one.activity.event_id in voids.late
    ]


async def _taken(
    tx: Tx, dated: Sequence[tuple[One, date]], undone: Collection[UUID]
) -> tuple[list[tuple[One, date]], dict[UUID, str]]:
    """Those that their series take, and what each activity is."""
    tries = [proving.Try(one.activity, one.held.terms, one.member_id, day) for one, day in dated if one.kind == DONE]
    judged = await proving.judge(tx, tries, undone)
    statuses: dict[UUID, list[str]] = {}
    for (_, _, event_id), status in judged.items():
        statuses.setdefault(event_id, []).append(status)
    taken = [
        (one, day)
        for one, day in dated
        if one.kind != DONE or judged[one.key[0], one.key[1], one.activity.event_id] == ACCEPTED
    ]
    return taken, {event_id: status_of(some) for event_id, some in statuses.items()}


def things_of(found: Sequence[Activity], world: World) -> set[UUID]:
    """Everything whose lock noting the check-ins of these activities takes, or more."""
    types = {community_id: types_of(series) for community_id, series in world.series.items()}
    ways = [way_of_checkin(a) for a in found if a.actor_id is not None and a.type in types.get(a.community_id, ())]
    about = {inverse.thing for inverse in _about_checkins(world, found)}
    return about | {way.thing for way in ways if way is not None}


def confirmations(found: Sequence[Activity], world: World) -> list[approving.Confirmation]:
    """Those by members whose word counts, where somebody is asked for theirs."""
    asking = {community_id for community_id, series in world.series.items() if approving.asked(series)}
    out = []
    for a in found if asking else ():
        if a.type == approving.CONFIRMED and a.community_id in asking and a.import_name is None:
            member_id = _speaks(a, world)
            if member_id is not None:
                out.append(approving.confirmation_of(a, member_id))
    return out


def _speaks(a: Activity, world: World) -> UUID | None:
    """Whose doing it is; None where that counts for nothing: nobody's, a bot's, of a flood, of who was put out."""
    if a.actor_id is None or a.data.get("bot") is True or "throttled" in a.flags:
        return None
    member_id = world.ids[a.community_id, a.actor_id]
    known = world.members.get((a.community_id, member_id))
    return None if known is not None and (known.kind == "bot" or known.state in AWAY) else member_id


def _about_checkins(world: World, found: Sequence[Activity]) -> list[Inverse]:
    """The inverse events that could undo a check-in of one of the series there are; any else needs no lock."""
    wanted = {
        community_id: {name for held in series for type in held.terms.present.on for name in checkin_undone_by(type)}
        for community_id, series in world.series.items()
    }
    return [one for one in world.inverses if one.type in wanted.get(found[one.order].community_id, ())]


def _candidate_ways(found: Sequence[Activity], ways: Mapping[UUID, Way | None]) -> list[voiding.Candidate]:
    return [
        voiding.Candidate(a.event_id, a.effective_at, order, way)
        for order, a in enumerate(found)
        if (way := ways.get(a.event_id)) is not None
    ]


def _wanted(
    dated: Sequence[tuple[One, date]], kept: Mapping[calendars.Owner, Calendar], voids: voiding.Voids
) -> dict[Key, streaks.Wanted]:
    days: dict[Key, set[date]] = {}
    for hit in voids.hits:
        days.setdefault(hit.key, set()).add(hit.day)
    for one, day in dated:
        days.setdefault(one.key, set()).add(day)
    return {one.key: streaks.Wanted(one.held.terms, calendar_of(one, kept), days[one.key]) for one, _ in dated}


async def _undone(tx: Tx, voids: voiding.Voids, world: World) -> dict[Key, streaks.Wanted]:
    """Whose check-ins are undone, who need not have done anything in this batch."""
    if not voids.hits:
        return {}
    series = {(c, held.terms.present.id): held for c, some in world.series.items() for held in some}
    days: dict[Key, set[date]] = {}
    for hit in voids.hits:
        days.setdefault(hit.key, set()).add(hit.day)
    members = await copies.known_members_of(tx, [(c, member_id) for c, _, member_id in days])
    owners = {}
    for c, id, member_id in days:
        owner = owner_of(series[c, id].terms.present, c, member_id)
        owners[owner] = zone_of_owner(owner, world.communities[c], members.get(owner))
    read = await calendars.read(tx, owners)
    return {
        key: streaks.Wanted(held.terms, for_series(read[owner_of(present, key[0], key[2])], present), some)
        for key, some in days.items()
        if (held := series[key[:2]]) and (present := held.terms.present)
    }


async def _today(
    tx: Tx, world: World, wanted: Collection[Key], kept: Mapping[calendars.Owner, Calendar]
) -> dict[UUID, date]:
    missing = {(c, c) for c, _, _ in wanted} - kept.keys()
    places = {o: zone_of_owner(o, world.communities[o[0]], None) for o in missing}
    known = {**kept, **(await calendars.read(tx, places) if places else {})}
    return {c: known[c, c].day_of(tx.now) for c, _, _ in wanted}


def _note(
    tx: Tx, standing: Standing, one: One, day: date, *, voids: voiding.Voids, ways: Mapping[UUID, Way | None]
) -> None:
    a = one.activity
    if one.kind == JOINED:
        if standing.before.start is None and not standing.of(JOINED):
            standing.add(JOINED, day, a.effective_at, tx.now, event_id=a.event_id)
        return
    there = standing.of(DONE, day)
    again = standing.of(AGAIN, day)
    if a.event_id in voids.refused or a.event_id in standing.undone:
        return
    if any(fact.event_id == a.event_id for fact in (*there, *again)) or len(again) >= voiding.MOST_AGAIN:
        return
    way = ways[a.event_id]
    standing.add(AGAIN if there else DONE, day, a.effective_at, tx.now, event_id=a.event_id,
                 connection_id=a.connection_id, thing=way.thing if way is not None else None)  # fmt: skip
    standing.excuse(tx.now)


def _candidates(order: int, a: Activity, world: World) -> list[One]:
    out = []
    for held in world.series.get(a.community_id, ()):
        kind = _kind(a, held.terms.present)
        if kind is None:
            continue
        member_id = _speaks(a, world)
        if member_id is None:
            return []
        series = held.terms.present
        when = series.when if kind == DONE or series.programme is None else series.programme.joins_when
        if when is None or _holds(a, when, world):
            out.append(One(order, a, held, member_id, kind))
    return out


def _kind(a: Activity, series: Series) -> str | None:
    if not series.enabled:
        return None
    if a.type in series.on:
        return DONE
    return JOINED if series.programme is not None and a.type in series.programme.joins_on else None


def _holds(a: Activity, when: str, world: World) -> bool:
    try:
        return world.holds(a, when)
    except Failed:
        return False


def _day(one: One, calendar: Calendar) -> date | None:
    """The day a check-in is for, or on which the member came; None for one that is too late for its day, before it, or
    outside of the programme."""
    a, series = one.activity, one.held.terms.present
    if one.kind == JOINED:
        return _joined_on(a, series, calendar)
    try:
        named: Any = a.data.get(series.date_field) if series.date_field is not None else None
        day = calendar.day_of(a.effective_at) if named is None else date.fromisoformat(named)
    except (TypeError, ValueError):
        return None
    programme = series.programme
    if programme is not None and not programme.first_day <= day <= programme.last_day:
        return None
    if day > calendar.day_of(max(a.received_at, a.effective_at)):
        return None
    if is_history(a):
        return day
    late = a.received_at - calendar.end_of(day)
    return day if late <= timedelta(hours=series.late_grace_hours) else None


def _joined_on(a: Activity, series: Series, calendar: Calendar) -> date | None:
    day = calendar.day_of(a.effective_at)
    return None if series.programme is None or day > series.programme.last_day else day
