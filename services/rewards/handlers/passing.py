"""Badges for what is over: programmes, and periods of boards (handlers/percentiles.py).

When a programme is over and no late check-in is waited for, everybody in it is looked at.

What changes later (a repair, an operator's word) is seen when it happens, by handlers/awarding.py. A programme that was
over before the badge was made is looked at as well: facts are kept.
"""

from datetime import datetime, timedelta
from uuid import UUID

from kit import copies
from kit.copies import KnownCommunity
from kit.database import Tx, try_lock
from kit.days import day_bounds
from services.rewards.domain import badges as domain
from services.rewards.domain.checkins import Series
from services.rewards.handlers import badges, checkins, mending, percentiles, standings
from services.rewards.handlers.awarding import Result, shown
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import hold, save
from services.rewards.store import badges as store
from services.rewards.store import checkins as checkins_store

PAGE = 200
LAST_ZONE = "Etc/GMT+12"
"""Nobody's day ends after this zone's."""


async def look(tx: Tx) -> bool:
    """The next members of the next programme or period that is over; whether there was one. One process at a time."""
    if not await try_lock(tx, "badges for programmes"):
        return False
    run = await store.due_run(tx)
    if run is None:
        return False
    one = await badges.existing(tx, run.community_id, run.badge_id)
    place = await copies.known_community(tx, run.community_id)
    row = run._asdict()
    if place is not None and run.slot != store.NO_SLOT:
        await percentiles.look(tx, run, one, place)
        return True
    if place is None or not one.badge.enabled:
        # Some other day: it may be granted again.
        await store.put_run(tx, {**row, "due_at": tx.now + timedelta(days=1)})
        return True
    series = (await checkins.existing(tx, run.community_id, one.badge.criterion.series)).terms.present
    due = _over(series, place)
    if due > tx.now:
        await store.put_run(tx, {**row, "due_at": due})
        return True
    after = await _page(tx, one, run.after_member)
    await store.put_run(tx, {**row, "after_member": after or run.after_member, "done": after is None})
    return True


def _over(series: Series, place: KnownCommunity) -> datetime:
    """When its programme is over for everybody, whatever their zones, late check-ins included."""
    assert series.programme is not None
    last = series.programme.last_day
    start = place.day_start if series.day_start is None else series.day_start
    return day_bounds(last, LAST_ZONE, start)[1] + timedelta(hours=series.late_grace_hours)


async def _page(tx: Tx, one: Defined, after: UUID | None) -> UUID | None:
    """Grant it to those of a page who have it to show; the last of them, None when nobody follows.

    Held before their facts are read: what changes meanwhile is seen here, or by who changes it.
    """
    series_id = one.badge.criterion.series
    members = await checkins_store.members_of(tx, one.community_id, series_id, after=after, limit=PAGE)
    held = await hold(tx, {(one.community_id, one.badge.id, member): one for member in members})
    for seat in await standings.seats(tx, one.community_id, series_id, members):
        member, programme = seat.standing.key[2], seat.held.terms.present.programme
        if programme is None:
            continue
        ended = seat.standing.calendar.end_of(programme.last_day)
        result = Result(one.community_id, member, series_id, mending.results(seat), ended)
        standing = held[one.community_id, one.badge.id, member]
        value, since = shown(one.badge, result)
        if domain.may_change(one.badge, standing.standing, value, tx.now):
            standing.take(domain.measured(one.badge, standing.standing, value, since, tx.now))
    await save(tx, list(held.values()))
    return members[-1] if len(members) == PAGE else None
