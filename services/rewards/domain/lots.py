"""Points that expire: which of an account's lots a posting makes, takes from, or gives back to (R70).

A lot is what can be spent until the end of a community's day, its `last_day`; lots of one account and day are one. What
is taken is taken from the oldest, then from what never expires. The lots of an account never sum to more than its
balance, and to exactly that where everything in it expires.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.rewards.domain.ledger import ADJUSTMENT, EXPIRY, GRANT, HOLD, SPEND, Posting

NEVER: Final = date(9999, 12, 30)
"""Stands for what never expires: no lot has this day."""

BELOW: Final = date(9999, 12, 31)
"""Stands for what was taken below zero, and so from no lot."""

MOST_DAYS: Final = 3660

RETURN_DAYS: Final = 7
"""For how long what comes back after its time can still be spent."""

_REVERSIBLE: Final = (GRANT, ADJUSTMENT, SPEND, HOLD)


class Part(NamedTuple):
    """So much of a transaction stands in, or was taken from, the lot of that day."""

    last_day: date
    amount: int


@dataclass(slots=True)
class Account:
    """An account that postings go through, in their order. `changed` is by how much each lot changes on the whole.

    `lots` need be there only for who takes.
    """

    balance: int
    lots: dict[date, int] = field(default_factory=dict)
    changed: dict[date, int] = field(default_factory=dict)

    def take(self, amount: int, first: Iterable[date] = ()) -> list[Part]:
        """Take so much: from the `first` of these lots, then from the oldest, from what never expires, from nothing."""
        free = max(self.balance, 0) - sum(self.lots.values())
        self.balance -= amount
        taken = []
        for day in dict.fromkeys((*first, *sorted(self.lots), NEVER, BELOW)):
            there = {NEVER: free, BELOW: amount}.get(day, self.lots.get(day, 0))
            part = min(amount, there)
            if part > 0:
                taken.append(Part(day, part))
                amount -= part
                self._change(day, -part)
        return taken

    def give(self, parts: Iterable[Part]) -> list[Part]:
        """Give what these parts sum to; what fills up a balance below zero makes no lot. Returns the lots it made."""
        made = []
        for day, amount in parts:
            rest = amount - min(amount, max(-self.balance, 0))
            self.balance += amount
            if rest > 0:
                made.append(Part(day, rest))
                self._change(day, rest)
        return made

    def _change(self, day: date, amount: int) -> None:
        if day < NEVER:
            self.lots[day] = self.lots.get(day, 0) + amount
            self.changed[day] = self.changed.get(day, 0) + amount


def last_day(day: date, days: int) -> date:
    """The last day on which what comes in for this day can be spent; 0 `days`: for ever."""
    return day + timedelta(days=days) if days else NEVER


@dataclass(slots=True)
class Kept:
    """What is to be noted of some transactions: the parts of new ones, and what is left of older ones' (0: gone)."""

    new: list[tuple[UUID, Part]] = field(default_factory=list)
    left: dict[tuple[UUID, date], int] = field(default_factory=dict)


def expired_of(
    parts: Iterable[Part], amount: int, lots: dict[date, int], expired: dict[date, int], today: date
) -> list[Part]:
    """What of the transaction with these parts, of which so much is taken back, is not to be taken from the account,
    because it expired there. `lots` are the account's, `expired` what expired of each; both go down by what is
    accounted for."""
    out = []
    for day, made in sorted(parts):
        if day >= today:
            continue
        there = min(amount, made, lots.get(day, 0))
        lots[day] = lots.get(day, 0) - there
        gone = min(amount - there, made - there, expired.get(day, 0))
        if gone > 0:
            out.append(Part(day, gone))
            expired[day] -= gone
        amount -= there + gone
    return out


def follow(
    account: Account,
    postings: Sequence[Posting],
    days: int,
    parts: Mapping[UUID, Sequence[Part]],
    spared: Mapping[UUID, Sequence[Part]],
    today: date | None,
) -> Kept:
    """Put one account's postings through its lots. `days` is the unit's term (0: none any more), `parts` are those of
    the transactions that the postings reverse, `spared` what of a posting is not taken here because it expired,
    `today` the community's day, for what is given back."""
    kept = Kept()
    known = {id: dict(some) for id, some in parts.items()}
    for p in postings:
        own = known.setdefault(p.reverses, {}) if p.reverses is not None else None
        if p.amount < 0:
            gone = spared.get(p.id, ())
            for day, amount in gone:
                assert own is not None
                assert p.reverses is not None
                own[day] -= amount
                kept.left[p.reverses, day] = own[day]
            taken = account.take(-p.amount - sum(part.amount for part in gone), _first(p, own))
            if p.kind in _REVERSIBLE:
                kept.new += [(p.id, part) for part in taken]
        elif own is None:
            made = account.give([Part(last_day(p.day, days), p.amount)])
            if p.kind in _REVERSIBLE:
                kept.new += [(p.id, part) for part in made]
        else:
            assert p.reverses is not None
            assert today is not None
            back = _back(own, p.amount)
            kept.left |= {(p.reverses, day): own[day] for day, _ in back if day in own}
            account.give([Part(_returned(day, days, today), amount) for day, amount in back])
    return kept


def _first(p: Posting, own: Mapping[date, int] | None) -> Sequence[date]:
    """The lots that a posting takes from before all others."""
    if p.kind == EXPIRY:
        return (p.day - timedelta(days=1),)
    if own is None:
        return ()
    # What made no lot stands with what never expires.
    return sorted(own) or (NEVER,)


def _back(own: dict[date, int], amount: int) -> list[Part]:
    """What of a transaction comes back: what was taken last comes first, as if less had been taken. `own` goes down by
    it. What is not known (it was taken before there were lots) is as if it had been taken from nothing."""
    out = []
    for day in sorted(own, reverse=True):
        part = min(amount, own[day])
        if part > 0:
            out.append(Part(day, part))
            own[day] -= part
            amount -= part
    return [*out, Part(BELOW, amount)] if amount else out


def _returned(day: date, days: int, today: date) -> date:
    """Where what was taken from a lot goes back to."""
    if day == BELOW:
        return last_day(today, days)
    return day if day >= today else today + timedelta(days=RETURN_DAYS)
