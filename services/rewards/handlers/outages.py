"""When bots were silent (R28): kept for the streaks of those who use them, and which days they excuse is announced."""

from collections.abc import Sequence

from kit import copies, outbox
from kit.contracts import Envelope
from kit.contracts.events import GapChanged
from kit.contracts.rewards import DaysExcused
from kit.database import Tx
from services.rewards.domain.calendars import ONE_DAY, Calendar, calendar_of
from services.rewards.domain.outages import Gap, excused
from services.rewards.handlers import calendars, checkins
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.series_days import for_series
from services.rewards.handlers.streaks import GAPS_KEPT
from services.rewards.store import checkins as store

HEARTBEAT = "heartbeat"


async def follow_gaps(tx: Tx, batch: list[Envelope[GapChanged]]) -> None:
    """Keep when bots were silent. Numbers that are missing (`sequence`) say nothing of whether one was there."""
    newest = {(e.event.community_id, e.event.gap_id): e.event for e in batch if e.event.kind == HEARTBEAT}
    names = ("community_id", "gap_id", "connection_id", "since", "until")
    await store.put_gaps(tx, [{name: getattr(gap, name) for name in names} for gap in newest.values()])
    await store.forget_gaps(tx, tx.now - GAPS_KEPT)
    await _announce(tx, [gap for gap in newest.values() if gap.until is not None])


async def _announce(tx: Tx, ended: Sequence[GapChanged]) -> None:
    """The days that each silence excuses, now that it is over: before, it might have grown."""
    if not ended:
        return
    communities = {gap.community_id for gap in ended}
    places = await copies.known_communities(tx, communities)
    kept = await calendars.stored(tx, {(c, c) for c in communities})
    series = await checkins.in_force(tx, communities)
    for gap in ended:
        c = gap.community_id
        if c not in places:
            continue
        calendar = kept.get((c, c)) or calendar_of(places[c].zone, places[c].day_start)
        for held in series.get(c, ()):
            _announce_one(tx, gap, held, calendar)


def _announce_one(tx: Tx, gap: GapChanged, held: Held, of_community: Calendar) -> None:
    one = held.terms.present
    if not one.enabled or one.outage_hours is None:
        return
    calendar = for_series(of_community, one)
    silence = Gap(gap.connection_id, gap.since, gap.until)
    before = calendar.day_of(gap.since) - ONE_DAY
    days = excused([silence], gap.connection_id, before, one.outage_hours, calendar, tx.now)
    if days:
        event = DaysExcused(
            community_id=gap.community_id,
            series_id=one.id,
            connection_id=gap.connection_id,
            gap_id=gap.gap_id,
            days=tuple(day.isoformat() for day in sorted(days)),
        )
        outbox.add(tx, event)
