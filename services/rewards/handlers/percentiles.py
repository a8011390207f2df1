"""Badges for whoever was among the best of a period of a board, when that is final.

In the transaction that makes it final only a run is noted for each badge: who is among the best may be many. The
score that is enough is worked out once, at the run's beginning; the lines it is compared with change no more.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import copies
from kit.copies import KnownCommunity
from kit.database import Tx
from kit.days import day_bounds
from services.rewards.domain import badges as domain
from services.rewards.domain.backfills import OPEN
from services.rewards.domain.badges import PERCENTILE, Grant, Since, once, places
from services.rewards.domain.boards import Slot
from services.rewards.handlers import badges
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.checking_in import AWAY
from services.rewards.handlers.granting import hold, save
from services.rewards.store import backfills, closing
from services.rewards.store import badges as store

PAGE = 200
WAITS = timedelta(minutes=1)
LEAST_SCORE = 1
"""Who has nothing, or less, is not among the best of anything."""


async def begin(tx: Tx, slot: Slot) -> None:
    """Note what badges in force have to be looked at for a period that becomes final in this transaction."""
    community_id = slot.board.community_id
    for one in (await badges.in_force(tx, [community_id])).get(community_id, []):
        wanted = one.badge.criterion
        if (wanted.kind, wanted.board, wanted.period) == (PERCENTILE, slot.board.id, slot.kind):
            await store.put_run(tx, store.new_run(tx, community_id, one.badge.id, slot.id))


async def look(tx: Tx, run: Any, one: Defined, place: KnownCommunity) -> None:
    """The next members of a run. It is over when there are no more, when the badge is granted no more, and when its
    board was deleted. Where earlier periods are looked at for the badge (handlers/backfills) it waits for them."""
    backfill = await backfills.one(tx, one.community_id, one.badge.id)
    if backfill is not None and backfill.state in OPEN:
        await store.put_run(tx, {**run._asdict(), "due_at": tx.now + WAITS})
        return
    last_day = await closing.last_day(tx, run.slot) if one.badge.enabled else None
    enough = run.enough
    if last_day is not None and enough is None:
        enough = await enough_of(tx, run.slot, one.badge.criterion.percent)
    if last_day is None or enough is None:
        await store.end_run(tx, run)
        return
    ended_at = day_bounds(last_day, place.zone, place.day_start)[1]
    after, _ = await page(tx, one, run, enough, once(ended_at))
    if after is None:
        await store.end_run(tx, run)
    else:
        await store.put_run(tx, {**run._asdict(), "after_member": after, "enough": enough})


async def enough_of(tx: Tx, slot: UUID, percent: int) -> int | None:
    """The score that is among the best; None where nobody is shown."""
    members = await closing.shown_in(tx, slot)
    if not members:
        return None
    return max(LEAST_SCORE, await closing.score_at(tx, slot, places(members, percent)))


async def page(tx: Tx, one: Defined, run: Any, enough: int, since: Since) -> tuple[UUID | None, int]:
    """Grant it to the next of them in the period (`slot`), behind `after_member`; the last one looked at, None when
    nobody follows, and to how many it was granted."""
    found = await closing.members_with(tx, run.slot, enough, after=run.after_member, limit=PAGE)
    known = await copies.known_members(tx, one.community_id, found)
    members = [member for member in found if member not in known or known[member].state not in AWAY]
    held = await hold(tx, {(one.community_id, one.badge.id, member): one for member in members})
    for standing in held.values():
        if domain.may_change(one.badge, standing.standing, 1, tx.now):
            standing.take(domain.measured(one.badge, standing.standing, 1, since, tx.now))
    await save(tx, list(held.values()))
    granted = sum(isinstance(change, Grant) for standing in held.values() for change in standing.changes)
    return (found[-1] if len(found) == PAGE else None), granted
