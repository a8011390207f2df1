"""How many activities each day of a community had (E19): figures that stay when the activities themselves go."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from kit import copies
from kit.copies import KnownCommunity
from kit.database import Tx
from kit.days import local_day
from services.events.store import retention

Key = tuple[UUID, date, str, str]


async def days_of(tx: Tx, moments: Sequence[tuple[UUID, datetime]]) -> list[date]:
    """The community's day of each moment, as its zone and the start of its day are now; UTC's where nothing is known
    of the community."""
    known = await copies.known_communities(tx, {community_id for community_id, _ in moments})
    days: dict[tuple[UUID, int], date] = {}
    out = []
    for community_id, at in moments:
        # Zones and days begin at full minutes; a batch has far fewer of these than activities.
        minute = community_id, int(at.timestamp()) // 60
        day = days.get(minute)
        if day is None:
            day = days[minute] = _day(known, community_id, at)
        out.append(day)
    return out


def _day(known: Mapping[UUID, KnownCommunity], community_id: UUID, at: datetime) -> date:
    place = known.get(community_id)
    return local_day(at, place.zone, place.day_start) if place is not None else local_day(at, "UTC", 0)


async def count_days(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Activities as stored just now, with their days: each counts once."""
    many: Counter[Key] = Counter((r["community_id"], r["day"], r["type"], r["group_ref"] or "") for r in rows)
    figures = [
        {"community_id": c, "day": day, "type": name, "group_ref": group, "count": n}
        for (c, day, name, group), n in many.items()
    ]
    await retention.count(tx, rows=figures)
