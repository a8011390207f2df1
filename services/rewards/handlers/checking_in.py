"""Activities into check-ins: the facts of a batch, before its rules run, so that rules see the streak.

A fixed number of statements per batch, whatever its size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Series
from services.rewards.domain.ledger import Posting
from services.rewards.domain.streaks import DONE, State
from services.rewards.expressions import Failed
from services.rewards.handlers import calendars, streaks
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.ledger import ensure_unit
from services.rewards.handlers.purging import is_history
from services.rewards.store.checkins import Key

AWAY = ("removed", "banned", "erased")


class World(NamedTuple):
    """What is known of where the activities happened; `holds` says whether a condition holds of an activity."""

    communities: Mapping[UUID, KnownCommunity]
    series: Mapping[UUID, Sequence[Held]]
    ids: Mapping[tuple[UUID, UUID], UUID]
    members: Mapping[tuple[UUID, UUID], KnownMember]
    holds: Callable[[Activity, str], bool]


@dataclass(frozen=True, slots=True)
class Recorded:
    """`streaks` by event id, as of the day each event was for, in its community's default series. `postings` are for
    the ledger, with the batch's grants."""

    streaks: Mapping[UUID, State] = field(default_factory=dict)
    postings: Sequence[Posting] = ()


class _One(NamedTuple):
    activity: Activity
    held: Held
    member_id: UUID

    @property
    def key(self) -> Key:
        return self.activity.community_id, self.held.terms.present.id, self.member_id


def types_of(series: Sequence[Held]) -> set[str]:
    """The event types that count as a check-in somewhere in a community."""
    return {name for held in series if held.terms.present.enabled for name in held.terms.present.on}


async def record(tx: Tx, found: Sequence[Activity], world: World) -> Recorded:
    """Note the check-ins among the activities; one a day counts, whichever comes first."""
    some = [one for a in found for one in _candidates(a, world)]
    if not some:
        return Recorded()
    kept = await calendars.follow(tx, _owners(some, world))
    dated = [(one, day) for one in some if (day := _day(one, _calendar(one, kept))) is not None]
    days: dict[Key, set[date]] = {}
    for one, day in dated:
        days.setdefault(one.key, set()).add(day)
    wanted = {one.key: streaks.Wanted(one.held.terms, _calendar(one, kept), days[one.key]) for one, _ in dated}
    held = await streaks.hold(tx, wanted)
    for one, day in dated:
        standing, a = held[one.key], one.activity
        if not standing.of(DONE, day) and a.event_id not in standing.undone:
            standing.add(DONE, day, a.effective_at, tx.now, event_id=a.event_id, connection_id=a.connection_id)
    today = {c: kept[c, c].day_of(tx.now) for c in {one.activity.community_id for one, _ in dated}}
    saved = await streaks.save(tx, list(held.values()), days, today)
    if saved.postings:
        await ensure_unit(tx, {posting.community_id for posting in saved.postings}, streaks.FREEZES)
    default = {community_id: default_of(series) for community_id, series in world.series.items()}
    return Recorded(
        {one.activity.event_id: saved.seen[one.key][day] for one, day in dated
         if one.held is default[one.activity.community_id] and day in saved.seen[one.key]},
        saved.postings,
    )  # fmt: skip


def default_of(series: Sequence[Held]) -> Held | None:
    """The oldest series that is enabled: the one that rules and answers speak of."""
    return next((held for held in series if held.terms.present.enabled), None)


def _candidates(a: Activity, world: World) -> list[_One]:
    if a.actor_id is None or a.data.get("bot") is True or "throttled" in a.flags:
        return []
    out = []
    for held in world.series.get(a.community_id, ()):
        series = held.terms.present
        if not series.enabled or a.type not in series.on:
            continue
        member_id = world.ids[a.community_id, a.actor_id]
        known = world.members.get((a.community_id, member_id))
        if known is not None and (known.kind == "bot" or known.state in AWAY):
            return []
        if series.when is None or _holds(a, series.when, world):
            out.append(_One(a, held, member_id))
    return out


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
        out[community_id, community_id] = place.zone, place.day_start
        if one.held.terms.present.scope == "member":
            known = world.members.get((community_id, one.member_id))
            out[community_id, one.member_id] = calendars.zone_of(place, known)
    return out


def _calendar(one: _One, kept: Mapping[calendars.Owner, Calendar]) -> Calendar:
    series, community_id = one.held.terms.present, one.activity.community_id
    owner = one.member_id if series.scope == "member" else community_id
    return for_series(kept[community_id, owner], series)


def for_series(calendar: Calendar, series: Series) -> Calendar:
    """The calendar with the series' own day start, where it has one."""
    if series.day_start is None:
        return calendar
    return Calendar(tuple([replace(stretch, day_start=series.day_start) for stretch in calendar.stretches]))


def _day(one: _One, calendar: Calendar) -> date | None:
    """The day a check-in is for; None for one that is too late for its day, or before it."""
    a, series = one.activity, one.held.terms.present
    try:
        named: Any = a.data.get(series.date_field) if series.date_field is not None else None
        day = calendar.day_of(a.effective_at) if named is None else date.fromisoformat(named)
    except (TypeError, ValueError):
        return None
    if day > calendar.day_of(max(a.received_at, a.effective_at)):
        return None
    if is_history(a):
        return day
    late = a.received_at - calendar.end_of(day)
    return day if late <= timedelta(hours=series.late_grace_hours) else None
