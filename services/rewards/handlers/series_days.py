"""Which series a community speaks of, and by whose calendar the days of one go."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from kit import copies
from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.errors import Unavailable
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Series
from services.rewards.handlers import calendars
from services.rewards.handlers.checkins import Held
from services.rewards.store.checkins import Key


class One(NamedTuple):
    """An activity of a member in a series: a check-in (`DONE`), the coming to a programme (`JOINED`), or one that only
    looks at the streak (""). `order` is its place in the batch."""

    order: int
    activity: Activity
    held: Held
    member_id: UUID
    kind: str

    @property
    def key(self) -> Key:
        return self.activity.community_id, self.held.terms.present.id, self.member_id


def default_of(series: Sequence[Held]) -> Held | None:
    """The oldest series that is enabled: the one that rules and answers speak of."""
    return next((held for held in series if held.terms.present.enabled), None)


def owner_of(series: Series, community_id: UUID, member_id: UUID) -> calendars.Owner:
    """Whose calendar the days of a member in the series go by."""
    return community_id, member_id if series.scope == "member" else community_id


def zone_of_owner(owner: calendars.Owner, place: KnownCommunity, known: KnownMember | None) -> calendars.Zone:
    return (place.zone, place.day_start) if owner[0] == owner[1] else calendars.zone_of(place, known)


def for_series(calendar: Calendar, series: Series) -> Calendar:
    """The calendar with the series' own day start, where it has one."""
    if series.day_start is None:
        return calendar
    return Calendar(tuple([replace(stretch, day_start=series.day_start) for stretch in calendar.stretches]))


async def today_of(tx: Tx, held: Held) -> date:
    """The day of now by the community's calendar; Unavailable while it is not known here."""
    place = await copies.known_community(tx, held.community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    owner = held.community_id, held.community_id
    read = await calendars.read(tx, {owner: zone_of_owner(owner, place, None)})
    return for_series(read[owner], held.terms.present).day_of(tx.now)


def owners_of(
    some: Sequence[One],
    communities: Mapping[UUID, KnownCommunity],
    members: Mapping[tuple[UUID, UUID], KnownMember],
) -> dict[calendars.Owner, calendars.Zone]:
    """Whose calendars these go by, with the zones of now: the communities' among them."""
    out: dict[calendars.Owner, calendars.Zone] = {}
    for one in some:
        community_id = one.activity.community_id
        place = communities[community_id]
        for owner in {(community_id, community_id), owner_of(one.held.terms.present, community_id, one.member_id)}:
            out[owner] = zone_of_owner(owner, place, members.get((community_id, one.member_id)))
    return out


def calendar_of(one: One, kept: Mapping[calendars.Owner, Calendar]) -> Calendar:
    """The one of `kept` that its day goes by."""
    series = one.held.terms.present
    return for_series(kept[owner_of(series, one.activity.community_id, one.member_id)], series)
