"""How many activities each day of a community had (E19): figures that stay when the activities themselves go."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from kit import copies
from kit.copies import KnownCommunity
from kit.database import Tx
from kit.days import day_bounds, local_day
from services.events.store import retention

Key = tuple[UUID, date, str, str | None]


async def days_of(tx: Tx, moments: Sequence[tuple[UUID, datetime]]) -> list[date]:
    """The community's day of each moment, as its zone and the start of its day are now; UTC's where nothing is known
    of the community."""
    known = await copies.known_communities(tx, {community_id for community_id, _ in moments})
    last: dict[UUID, tuple[datetime, datetime, date]] = {}
    out = []
    for community_id, at in moments:
        # Most of a batch lies in one day, and looking at its ends takes a tenth of working the day out.
        found = last.get(community_id)
        if found is None or not found[0] <= at < found[1]:
            found = last[community_id] = _day(known.get(community_id), at)
        out.append(found[2])
    return out


def _day(place: KnownCommunity | None, at: datetime) -> tuple[datetime, datetime, date]:
    """First instant of the day, of the next one, and the day."""
    zone, start = (place.zone, place.day_start) if place is not None else ("UTC", 0)
    day = local_day(at, zone, start)
    return *day_bounds(day, zone, start), day


_key_of = itemgetter("community_id", "day", "type", "group_ref")


async def count_days(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Activities as stored just now, with their days: each counts once."""
    many: Counter[Key] = Counter(map(_key_of, rows))
    figures = [
        {"community_id": c, "day": day, "type": name, "group_ref": group or "", "count": n}
        for (c, day, name, group), n in many.items()
    ]
    await retention.count(tx, rows=figures)
