"""What activities see of a streak: their actor's in the community's default series, as of the day of each.

It is looked at for the types whose rules or badges ask. Seen are the facts that were known when the activity was
handled: those of activities before it in its batch, and none of those after it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from kit.contracts.events import Activity
from kit.database import Tx
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.erasing import ERASED
from services.rewards.domain.streaks import Past, State
from services.rewards.expressions import STREAKS, names_in
from services.rewards.handlers import calendars
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.series_days import One, calendar_of, default_of, owners_of
from services.rewards.handlers.streaks import Standing, Wanted
from services.rewards.store.checkins import Key

if TYPE_CHECKING:
    from services.rewards.handlers.checking_in import World
    from services.rewards.handlers.earning import Scene


class Watch:
    """A streak that is looked at between one change of its facts and the next."""

    def __init__(self, of: Standing) -> None:
        self._of, self._past = of, Past(of.before)
        self._facts, self._seen = of.facts(), (len(of.added), len(of.voided))
        self._days: dict[date, State] = {}

    def on(self, day: date) -> State:
        """As of the day, by the facts of now; the day is one that the standing was read for."""
        one, (added, voided) = self._of, self._seen
        fresh = [*one.added[added:], *one.voided[voided:]]
        if fresh:
            for fact in fresh:
                self._past.changed(fact.day)
            self._facts, self._seen = one.facts(), (len(one.added), len(one.voided))
            self._days.clear()
        if day not in self._days:
            self._days[day] = self._past.on(day, self._facts, one.terms)
        return self._days[day]


class Look(NamedTuple):
    """An activity at its place in the batch, and the streak that it looks at, with its day."""

    order: int
    event_id: UUID
    key: Key
    wanted: Wanted


def asking(scene: "Scene") -> Mapping[UUID, frozenset[str]]:
    """Community → the types of events whose actor's streak rules or badges look at."""
    return {c: held.streaks | of_badges(scene.badges.get(c, ())) for c, held in scene.rules.items()}


def of_badges(defined: Sequence[Defined]) -> frozenset[str]:
    """The types of events whose actor's streak these look at."""
    criteria = [one.badge.criterion for one in defined]
    some = [one.on for one in criteria if one.when is not None and not STREAKS.isdisjoint(names_in(one.when))]
    return frozenset().union(*some)


def unseen(found: Sequence[Activity], asking: Mapping[UUID, Collection[str]]) -> dict[UUID, State]:
    """By event id, the streak of those that none is found for: it was asked for, and this is what was seen."""
    return {a.event_id: State() for a in found if a.type in asking.get(a.community_id, ())}


def askers(found: Sequence[Activity], world: "World", asking: Mapping[UUID, Collection[str]]) -> list[One]:
    """The activities of these types whose actor may have a streak in the default series."""
    out = []
    for order, a in enumerate(found):
        if a.actor_id is None or a.type not in asking.get(a.community_id, ()):
            continue
        held, member_id = default_of(world.series.get(a.community_id, ())), world.ids[a.community_id, a.actor_id]
        known = world.members.get((a.community_id, member_id))
        if held is not None and (known is None or known.state != ERASED):
            out.append(One(order, a, held, member_id, ""))
    return out


async def looks(
    tx: Tx,
    askers: Sequence[One],
    dated: Sequence[tuple[One, date]],
    world: "World",
    kept: Mapping[calendars.Owner, Calendar],
) -> dict[int, Look]:
    """By the place in the batch: what the default series took of `dated` looks at the day that it is for, others at
    the one they were on."""
    owners = owners_of(askers, world.communities, world.members)
    missing = {owner: zone for owner, zone in owners.items() if owner not in kept}
    known = {**kept, **(await calendars.read(tx, missing) if missing else {})}
    default = {community_id: default_of(series) for community_id, series in world.series.items()}
    days = [(one, calendar_of(one, known).day_of(one.activity.effective_at)) for one in askers]
    days += [(one, day) for one, day in dated if one.held is default[one.activity.community_id]]
    return {one.order: _look(one, Wanted(one.held.terms, calendar_of(one, known), [day])) for one, day in days}


def _look(one: One, wanted: Wanted) -> Look:
    return Look(one.order, one.activity.event_id, one.key, wanted)


def wanted(looks: Iterable[Look]) -> dict[Key, Wanted]:
    """The streaks that they look at, each with all its days."""
    out: dict[Key, Wanted] = {}
    for look in looks:
        out[look.key] = both(look.wanted, out.get(look.key))
    return out


def both(one: Wanted, other: Wanted | None) -> Wanted:
    """The days of both."""
    return one if other is None else one._replace(days={*one.days, *other.days})
