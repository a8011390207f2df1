"""What a member's month came to, for its poster, and the code by which whoever holds one asks for the same."""

import secrets
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from kit.database import Database, Tx
from kit.days import day_bounds, local_day
from kit.errors import NotFound, Unprocessable
from services.rewards.domain.boards import days_of
from services.rewards.domain.certificates import plain
from services.rewards.domain.paper import Locale
from services.rewards.domain.posters import Poster
from services.rewards.domain.streaks import COUNTED
from services.rewards.handlers import checkins, mending
from services.rewards.handlers.certificates import Whom, whom
from services.rewards.handlers.series_days import default_of
from services.rewards.store import badges as store
from services.rewards.store import entries, erasures, ledger
from services.rewards.store import posters as codes


async def of_member(tx: Tx, community_id: UUID, member_id: UUID, month: date, *, locale: Locale | None) -> Poster:
    """The month that begins on this day, as far as it went; the check-ins are those of the community's first series.
    Unprocessable for one to come, NotFound for who had their data erased."""
    whose = await whom(tx, community_id, member_id, locale)
    if whose is None:
        raise _erased()
    if month > local_day(tx.now, whose.place.zone, whose.place.day_start):
        raise Unprocessable("this month is yet to come", code="month_in_future")
    first, last = days_of("month", month)
    done, streak = await _check_ins(tx, community_id, member_id, first, last)
    return Poster(
        community=whose.place.name,
        member=whose.name,
        month=month,
        points=await _points(tx, community_id, member_id, first, last),
        checkins=done,
        streak=streak,
        badges=await _badges(tx, community_id, member_id, whose, first, last),
        locale=whose.locale,
    )


async def code_of(db: Database, community_id: UUID, member_id: UUID, month: date) -> str:
    """The code of this poster, made when it is first asked for and the same for ever; NotFound for who had their data
    erased meanwhile."""
    async with db.read() as tx:
        found = await codes.code_of(tx, community_id, member_id, month)
    if found is not None:
        return found
    async with db.begin() as tx:
        if await erasures.closed(tx, community_id, [member_id]):
            raise _erased()
        await codes.add_code(tx, community_id, member_id, month, secrets.token_hex(16))
        # Another's, where two asked at once.
        made = await codes.code_of(tx, community_id, member_id, month)
    assert made is not None
    return made


async def verify(tx: Tx, code: str) -> Poster:
    """What the poster with this code says by now; NotFound for a code of nothing, and of who had their data erased."""
    row = await codes.with_code(tx, plain(code))
    if row is None:
        raise NotFound("there is no poster with this code", code="poster_unknown")
    return await of_member(tx, row.community_id, row.member_id, row.month, locale=None)


def _erased() -> NotFound:
    return NotFound("the member had their data erased", code="poster_unknown")


async def _points(tx: Tx, community_id: UUID, member_id: UUID, first: date, last: date) -> tuple[tuple[str, int], ...]:
    amounts = await entries.scored_between(tx, community_id, member_id, first, last)
    units = await ledger.units_of(tx, community_id)
    return tuple([(unit.name, amounts[unit.id]) for unit in units.values() if amounts.get(unit.id)])


async def _check_ins(tx: Tx, community_id: UUID, member_id: UUID, first: date, last: date) -> tuple[int, int]:
    """On how many days, and how long the streak was on the best of them."""
    held = default_of((await checkins.in_force(tx, [community_id])).get(community_id, []))
    if held is None:
        return 0, 0
    seat = await mending.look(tx, community_id, held.terms.present.id, member_id)
    days = [day for day in seat.walked() if first <= day.day <= last and day.status in COUNTED]
    return len(days), max((day.state.current for day in days), default=0)


async def _badges(tx: Tx, community_id: UUID, member_id: UUID, whose: Whom, first: date, last: date) -> tuple[str, ...]:
    """The names of those granted in these days, as they were called then, unless they were taken back."""
    begin = day_bounds(first, whose.place.zone, whose.place.day_start)[0]
    end = day_bounds(last, whose.place.zone, whose.place.day_start)[1]
    rows = await store.granted_between(tx, community_id, member_id, begin, end - timedelta(microseconds=1))
    versions = {(community_id, row.badge_id, row.version) for row in rows}
    names: dict[Any, str] = {(r.id, r.version): str(r.body["name"]) for r in await store.bodies(tx, versions)}
    return tuple(dict.fromkeys(names[row.badge_id, row.version] for row in rows))
