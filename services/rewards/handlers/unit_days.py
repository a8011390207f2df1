"""Adding up what went through units' system accounts, day by day, behind the chain: every sealed transaction once.

Who posts knows nothing of it. What was posted a moment ago is in no day yet; `through` says up to when they are."""

from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from kit.copies import known_community
from kit.database import Database, Tx, try_lock
from kit.days import local_day
from kit.errors import BadRequest, NotFound, Unavailable
from services.rewards.domain.unit_days import MOST_DAYS, Day, days_of, inflation
from services.rewards.store import chain
from services.rewards.store import ledger as ledger_store
from services.rewards.store import unit_days as store

MOST = 2000
"""So many transactions at a time, and those of one block more."""

USUAL = timedelta(days=29)


async def add_up_some(db: Database) -> int:
    """The next blocks of every community that has some; how many transactions."""
    async with db.read() as tx:
        those = await store.behind(tx)
    done = 0
    for community_id in those:
        async with db.begin() as tx:
            done += await _add_up(tx, community_id)
    return done


async def _add_up(tx: Tx, community_id: UUID) -> int:
    # Another process that is at it would make this one wait at the head.
    if not await try_lock(tx, f"unit days {community_id}"):
        return 0
    number = await store.hold(tx, community_id)
    ids: list[UUID] = []
    while len(ids) < MOST and (block := await chain.block(tx, community_id, number + 1)) is not None:
        ids += block.ids
        number = block.number
    await store.add(tx, await store.flows_of(tx, community_id, ids))
    await store.move_on(tx, community_id, number)
    return len(ids)


class Economy(NamedTuple):
    """A unit's days, by how many per cent what is about grew in them (None: from nothing), and up to when they are
    added up (None: nothing is)."""

    days: list[Day]
    inflation: float | None
    through: datetime | None


async def economy(tx: Tx, community_id: UUID, unit: str, since: date | None, until: date | None) -> Economy:
    """NotFound for a unit that there is not, BadRequest for more than 366 days."""
    if unit not in await ledger_store.units_of(tx, community_id):
        raise NotFound("no such unit", code="unit_unknown")
    place = await known_community(tx, community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    until = until or local_day(tx.now, place.zone, place.day_start)
    since = since or max(date.min + USUAL, until) - USUAL
    if not timedelta(0) <= until - since < timedelta(days=MOST_DAYS):
        raise BadRequest(f"`from` is at most {MOST_DAYS - 1} days before `to`", code="days_invalid")
    before = await store.before(tx, community_id, unit, since)
    days = list(days_of(before, await store.between(tx, community_id, unit, since, until), since, until))
    return Economy(days, inflation(before, days[-1]), await store.through(tx, community_id))
