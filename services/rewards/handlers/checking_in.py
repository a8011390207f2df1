"""Activities into check-ins: the facts of a batch, before its rules run, so that rules see the streak.

A fixed number of statements per batch, whatever its size.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from kit import copies
from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.errors import Unavailable
from kit.turns import in_turns
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Series
from services.rewards.domain.ledger import FREEZES, Posting
from services.rewards.domain.proofs import ACCEPTED, status_of
from services.rewards.domain.streaks import DONE, JOINED, State
from services.rewards.domain.undoing import Inverse, Way, checkin_undone_by, way_of_checkin
from services.rewards.expressions import Failed
from services.rewards.handlers import approving, calendars, proving, streaks, voiding
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.ledger import ensure_unit
from services.rewards.handlers.purging import is_history
from services.rewards.handlers.streaks import AGAIN, Standing
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
    """`streaks` by event id, as of the day each event was for, in its community's default series. `postings` are for
    the ledger, with the batch's grants. `statuses` say by event id whether a series took it as a check-in
    (`domain.proofs.status_of`)."""

    streaks: Mapping[UUID, State] = field(default_factory=dict)
    postings: Sequence[Posting] = ()
    statuses: Mapping[UUID, str] = field(default_factory=dict)


class _One(NamedTuple):
    """A check-in (`DONE`) or the coming to a programme (`JOINED`)."""

    activity: Activity
    held: Held
    member_id: UUID
    kind: str

    @property
    def key(self) -> Key:
        return self.activity.community_id, self.held.terms.present.id, self.member_id


def types_of(series: Sequence[Held]) -> set[str]:
    """The event types that count as a check-in, or make a member of a programme, somewhere in a community."""
    enabled = [held.terms.present for held in series if held.terms.present.enabled]
    joins = {name for one in enabled if one.programme is not None for name in one.programme.joins_on}
    return joins.union(*(one.on for one in enabled))


async def record(tx: Tx, found: Sequence[Activity], world: World) -> Recorded:
    """Note the check-ins among the activities, one a day, whichever comes first; take back what is undone."""
    some: list[_One] = []
    async for part in in_turns(found):
        some += [one for a in part for one in _candidates(a, world)]
    inverses = _about_checkins(world, found)
    if not some and not inverses:
        return Recorded()
    ways = {one.activity.event_id: way_of_checkin(one.activity) for one in some if one.kind == DONE}
    voids = await voiding.look(tx, _candidate_ways(found, ways), inverses)
    kept = await calendars.follow(tx, _owners(some, world))
    dated = [(one, day) for one in some if (day := _day(one, _calendar(one, kept))) is not None]
    dated, statuses = await _taken(tx, dated, voids.refused)
    if inverses and any(held.terms.judged for some_series in world.series.values() for held in some_series):
        await approving.stop(tx, inverses)
    wanted = {**await _undone(tx, voids, world), **_wanted(dated, kept, voids)}
    if not wanted:
        return Recorded(statuses=statuses)
    held = await streaks.hold(tx, wanted)
    voiding.void(held, voids.hits, tx.now)
    for one, day in dated:
        _note(tx, held[one.key], one, day, voids, ways)
    days = {key: set(want.days) for key, want in wanted.items()}
    saved = await streaks.save(tx, list(held.values()), days, await _today(tx, world, wanted, kept))
    if saved.postings:
        await ensure_unit(tx, {posting.community_id for posting in saved.postings}, FREEZES)
    default = {community_id: default_of(series) for community_id, series in world.series.items()}
    return Recorded(
        {one.activity.event_id: saved.seen[one.key][day] for one, day in dated
         if one.held is default[one.activity.community_id] and day in saved.seen[one.key]},
        saved.postings,
        statuses,
    )  # fmt: skip


async def _taken(
    tx: Tx, dated: Sequence[tuple[_One, date]], undone: Collection[UUID]
) -> tuple[list[tuple[_One, date]], dict[UUID, str]]:
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
    dated: Sequence[tuple[_One, date]], kept: Mapping[calendars.Owner, Calendar], voids: voiding.Voids
) -> dict[Key, streaks.Wanted]:
    days: dict[Key, set[date]] = {}
    for hit in voids.hits:
        days.setdefault(hit.key, set()).add(hit.day)
    for one, day in dated:
        days.setdefault(one.key, set()).add(day)
    return {one.key: streaks.Wanted(one.held.terms, _calendar(one, kept), days[one.key]) for one, _ in dated}


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
        owners[owner] = _zone(owner, world.communities[c], members.get(owner))
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
    places = {o: _zone(o, world.communities[o[0]], None) for o in missing}
    known = {**kept, **(await calendars.read(tx, places) if places else {})}
    return {c: known[c, c].day_of(tx.now) for c, _, _ in wanted}


async def today_of(tx: Tx, held: Held) -> date:
    """The day of now by the community's calendar; Unavailable while it is not known here."""
    place = await copies.known_community(tx, held.community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    owner = held.community_id, held.community_id
    read = await calendars.read(tx, {owner: _zone(owner, place, None)})
    return for_series(read[owner], held.terms.present).day_of(tx.now)


def _note(
    tx: Tx, standing: Standing, one: _One, day: date, voids: voiding.Voids, ways: Mapping[UUID, Way | None]
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


def default_of(series: Sequence[Held]) -> Held | None:
    """The oldest series that is enabled: the one that rules and answers speak of."""
    return next((held for held in series if held.terms.present.enabled), None)


def _candidates(a: Activity, world: World) -> list[_One]:
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
            out.append(_One(a, held, member_id, kind))
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


def _owners(some: Sequence[_One], world: World) -> dict[calendars.Owner, calendars.Zone]:
    out: dict[calendars.Owner, calendars.Zone] = {}
    for one in some:
        community_id = one.activity.community_id
        place = world.communities[community_id]
        for owner in {(community_id, community_id), owner_of(one.held.terms.present, community_id, one.member_id)}:
            out[owner] = _zone(owner, place, world.members.get((community_id, one.member_id)))
    return out


def owner_of(series: Series, community_id: UUID, member_id: UUID) -> calendars.Owner:
    """Whose calendar the days of a member in the series go by."""
    return community_id, member_id if series.scope == "member" else community_id


def _zone(owner: calendars.Owner, place: KnownCommunity, known: KnownMember | None) -> calendars.Zone:
    return (place.zone, place.day_start) if owner[0] == owner[1] else calendars.zone_of(place, known)


def _calendar(one: _One, kept: Mapping[calendars.Owner, Calendar]) -> Calendar:
    series = one.held.terms.present
    return for_series(kept[owner_of(series, one.activity.community_id, one.member_id)], series)


def for_series(calendar: Calendar, series: Series) -> Calendar:
    """The calendar with the series' own day start, where it has one."""
    if series.day_start is None:
        return calendar
    return Calendar(tuple([replace(stretch, day_start=series.day_start) for stretch in calendar.stretches]))


def _day(one: _One, calendar: Calendar) -> date | None:
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
