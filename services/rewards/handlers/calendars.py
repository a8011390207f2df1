"""Whose days go by which zone: calendars of communities, and of members where a series goes by theirs (R22).

A community's change is announced as the day begins from which it holds. A member's holds from the day after the one
on which this service learns of it, so that no day that was counted is counted anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from kit import copies
from kit.contracts import Envelope
from kit.contracts.members import CommunityChanged, MemberChanged
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from services.rewards.domain.calendars import Calendar, Stretch, calendar_of
from services.rewards.store import checkins as store

Owner = tuple[UUID, UUID]
"""(community, member), or the community's id twice."""
Zone = tuple[str, int]
"""(IANA name, day start in minutes)"""


def zone_of(place: KnownCommunity, known: KnownMember | None) -> Zone:
    """What a member's days go by: their own zone where they have one, the community's day start."""
    return (known.zone if known is not None and known.zone else place.zone), place.day_start


async def read(tx: Tx, wanted: Mapping[Owner, Zone]) -> dict[Owner, Calendar]:
    """The calendars of these owners as they are or, where `wanted` says another zone than they do, will be."""
    there = await stored(tx, wanted)
    return {owner: _planned(tx, owner, there.get(owner), zone) for owner, zone in wanted.items()}


async def follow(tx: Tx, wanted: Mapping[Owner, Zone]) -> dict[Owner, Calendar]:
    """The same, kept: who had none has one from now on."""
    there = await stored(tx, wanted)
    out = {owner: _planned(tx, owner, there.get(owner), zone) for owner, zone in wanted.items()}
    await _keep(tx, there, out)
    return out


async def follow_communities(tx: Tx, batch: list[Envelope[CommunityChanged]]) -> None:
    """Another zone or day start of a community; news older than the last change (told once more) is passed over."""
    there = await stored(tx, {(e.event.community_id, e.event.community_id) for e in batch})
    new = dict(there)
    for envelope in batch:
        news = envelope.event
        owner = news.community_id, news.community_id
        if owner not in new:
            new[owner] = calendar_of(news.zone, news.day_start)
        elif envelope.time >= new[owner].stretches[-1].since:
            new[owner] = new[owner].begun(envelope.time, news.zone, news.day_start)
    await _keep(tx, there, new)


async def follow_members(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Another zone of members whose days go by a calendar of their own. What is known of them now counts, not what the
    batch says: it may be told once more."""
    owners = {(e.event.community_id, e.event.member_id) for e in batch}
    there = await stored(tx, owners)
    if not there:
        return
    places = await copies.known_communities(tx, {community_id for community_id, _ in there})
    members = await copies.known_members_of(tx, there)
    wanted = {o: zone_of(places[o[0]], members.get(o)) for o in there if o[0] in places}
    await _keep(tx, there, {owner: there[owner].changed(tx.now, *zone) for owner, zone in wanted.items()})


def _planned(tx: Tx, owner: Owner, stored: Calendar | None, zone: Zone) -> Calendar:
    if stored is None:
        return calendar_of(*zone)
    # A community's change is known by its announcement alone.
    return stored if owner[0] == owner[1] else stored.changed(tx.now, *zone)


async def stored(tx: Tx, owners: Iterable[Owner]) -> dict[Owner, Calendar]:
    """The calendars that are kept; owners that have none yet are missing."""
    rows = await store.stretches(tx, owners)
    return {o: Calendar(tuple([Stretch(r.since, r.zone, r.day_start) for r in some])) for o, some in rows.items()}


async def _keep(tx: Tx, stored: Mapping[Owner, Calendar], new: Mapping[Owner, Calendar]) -> None:
    gone: list[tuple[UUID, UUID, Any]] = []
    come: list[dict[str, Any]] = []
    for (community_id, owner_id), calendar in new.items():
        there = stored.get((community_id, owner_id))
        before, after = set(there.stretches if there is not None else ()), set(calendar.stretches)
        gone += [(community_id, owner_id, stretch.since) for stretch in before - after]
        come += [
            {
                "community_id": community_id,
                "owner_id": owner_id,
                "since": stretch.since,
                "zone": stretch.zone,
                "day_start": stretch.day_start,
            }
            for stretch in after - before
        ]
    if gone:
        await store.remove_stretches(tx, gone)
    await store.add_stretches(tx, come)
