"""What is kept of streaks: facts by day, the state to go on from, and the ledger brought to what the fold says.

The fold decides which days used or earned a freeze; the ledger follows: an entry for what is new, a reversal for what
is no longer so. The row of a streak is locked before anything of it is read, in the order of the keys, and before
every other lock of this service.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.database import Tx
from kit.turns import in_turns
from services.rewards.domain.badges import Measure
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Programme, Series, Terms
from services.rewards.domain.ledger import BURN, FREEZES, GRANT, MINT, REVERSAL, SPEND, Posting, digest
from services.rewards.domain.outages import Gap, excused
from services.rewards.domain.programmes import results
from services.rewards.domain.streaks import (
    COUNTED,
    DONE,
    EXCUSED,
    FROZEN,
    JOINED,
    LOOK_BACK,
    ONE_DAY,
    OUTAGE,
    PAUSED,
    REPAIRED,
    Day,
    Facts,
    Folded,
    State,
    fold,
    walk,
)
from services.rewards.handlers import awarding
from services.rewards.store import checkins as store
from services.rewards.store.checkins import Key

EARNED, BOUGHT, UNDONE, AGAIN = "earned", "bought", "undone", "again"
_STEPS = {FROZEN: (SPEND, BURN, -1), EARNED: (GRANT, MINT, 1), BOUGHT: (GRANT, MINT, 1)}
_SAID = {FROZEN: "Freeze used", EARNED: "Freeze earned", BOUGHT: "Freeze bought"}

KEPT_BEHIND = 4 * ONE_DAY
"""How far behind its last day a state to go on from is: what comes a little late makes no fold begin again."""

GAPS_KEPT = timedelta(days=60)
"""Who was not touched for so long has no streak that an outage could keep."""


class Fact(NamedTuple):
    """A row of `checkin_facts` without whose it is; the columns in their order."""

    day: date
    kind: str
    number: int
    last_day: date
    at: datetime
    event_id: UUID | None
    connection_id: UUID | None
    transaction_id: UUID | None
    thing: UUID | None
    actor: str
    reason: str
    created_at: datetime


_WHOSE = 3
"""Columns of the key before those of a fact; behind them is `voided_at`."""


def fact_of(row: Any) -> Fact:
    # By place and not by name: a batch reads thousands of them.
    return Fact(*row[_WHOSE:-1])


class Wanted(NamedTuple):
    """Whose streak: by which terms and calendar, and the days that may change (`date.min` for any)."""

    terms: Terms
    calendar: Calendar
    days: Collection[date]


@dataclass(slots=True)
class Standing:
    """One member in one series, held by the transaction; `rows` are the facts that hold, as far as they are needed."""

    key: Key
    terms: Terms
    calendar: Calendar
    today: date
    stored: Mapping[str, Any]
    before: State
    rows: list[Fact] = field(default_factory=list)
    undone: set[UUID] = field(default_factory=set)
    """Events whose check-in an operator took away: told once more they count no more."""
    numbers: Counter[tuple[date, str]] = field(default_factory=Counter)
    gaps: Sequence[Gap] = ()
    added: list[Fact] = field(default_factory=list)
    voided: list[Fact] = field(default_factory=list)

    @property
    def series(self) -> Series:
        return self.terms.present

    def of(self, kind: str, day: date | None = None) -> list[Fact]:
        """The facts of a kind, of one day or of all that were read."""
        return [row for row in self.rows if row.kind == kind and (day is None or row.day == day)]

    def take(self, row: Any) -> None:
        """A row as it is stored."""
        fact = fact_of(row)
        self.numbers[fact.day, fact.kind] += 1
        if row[-1] is None:
            self.rows.append(fact)
        elif fact.event_id is not None:
            self.undone.add(fact.event_id)

    def add(self, kind: str, day: date, at: datetime, now: datetime, **more: Any) -> Fact:
        number = self.numbers[day, kind]
        self.numbers[day, kind] += 1
        empty = dict.fromkeys(("event_id", "connection_id", "transaction_id", "thing"))
        values = {"last_day": day, **empty, "actor": "", "reason": "", **more}
        fact = Fact(day=day, kind=kind, number=number, at=at, created_at=now, **values)
        self.rows.append(fact)
        self.added.append(fact)
        return fact

    def void(self, fact: Fact) -> None:
        self.rows.remove(fact)
        self.voided.append(fact)
        if fact.event_id is not None:
            self.undone.add(fact.event_id)

    def excuse(self, now: datetime) -> None:
        """Note the days since the last check-in that the bot it came through was away on."""
        hours = self.series.outage_hours if self.gaps else None
        last = max(self.of(DONE), key=lambda fact: fact.day, default=None) if hours is not None else None
        if hours is None or last is None or last.connection_id is None:
            return
        for day in sorted(excused(self.gaps, last.connection_id, last.day, hours, self.calendar, now)):
            if not self.of(OUTAGE, day):
                self.add(OUTAGE, day, now, now)

    def facts(self) -> Facts:
        days: dict[str, set[date]] = {}
        for row in self.rows:
            days.setdefault(row.kind, set()).add(row.day)
        return Facts(
            done=frozenset(days.get(DONE, ())),
            repaired=frozenset(days.get(REPAIRED, ())),
            excused=frozenset(days.get(EXCUSED, ())),
            outage=frozenset(days.get(OUTAGE, ())),
            pauses=tuple([(row.day, row.last_day) for row in self.rows if row.kind == PAUSED]),
            bought=Counter(row.day for row in self.rows if row.kind == BOUGHT),
            brief=self.calendar.brief,
            joined=frozenset(days.get(JOINED, ())),
        )

    def as_of(self, asked: Iterable[date]) -> date:
        """Today, or the last day that is asked for, which a clock ahead of ours may have called today."""
        return max((self.today, *asked))

    def folded(self, asked: Iterable[date] = ()) -> Folded:
        facts, today = self.facts(), self.as_of(asked)
        last = max((day for day in facts.days() if day <= today), default=today)
        return fold(self.before, facts, self.terms, today, keep=last - KEPT_BEHIND)


async def hold(tx: Tx, wanted: Mapping[Key, Wanted]) -> dict[Key, Standing]:
    """Lock these streaks and read the facts that folding them takes."""
    locked = await store.lock(tx, [_empty(key) for key in sorted(wanted)])
    out: dict[Key, Standing] = {}
    again: list[Key] = []
    for key, (terms, calendar, days) in wanted.items():
        row = locked.get(key)
        stored = _empty(key) if row is None else dict(row._mapping)
        before = State() if stored["kept"] is None else msgspec.convert(stored["kept"], State)
        if before.through is None or any(day <= before.through for day in days):
            before = State()
            again.append(key)
        out[key] = Standing(key, terms, calendar, calendar.day_of(tx.now), stored, before)
    on = sorted(out.keys() - set(again))
    for row in [*(await store.all_facts(tx, sorted(again))), *(await store.late_facts(tx, on))]:
        out[row.community_id, row.series_id, row.member_id].take(row)
    await _excuse(tx, out.values())
    return out


async def glance(tx: Tx, wanted: Mapping[Key, Wanted]) -> dict[Key, Standing]:
    """These streaks as they were at one moment, with the facts that the days of each take; nothing is held or written.
    Days that it is not written of yet that they were excused are."""
    out: dict[Key, Standing] = {}
    for row in await store.facts_ahead(tx, sorted(wanted)):
        key = row.community_id, row.series_id, row.member_id
        if key not in out:
            before = State() if row.kept is None else msgspec.convert(row.kept, State)
            out[key] = _looked_at(tx, key, wanted[key], before)
        out[key].take(row[:-1])
    early = [k for k, one in out.items() if (through := one.before.through) and min(wanted[k].days) <= through]
    out |= {key: _looked_at(tx, key, wanted[key], State()) for key in early}
    for row in await store.all_facts(tx, sorted(early)):
        out[row.community_id, row.series_id, row.member_id].take(row)
    await _excuse(tx, out.values())
    return out


def _looked_at(tx: Tx, key: Key, wanted: Wanted, before: State) -> Standing:
    return Standing(key, wanted.terms, wanted.calendar, wanted.calendar.day_of(tx.now), _empty(key), before)


async def _excuse(tx: Tx, some: Collection[Standing]) -> None:
    gaps: dict[UUID, list[Gap]] = {}
    for row in await store.gaps_of(tx, {one.key[0] for one in some}, tx.now - GAPS_KEPT):
        gaps.setdefault(row.community_id, []).append(Gap(row.connection_id, row.since, row.until))
    for one in some:
        one.gaps = gaps.get(one.key[0], ())
        one.excuse(tx.now)


async def views(tx: Tx, community_id: UUID, terms: Terms, days: Mapping[UUID, Calendar]) -> dict[UUID, Standing]:
    """Members (with their calendars) in one series with all facts, to look at. Days that it is not written of yet that
    they were excused are."""
    id = terms.present.id
    out = {
        member_id: _looked_at(tx, (community_id, id, member_id), Wanted(terms, calendar, ()), State())
        for member_id, calendar in days.items()
    }
    for row in await store.all_facts(tx, [one.key for one in out.values()]):
        out[row.member_id].take(row)
    await _excuse(tx, out.values())
    return out


async def save(
    tx: Tx, standings: Sequence[Standing], asked: Mapping[Key, Collection[date]], today: Mapping[UUID, date]
) -> list[Posting]:
    """Write what is new and changed of them. `asked` are days that somebody called today, `today` is each community's
    day, which entries count for.

    The caller posts what is returned, through `ledger.record` and with whatever else it posts.
    """
    postings: list[Posting] = []
    rows: list[dict[str, Any]] = []
    reached: list[awarding.Streak] = []
    async for part in in_turns(standings):
        for one in part:
            days = asked.get(one.key, ())
            folded = one.folded(days)
            reached.append(for_badges(one, folded.state))
            postings += _follow(tx, one, folded, today[one.key[0]])
            row = _streak_row(one.key, one.as_of(days), folded.state, folded.kept)
            if row != one.stored:
                rows.append(row)
    await store.add_facts(tx, [_fact_row(one.key, fact) for one in standings for fact in one.added])
    gone = [{**_fact_row(one.key, fact), "voided_at": tx.now} for one in standings for fact in one.voided]
    if gone:
        await store.void_facts(tx, gone)
    await store.put_streaks(tx, rows)
    awarding.note_streaks(tx, reached, partial(_results, standings))
    return postings


async def _results(standings: Sequence[Standing], tx: Tx) -> list[awarding.Result]:
    """What members have to show for programmes that are over for them; from all their facts."""
    whole: dict[Key, tuple[Standing, Programme]] = {}
    for one in standings:
        programme = one.series.programme
        if programme is not None and one.today > programme.last_day:
            again = Standing(one.key, one.terms, one.calendar, one.today, one.stored, State())
            whole[one.key] = again, programme
    for row in await store.all_facts(tx, whole):
        whole[row.community_id, row.series_id, row.member_id][0].take(row)
    out = []
    for (community_id, series_id, member_id), (one, programme) in whole.items():
        walked = list(walk(State(), one.facts(), one.terms, one.today))
        shown = results(walked, programme, one.today)
        ended = one.calendar.end_of(programme.last_day)
        out.append(awarding.Result(community_id, member_id, series_id, shown, ended))
    return out


def for_badges(one: Standing, state: State) -> awarding.Streak:
    community_id, series_id, member_id = one.key

    def value(measure: Measure) -> int:
        return int(getattr(state, measure))

    def reached(measure: Measure, least: int, after: datetime | None) -> tuple[datetime, UUID | None] | None:
        counted = {fact.day: fact for fact in (*one.of(REPAIRED), *one.of(DONE))}
        days = walk(one.before, one.facts(), one.terms, one.today)
        if after is not None:
            return _reached_again(days, counted, "current" if measure == "longest" else measure, least, after)
        first = next((day.day for day in days if getattr(day.state, measure) >= least), None)
        # Nothing of these days did: it was so before, and somebody looks only now.
        fact = counted.get(first) if first is not None else None
        fact = fact or max(counted.values(), key=lambda fact: fact.day, default=None)
        return (fact.at, fact.event_id) if fact is not None else (datetime.min.replace(tzinfo=UTC), None)

    return awarding.Streak(community_id, member_id, series_id, value, reached)


def _reached_again(
    days: Iterable[Day], counted: Mapping[date, Fact], measure: Measure, least: int, after: datetime
) -> tuple[datetime, UUID | None] | None:
    """The first check-in at or after that time with which it is enough. The longest streak ever is for ever as long as
    it was: whoever calls asks for the one that runs."""
    for day in days:
        fact = counted.get(day.day)
        if fact is not None and fact.at >= after and day.status in COUNTED and getattr(day.state, measure) >= least:
            return fact.at, fact.event_id
    return None


def _follow(tx: Tx, one: Standing, folded: Folded, day: date) -> list[Posting]:
    out = []
    for kind, wanted in ((FROZEN, folded.frozen), (EARNED, folded.earned)):
        there = {r.day: r for r in one.of(kind) if one.before.through is None or r.day > one.before.through}
        for missed in sorted(wanted - there.keys()):
            out.append(post_freeze(tx, one, kind, missed, day))
        for fact in [there[d] for d in sorted(there.keys() - wanted)]:
            one.void(fact)
            out.append(_reversal(tx, one, fact, day))
    return out


def post_freeze(tx: Tx, one: Standing, kind: str, of: date, day: date, actor: str = "") -> Posting:
    """A freeze used, earned or bought on the day `of`: the fact and the posting that goes with it."""
    id = uuid7(tx.now)
    fact = one.add(kind, of, tx.now, tx.now, transaction_id=id, actor=actor)
    what, counter, amount = _STEPS[kind]
    key = digest("checkin", *one.key, of, kind, fact.number)
    return _posting(tx, one, day, id=id, kind=what, counter=counter, amount=amount, idem_key=key, payload_hash=key,
                    reason=f"{_SAID[kind]}: {one.series.name}, {of}", actor=actor)  # fmt: skip


def _reversal(tx: Tx, one: Standing, fact: Fact, day: date) -> Posting:
    assert fact.transaction_id is not None
    _, counter, amount = _STEPS[fact.kind]
    # The key of a reversal by hand: whichever comes first, it goes back once.
    return _posting(tx, one, day, id=uuid7(tx.now), kind=REVERSAL, counter=counter, amount=-amount,
                    idem_key=digest("reversal", fact.transaction_id, 0),
                    payload_hash=digest(fact.transaction_id, 0, -amount), reverses=fact.transaction_id,
                    reason=f"{_SAID[fact.kind]} no longer: {one.series.name}, {fact.day}")  # fmt: skip


def _posting(tx: Tx, one: Standing, day: date, **more: Any) -> Posting:
    community_id, _, member_id = one.key
    return Posting(
        community_id=community_id,
        member_id=member_id,
        unit=FREEZES.id,
        effective_at=tx.now,
        day=day,
        scored=False,
        **more,
    )


def _fact_row(key: Key, fact: Fact) -> dict[str, Any]:
    community_id, series_id, member_id = key
    whose = {"community_id": community_id, "series_id": series_id, "member_id": member_id}
    return {**whose, **fact._asdict(), "voided_at": None}


def _empty(key: Key) -> dict[str, Any]:
    return _streak_row(key, date.min, State(), None)


def _streak_row(key: Key, as_of: date, state: State, kept: State | None) -> dict[str, Any]:
    community_id, series_id, member_id = key
    through = kept.through if kept is not None else None
    return {
        "community_id": community_id,
        "series_id": series_id,
        "member_id": member_id,
        "as_of": as_of,
        "current": state.current,
        "longest": state.longest,
        "days": state.days,
        "last_day": state.last,
        "held": state.held,
        "kept": None if kept is None else msgspec.to_builtins(kept),
        "window_from": date.min if through is None else through - LOOK_BACK,
    }
