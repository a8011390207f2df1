"""Badges for streaks, balances and levels: everybody looked at once, change by change as it was written down, so that
what was reached and lost since is granted as of then, and ended.

The badge follows what changes meanwhile by itself. Members' accounts and streaks are held while they are read: a
change either is among what is read, or comes to a standing that says what was found.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from kit.database import Database, Tx, try_lock
from kit.turns import in_turns
from services.rewards.domain import badges as domain
from services.rewards.domain.backfills import CANCELLED, DONE
from services.rewards.domain.badges import STREAK, Criterion, Grant, Reached, Since
from services.rewards.domain.streaks import DONE as CHECKED_IN
from services.rewards.domain.streaks import LOOK_BACK, State
from services.rewards.handlers import levels, standings
from services.rewards.handlers.awarding import Balance, Change, balance_reached, measure_of, streak_reached
from services.rewards.handlers.backfills.counting import lock_name
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import hold, save
from services.rewards.handlers.mending import Seat
from services.rewards.handlers.streaks import Fact, Standing, fact_of, for_badges
from services.rewards.store import backfills as store
from services.rewards.store import checkins as checkins_store
from services.rewards.store import erasures

PAGE = 20


class Moment(NamedTuple):
    """The value after something was written down, and since when it is enough."""

    at: datetime
    value: int
    since: Since


async def take_on(db: Database, row: Any, one: Defined) -> bool:
    """The next members; False when another process is at it."""
    async with db.begin() as tx:
        if not await try_lock(tx, lock_name(row)):
            return False
        now = await store.still_open(tx, row)
        if now is None:
            return True
        if not one.badge.enabled:
            await store.change(tx, now, state=CANCELLED)
            return True
        look = _streaks if one.badge.criterion.kind == STREAK else _balances
        members, moments = await look(tx, now, one)
        granted = await _grant(tx, now, one, moments)
        values = {"done": now.done + len(members), "granted": now.granted + granted}
        if len(members) < PAGE:
            await store.change(tx, now, state=DONE, **values)
        else:
            await store.change(tx, now, after_member=members[-1], **values)
    return True


Moments = Mapping[UUID, Iterable[Moment]]


async def _grant(tx: Tx, row: Any, one: Defined, moments: Moments) -> int:
    """To those who were never granted it; how often. Whoever never had enough is not held for it."""
    least = one.badge.criterion.least
    found: dict[UUID, list[Moment]] = {}
    async for part in in_turns(list(moments.items()), 1):
        found |= {member: list(some) for member, some in part}
    enough = [member for member, some in found.items() if any(moment.value >= least for moment in some)]
    held = await hold(tx, {(one.community_id, one.badge.id, member): one for member in enough})
    changed = [standing for standing in held.values() if not standing.before.number]
    for standing in changed:
        for moment in found[standing.key[2]]:
            if domain.may_change(one.badge, standing.standing, moment.value, moment.at):
                since = _quietly(moment.since) if row.silent else moment.since
                standing.take(domain.measured(one.badge, standing.standing, moment.value, since, moment.at))
        standing.take(domain.expired(standing.standing, tx.now))
    await save(tx, changed)
    return sum(isinstance(change, Grant) for standing in changed for change in standing.changes)


def _quietly(since: Since) -> Since:
    def found(after: datetime | None) -> Reached | None:
        reached = since(after)
        return None if reached is None else reached._replace(history=True)

    return found


async def _living(tx: Tx, row: Any, members: Sequence[UUID]) -> list[UUID]:
    gone = await erasures.closed(tx, row.community_id, members)
    return [member for member in members if member not in gone]


# Balances and levels


async def _balances(tx: Tx, row: Any, one: Defined) -> tuple[list[UUID], Moments]:
    version = await levels.current(tx, one.community_id)
    unit = one.badge.criterion.unit or version.unit
    measure = measure_of(one.badge, unit, (version.unit, version.scheme))
    assert measure is not None, "every balance is of a unit, and every level of the levels' own"
    members = await store.accounts_after(tx, one.community_id, unit, row.after_member, PAGE)
    lines = await store.lines_of(tx, one.community_id, unit, await _living(tx, row, members))
    by_member = {owner: list(some) for owner, some in groupby(lines, key=lambda line: line.owner_id)}
    return members, {owner: _risen(one, unit, measure, some) for owner, some in by_member.items()}


def _risen(one: Defined, unit: str, measure: Callable[[int], int], lines: Sequence[Any]) -> Iterable[Moment]:
    """Lines of one transaction are one change, as they were when it was made."""
    balance, least = 0, one.badge.criterion.least
    for at, some in groupby(lines, key=lambda line: line.created_at):
        changes = [Change(line.amount, line.effective_at, line.source_event_id, False) for line in some]
        balance += sum(change.amount for change in changes)
        after = Balance(one.community_id, lines[0].owner_id, unit, balance, changes)
        yield Moment(at, measure(balance), partial(balance_reached, after, measure, least))


# Streaks


async def _streaks(tx: Tx, row: Any, one: Defined) -> tuple[list[UUID], Moments]:
    wanted = one.badge.criterion
    members = await checkins_store.members_of(tx, one.community_id, wanted.series, after=row.after_member, limit=PAGE)
    living = await _living(tx, row, members)
    keys = {member: (one.community_id, wanted.series, member) for member in living}
    await store.hold_streaks(tx, keys.values())
    seats = await standings.seats(tx, one.community_id, wanted.series, living)
    facts: dict[UUID, list[Any]] = {}
    for fact in await checkins_store.all_facts(tx, keys.values()):
        facts.setdefault(fact.member_id, []).append(fact)
    return members, {
        member: _walked(seat, wanted, facts[member]) for seat in seats if (member := seat.standing.key[2]) in facts
    }


def _walked(seat: Seat, wanted: Criterion, rows: Sequence[Any]) -> Iterable[Moment]:
    """The streak after each change of its facts, folded on from where it was as it was folded then."""
    came: dict[datetime, list[Fact]] = {}
    went: dict[datetime, list[Fact]] = {}
    for row in rows:
        fact = fact_of(row)
        came.setdefault(fact.created_at, []).append(fact)
        if row.voided_at is not None:
            went.setdefault(row.voided_at, []).append(fact)
    there: list[Fact] = []
    before = State()
    for at in sorted(came.keys() | went.keys()):
        new, gone = came.get(at, []), went.get(at, [])
        there = [fact for fact in (*there, *new) if fact not in gone]
        if before.through is None or any(fact.day <= before.through for fact in (*new, *gone)):
            before = State()
        one, asked = _as_of(seat, there, before, at), {fact.day for fact in new if fact.kind == CHECKED_IN}
        folded = one.folded(asked)
        before = folded.kept or State()
        streak = for_badges(one, folded.state)
        since = partial(streak_reached, streak, wanted, frozenset[UUID]())
        yield Moment(at, streak.value(wanted.measure), since)


def _as_of(seat: Seat, facts: Sequence[Fact], before: State, at: datetime) -> Standing:
    one = seat.standing
    window = None if before.through is None else before.through - LOOK_BACK
    rows = [fact for fact in facts if window is None or fact.last_day >= window]
    return Standing(one.key, one.terms, one.calendar, one.calendar.day_of(at), {}, before, rows)
