"""What members do about their streaks (repair, freezes, pauses), what operators put right, and how it all looks.

Each is a fact of a day with whoever made it; what costs something is a transaction of the ledger with it. Refusals are
raised before anything is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from kit import copies
from kit.clock import uuid7
from kit.database import Tx
from kit.errors import Conflict, Unavailable, Unprocessable
from services.rewards.domain import programmes
from services.rewards.domain.calendars import Calendar
from services.rewards.domain.checkins import Series
from services.rewards.domain.ledger import BURN, FREEZES, SPEND, Posting, check_balance, check_debt, digest
from services.rewards.domain.programmes import progress
from services.rewards.domain.streaks import (
    ABSENT,
    DONE,
    EXCUSED,
    JOINED,
    ONE_DAY,
    PAUSED,
    REPAIRED,
    Day,
    State,
    walk,
)
from services.rewards.handlers import calendars, checkins, streaks
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.ledger import ensure_unit, record
from services.rewards.handlers.series_days import for_series
from services.rewards.handlers.streaks import AGAIN, BOUGHT, UNDONE, Fact, Standing
from services.rewards.store import ledger as ledger_store


@dataclass(frozen=True, slots=True)
class Seat:
    """A member's place in a series: its definition, the member's days in it, and the community's day of now."""

    held: Held
    standing: Standing
    community_day: date

    def walked(self) -> list[Day]:
        """Every day from the first with a fact until today."""
        return list(walk(State(), self.standing.facts(), self.held.terms, self.standing.today))

    def repaired_this_month(self) -> int:
        """How many repairs were made in the calendar month of today."""
        calendar, today = self.standing.calendar, self.standing.today
        days = [calendar.day_of(fact.at) for fact in self.standing.of(REPAIRED)]
        return sum((day.year, day.month) == (today.year, today.month) for day in days)

    def can_repair(self, day: Day) -> bool:
        """Whether the day is missed and not too long ago; what it costs and how many are left is another question."""
        within = timedelta(days=self.held.terms.present.repair.within_days)
        return day.status in ABSENT and self.standing.today - day.day <= within

    def pause(self) -> Fact | None:
        """The pause that lasts or is to come."""
        return next((fact for fact in self.standing.of(PAUSED) if fact.last_day >= self.standing.today), None)


def results(seat: Seat) -> frozenset[str]:
    """What the member has to show for the series' programme, if it has one and that is over."""
    programme = seat.held.terms.present.programme
    return frozenset() if programme is None else programmes.results(seat.walked(), programme, seat.standing.today)


async def look(tx: Tx, community_id: UUID, series_id: str, member_id: UUID) -> Seat:
    """How a member stands, recomputed from all facts; nothing is written."""
    held, calendar, day = await _place(tx, community_id, series_id, member_id, keep=False)
    seen = await streaks.views(tx, community_id, held.terms, {member_id: calendar})
    return Seat(held, seen[member_id], day)


async def _sit(tx: Tx, community_id: UUID, series_id: str, member_id: UUID) -> Seat:
    """The same, held until the transaction ends."""
    held, calendar, day = await _place(tx, community_id, series_id, member_id, keep=True)
    key = community_id, series_id, member_id
    found = await streaks.hold(tx, {key: streaks.Wanted(held.terms, calendar, [date.min])})
    return Seat(held, found[key], day)


async def _place(
    tx: Tx, community_id: UUID, series_id: str, member_id: UUID, *, keep: bool
) -> tuple[Held, Calendar, date]:
    place = await copies.known_community(tx, community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    held = await checkins.existing(tx, community_id, series_id)
    series = held.terms.present
    wanted = {(community_id, community_id): (place.zone, place.day_start)}
    if series.scope == "member":
        known = (await copies.known_members(tx, community_id, [member_id])).get(member_id)
        wanted[community_id, member_id] = calendars.zone_of(place, known)
    found = await (calendars.follow if keep else calendars.read)(tx, wanted)
    owner = member_id if series.scope == "member" else community_id
    return held, for_series(found[community_id, owner], series), found[community_id, community_id].day_of(tx.now)


async def _settle(tx: Tx, seat: Seat, besides: Sequence[Posting] = ()) -> None:
    """Write what was changed, and post it; Unprocessable where it costs more than there is."""
    one = seat.standing
    community_id = one.key[0]
    followed = await streaks.save(tx, [one], {}, {community_id: seat.community_day})
    postings = [*besides, *followed]
    if any(posting.unit == FREEZES.id for posting in postings):
        await ensure_unit(tx, [community_id], FREEZES)
    done = await record(tx, postings)
    units = await ledger_store.units_of(tx, community_id) if postings else {}
    for posting in done.fresh:
        if posting.kind == SPEND and posting.unit != FREEZES.id:
            after = done.accounts[community_id, posting.member_id, posting.unit]
            check_debt(after.debt, units[posting.unit])
            check_balance(after.balance, posting.amount, units[posting.unit])


def _price(
    tx: Tx, seat: Seat, fact: Fact, price: int, unit: str, *, said: str, actor: str, id: UUID | None
) -> list[Posting]:
    """What a fact costs; `id` None: nothing."""
    if id is None:
        return []
    one = seat.standing
    key = digest("checkin price", *one.key, fact.day, fact.kind, fact.number)
    return [
        Posting(
            id=id,
            community_id=one.key[0],
            idem_key=key,
            payload_hash=key,
            kind=SPEND,
            member_id=one.key[2],
            counter=BURN,
            unit=unit,
            amount=-price,
            effective_at=tx.now,
            day=seat.community_day,
            scored=False,
            reason=f"{said}: {one.series.name}, {fact.day}",
            actor=actor,
        )
    ]


async def repair(tx: Tx, community_id: UUID, series_id: str, member_id: UUID, day: date, actor: str) -> Seat:
    """A missed day made good (R27): it counts from now on, whatever is recomputed."""
    seat = await _sit(tx, community_id, series_id, member_id)
    one, terms = seat.standing, seat.held.terms.present.repair
    _not_in_future(day, one.today)
    found = next((walked for walked in seat.walked() if walked.day == day), None)
    if found is None or found.status not in ABSENT:
        status = found.status if found is not None else None
        raise Conflict(f"{day} was not missed", code="day_not_missed", status_of_day=status)
    if not seat.can_repair(found):
        raise Conflict(f"a day can be repaired until {terms.within_days} days after it", code="repair_too_late")
    if seat.repaired_this_month() >= terms.per_month:
        raise Conflict(f"{terms.per_month} repairs a month, and they are used", code="repairs_used_up")
    paid = uuid7(tx.now) if terms.price else None
    fact = one.add(REPAIRED, day, tx.now, tx.now, transaction_id=paid, actor=actor)
    said = "Day repaired"
    await _settle(tx, seat, _price(tx, seat, fact, terms.price, terms.unit, said=said, actor=actor, id=paid))
    return seat


async def buy(tx: Tx, community_id: UUID, series_id: str, member_id: UUID, actor: str) -> Seat:
    """One freeze, ahead of the day that is missed: it does nothing for days that are over (R26)."""
    seat = await _sit(tx, community_id, series_id, member_id)
    one, terms = seat.standing, seat.held.terms.present.freeze
    if terms.price is None:
        raise Conflict("freezes of this series are not for sale", code="freeze_not_for_sale")
    _check_running(seat)
    if one.folded().state.held >= terms.max_held:
        raise Conflict(f"at most {terms.max_held} freezes are held at a time", code="freezes_full")
    posting = streaks.post_freeze(tx, one, BOUGHT, one.today, seat.community_day, actor)
    (fact,) = [added for added in one.added if added.kind == BOUGHT]
    paid = uuid7(tx.now) if terms.price else None
    price = _price(tx, seat, fact, terms.price, terms.unit, said="Freeze", actor=actor, id=paid)
    await _settle(tx, seat, [posting, *price])
    return seat


async def pause(
    tx: Tx, community_id: UUID, series_id: str, member_id: UUID, first: date | None, days: int, reason: str, actor: str
) -> Seat:
    """Days that ask for nothing, from today or a later day on (R30); one at a time, and a check-in between two."""
    seat = await _sit(tx, community_id, series_id, member_id)
    one, most = seat.standing, seat.held.terms.present.pause_days
    begin = first if first is not None else one.today
    if begin < one.today:
        raise Unprocessable("a pause begins today or later", code="day_over", today=one.today.isoformat())
    if days > most:
        raise Unprocessable(f"a pause lasts at most {most} days", code="pause_too_long", most=most)
    if seat.pause() is not None:
        raise Conflict("there is a pause already; end that one first", code="pause_running")
    ended = max((fact.last_day for fact in one.of(PAUSED)), default=None)
    if ended is not None and not any(fact.day > ended for fact in one.of(DONE)):
        raise Conflict("check in once before the next pause", code="pause_again")
    last = begin + timedelta(days=days - 1)
    one.add(PAUSED, begin, tx.now, tx.now, last_day=last, reason=reason, actor=actor)
    await _settle(tx, seat)
    return seat


async def resume(tx: Tx, community_id: UUID, series_id: str, member_id: UUID) -> Seat:
    """End a pause: today asks for a check-in again. Without one nothing happens."""
    seat = await _sit(tx, community_id, series_id, member_id)
    one, fact = seat.standing, seat.pause()
    if fact is not None:
        one.void(fact)
        if fact.day < one.today:
            yesterday = one.today - ONE_DAY
            one.add(PAUSED, fact.day, fact.at, tx.now, last_day=yesterday, reason=fact.reason, actor=fact.actor)
        await _settle(tx, seat)
    return seat


async def mark(
    tx: Tx, community_id: UUID, series_id: str, member_id: UUID, day: date, kind: str, reason: str, actor: str
) -> tuple[Seat, bool]:
    """An operator's word on a day that is not to come (R31): `done`, `excused`, or `undone`, which takes both back;
    `joined`: the member came to the programme then. Whether it was new."""
    seat = await _sit(tx, community_id, series_id, member_id)
    one = seat.standing
    _not_in_future(day, one.today)
    _check_in_programme(seat.held.terms.present, day, kind)
    there = [*one.of(DONE, day), *one.of(EXCUSED, day), *one.of(AGAIN, day)]
    if kind == JOINED:
        there = one.of(JOINED)
    if kind == UNDONE:
        for fact in there:
            one.void(fact)
    elif any(fact.kind == kind for fact in there):
        return seat, False
    if kind != UNDONE or there:
        one.add(kind, day, tx.now, tx.now, reason=reason, actor=actor)
        await _settle(tx, seat)
    return seat, kind != UNDONE or bool(there)


def _check_running(seat: Seat) -> None:
    """Nothing is sold that could help nobody."""
    programme = seat.held.terms.present.programme
    if programme is None:
        return
    walked = seat.walked()
    if not walked and seat.standing.today >= programme.first_day:
        raise Conflict("this programme has begun, and the member takes no part in it", code="not_in_programme")
    standing = progress(walked, programme, seat.standing.today).standing
    if standing in ("failed", "passed"):
        raise Conflict(f"the programme is over for this member: {standing}", code="programme_over", standing=standing)


def _check_in_programme(series: Series, day: date, kind: str) -> None:
    programme = series.programme
    if programme is None:
        if kind == JOINED:
            raise Unprocessable("this series has no programme that could be joined", code="no_programme")
        return
    if day > programme.last_day or (day < programme.first_day and kind != JOINED):
        raise Unprocessable(
            f"the programme lasts from {programme.first_day} to {programme.last_day}", code="outside_programme"
        )


def _not_in_future(day: date, today: date) -> None:
    if day > today:
        raise Unprocessable(f"{day} is still to come", code="in_the_future", today=today.isoformat())
