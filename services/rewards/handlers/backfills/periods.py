"""Badges for the best of a board's periods: those that are final already, one after the other as they ended, since one
that expired is reached again by a later one. Periods that become final meanwhile wait (`handlers.percentiles`)."""

from datetime import date
from typing import Any

from kit.copies import KnownCommunity, known_community
from kit.database import Database, Tx, try_lock
from kit.days import day_bounds, local_day
from services.rewards.domain.backfills import CANCELLED, DONE
from services.rewards.domain.badges import once
from services.rewards.handlers.backfills.counting import lock_name
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.percentiles import enough_of, page
from services.rewards.store import backfills as store
from services.rewards.store import boards as boards_store


async def take_on(db: Database, row: Any, one: Defined) -> bool:
    """The next members of the next period; False when another process is at it."""
    async with db.begin() as tx:
        if not await try_lock(tx, lock_name(row)):
            return False
        now = await store.still_open(tx, row)
        if now is None:
            return True
        place = await known_community(tx, one.community_id)
        board = await boards_store.board(tx, one.community_id, one.badge.criterion.board)
        if not one.badge.enabled or board is None or place is None:
            await store.change(tx, now, state=CANCELLED)
            return True
        if now.enough is None:
            await _begin(tx, now, one, board.generation, _since(now, place))
        else:
            await _page(tx, now, one, place)
    return True


def _since(row: Any, place: KnownCommunity) -> date | None:
    return None if row.since is None else local_day(row.since, place.zone, place.day_start)


async def _begin(tx: Tx, row: Any, one: Defined, generation: Any, since: date | None) -> None:
    """The next period; or there is none any more."""
    wanted = one.badge.criterion
    after = None if row.slot is None else (row.after_day, row.slot)
    period = await store.next_period(tx, generation, wanted.period, since, after)
    if period is None:
        await store.change(tx, row, state=DONE)
        return
    enough = await enough_of(tx, period.slot, wanted.percent)
    values = {"slot": period.slot, "after_day": period.last_day, "enough": enough, "after_member": None}
    await store.change(tx, row, **values, done=row.done + (enough is None))


async def _page(tx: Tx, row: Any, one: Defined, place: KnownCommunity) -> None:
    ended_at = day_bounds(row.after_day, place.zone, place.day_start)[1]
    after, granted = await page(tx, one, row, row.enough, once(ended_at, history=row.silent))
    values = {"after_member": after, "granted": row.granted + granted}
    if after is None:
        values |= {"enough": None, "done": row.done + 1}
    await store.change(tx, row, **values)
