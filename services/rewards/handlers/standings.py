"""All members of a check-in series with their days: the table of a programme."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kit import copies
from kit.database import Tx
from kit.errors import Unavailable
from services.rewards.handlers import calendars, checkins, streaks
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.mending import Seat
from services.rewards.handlers.series_days import for_series, owner_of
from services.rewards.store import checkins as store


class Table(NamedTuple):
    """Members in the order of their ids; `more` says whether others follow."""

    held: Held
    seats: Sequence[Seat]
    more: bool


async def table(tx: Tx, community_id: UUID, series_id: str, *, after: UUID | None, limit: int) -> Table:
    """Who ever checked in or joined, recomputed from all facts; a fixed number of statements a page."""
    held = await checkins.existing(tx, community_id, series_id)
    found = await store.members_of(tx, community_id, series_id, after=after, limit=limit + 1)
    return Table(held, await seats(tx, community_id, series_id, found[:limit]), len(found) > limit)


async def seats(tx: Tx, community_id: UUID, series_id: str, ids: Sequence[UUID]) -> list[Seat]:
    """These members in a series, recomputed from all facts; a fixed number of statements."""
    held = await checkins.existing(tx, community_id, series_id)
    place = await copies.known_community(tx, community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    series = held.terms.present
    known = await copies.known_members(tx, community_id, ids)
    wanted = {(community_id, community_id): (place.zone, place.day_start)}
    if series.scope == "member":
        wanted |= {(community_id, id): calendars.zone_of(place, known.get(id)) for id in ids}
    kept = await calendars.read(tx, wanted)
    days = {id: for_series(kept[owner_of(series, community_id, id)], series) for id in ids}
    seen = await streaks.views(tx, community_id, held.terms, days)
    today = kept[community_id, community_id].day_of(tx.now)
    return [Seat(held, seen[id], today) for id in ids]
