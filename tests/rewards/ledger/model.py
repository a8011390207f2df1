"""What the ledger has to do, written a second time and in another way: an account is a list of single points, each with
the day it lasts until. Slow, and simple enough to be believed."""

import copy
from bisect import insort
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self
from uuid import UUID

NEVER = date.max
NOTHING = None
"""In the place of a point that was taken below zero."""

ACCEPTED, DUPLICATE = "accepted", "duplicate"


class Refused(Exception):
    """A refusal; its text is the code."""


@dataclass
class Account:
    points: list[date] = field(default_factory=list)
    gone: Counter[date] = field(default_factory=Counter)
    below: int = 0
    debt: int = 0
    closed: bool = False

    @property
    def balance(self) -> int:
        return len(self.points) - self.below

    def give(self, days: Iterable[date]) -> int:
        """How many of them became points of the account."""
        made = 0
        for day in days:
            if self.below:
                self.below -= 1
            else:
                insort(self.points, day)
                made += 1
        return made

    def take(self, amount: int, first: date | None = None) -> list[date | None]:
        taken: list[date | None] = []
        for _ in range(amount):
            if first in self.points:
                self.points.remove(first)
                taken.append(first)
            elif self.points:
                taken.append(self.points.pop(0))
            else:
                self.below += 1
                taken.append(NOTHING)
        return taken


@dataclass
class Entry:
    member: int
    kind: str
    amount: int
    left: int
    taken: list[date | None] = field(default_factory=list)
    first: date = NEVER
    made: int = 0
    until: datetime | None = None
    state: str = "open"


@dataclass(frozen=True)
class Op:
    """Something that is asked of the ledger. `handle` names the entry it makes, `about` an earlier one."""

    what: str
    handle: Hashable
    member: int = 0
    amount: int = 0
    key: str | None = None
    about: Hashable = 0
    ago: int = 0
    forced: bool = False
    seconds: int = 0
    batch: tuple["Op", ...] = ()


@dataclass
class Model:
    now: datetime
    clawback: str
    days: int | None = None
    ever: bool = False
    people: list[Account] = field(default_factory=lambda: [Account() for _ in range(3)])
    system: Counter[str] = field(default_factory=Counter)
    entries: dict[Hashable, Entry] = field(default_factory=dict)
    keys: dict[str, tuple[Any, Hashable]] = field(default_factory=dict)

    def copy(self) -> Self:
        return copy.deepcopy(self)

    def apply(self, op: Op) -> str:
        """Do it and say what came of it; what is refused changes nothing."""
        tried = self.copy()
        try:
            outcome: str = getattr(tried, f"do_{op.what}")(op)
        except Refused as refused:
            return str(refused)
        self.__dict__.update(tried.__dict__)
        return outcome

    def do_grants(self, op: Op) -> str:
        gained: Counter[int] = Counter()
        for one in op.batch:
            if self._known(one, None) is None:
                self._once(one, None)
                self._move(one, "grant", "mint")
                gained[one.member] += max(one.amount, 0)
        for member, amount in gained.items():
            self._pay_off(member, amount)
        return ACCEPTED

    def do_adjust(self, op: Op) -> str:
        self._there(op.member)
        payload = "adjustment", op.member, op.amount, op.ago, op.forced
        if (known := self._known(op, payload)) is not None:
            return known
        self._once(op, payload)
        self._move(op, "adjustment", "adjust")
        self._pay_off(op.member, max(op.amount, 0))
        if op.amount < 0 and not op.forced:
            self._covered(op.member)
        return ACCEPTED

    def do_spend(self, op: Op) -> str:
        self._there(op.member)
        payload = "spend", op.member, op.amount, op.ago
        if (known := self._known(op, payload)) is not None:
            return known
        self._once(op, payload)
        self._move(op, "spend", "burn")
        self._spendable(op.member)
        return ACCEPTED

    def erase(self, member: int) -> None:
        """Open holds go back, in the order in which they were made, and nothing is left. An account that was closed
        stays so."""
        account = self.people[member]
        if account.closed:
            return
        for one in self.entries.values():
            if one.member == member and one.kind == "hold" and one.state == "open":
                amount = one.left
                self._release(one, amount)
                self._pay_off(member, amount)
                one.state = "released"
        self.system["debt"] += account.debt
        left = account.balance - account.debt
        self.system["burn" if left > 0 else "adjust"] += left
        self.people[member] = Account(closed=True)
        # What entries were asked for by tells nobody any more whose they were.
        self.keys = {key: known for key, known in self.keys.items() if self.entries[known[1]].member != member}

    def do_hold(self, op: Op) -> str:
        self._there(op.member)
        payload = "hold", op.member, op.amount, op.seconds
        if (known := self._known(op, payload)) is not None:
            return known
        self._once(op, payload)
        self._move(op, "hold", "escrow")
        self.entries[op.handle].until = self.now + timedelta(seconds=op.seconds)
        self._spendable(op.member)
        return ACCEPTED

    def do_reverse(self, op: Op) -> str:
        one = self.entries[op.about]
        if one.kind == "hold":
            raise Refused("not_reversible")
        if one.left == 0:
            raise Refused("already_reversed")
        part = op.amount or one.left
        if part > one.left:
            raise Refused("reversal_too_large")
        self._there(one.member)
        account = self.people[one.member]
        one.left -= part
        counter = {"grant": "mint", "adjustment": "adjust", "spend": "burn", "capture": "burn"}[one.kind]
        if one.amount > 0:
            expired = self._expired_of(one, part)
            account.take(part - expired, one.first)
            self.system[counter] += part
            self.system["expired"] -= expired
            if self.clawback == "refuse" and account.balance < 0:
                raise Refused("insufficient")
            missing = min(-account.balance, part)
            if self.clawback == "to_zero_and_record_debt" and missing > 0:
                account.below -= missing
                account.debt += missing
                self.system["debt"] -= missing
        else:
            self._back(one, part)
            self.system[counter] -= part
            self._pay_off(one.member, part)
        return ACCEPTED

    def do_capture(self, op: Op) -> str:
        one = self._open(op.about)
        assert one.until is not None
        if one.until <= self.now:
            raise Refused("hold_ended")
        part = op.amount or one.left
        if part > one.left:
            raise Refused("capture_too_large")
        rest = one.left - part
        self._release(one, rest)
        self._pay_off(one.member, rest)
        one.state = "captured"
        one.left = 0
        self.system["escrow"] -= part
        self.system["burn"] += part
        self.entries[op.handle] = Entry(one.member, "capture", -part, part, one.taken)
        return ACCEPTED

    def do_release(self, op: Op) -> str:
        one = self._open(op.about)
        amount = one.left
        self._release(one, amount)
        self._pay_off(one.member, amount)
        one.state = "released"
        return ACCEPTED

    def pass_time(self, hours: int, order: Mapping[Hashable, UUID]) -> None:
        """Holds whose time is over go back, in the order of their ids, then what is over expires."""
        self.now += timedelta(hours=hours)
        due = [h for h, e in self.entries.items() if e.kind == "hold" and e.state == "open" and self._over(e)]
        gained: Counter[int] = Counter()
        for handle in sorted(due, key=lambda h: order[h]):
            one = self.entries[handle]
            gained[one.member] += one.left
            self._release(one, one.left)
            one.state = "expired"
        for member, amount in gained.items():
            self._pay_off(member, amount)
        for account in self.people:
            over = [day for day in account.points if day < self.now.date()]
            account.points = account.points[len(over) :]
            account.gone.update(over)
            self.system["expired"] += len(over)

    def change_term(self, days: int | None) -> None:
        self.days = days
        self.ever = self.ever or days is not None

    # What it is made of

    def _over(self, one: Entry) -> bool:
        return one.until is not None and one.until <= self.now

    def _there(self, member: int) -> None:
        if self.people[member].closed:
            raise Refused("member_erased")

    def _known(self, op: Op, payload: Any) -> str | None:
        if op.key is None or op.key not in self.keys:
            return None
        if self.keys[op.key][0] != payload:
            raise Refused("idempotency_key_reused")
        return DUPLICATE

    def _once(self, op: Op, payload: Any) -> None:
        if op.key is not None:
            self.keys[op.key] = payload, op.handle

    def _last(self, day: date) -> date:
        return day + timedelta(days=self.days) if self.days else NEVER

    def _move(self, op: Op, kind: str, counter: str) -> None:
        account, entry = self.people[op.member], Entry(op.member, kind, op.amount, abs(op.amount))
        if op.amount > 0:
            day = self._last((self.now - timedelta(days=op.ago)).date())
            entry.made = account.give([day] * op.amount)
            if entry.made:
                entry.first = day
        else:
            taken = account.take(-op.amount)
            # Before there were lots nobody noted where anything came from.
            entry.taken = taken if self.ever else [NOTHING] * len(taken)
        self.system[counter] -= op.amount
        self.entries[op.handle] = entry

    def _expired_of(self, one: Entry, part: int) -> int:
        """How much of what is taken back had expired: that is gone, and nothing else goes for it."""
        if one.first >= self.now.date():
            return 0
        account = self.people[one.member]
        there = min(part, one.made, account.points.count(one.first))
        gone = min(part - there, one.made - there, account.gone[one.first])
        account.gone[one.first] -= gone
        one.made -= gone
        return gone

    def _back(self, one: Entry, amount: int) -> None:
        today = self.now.date()
        for _ in range(amount):
            day = one.taken.pop()
            if day is NOTHING:
                day = self._last(today)
            elif day < today:
                day = today + timedelta(days=7)
            self.people[one.member].give([day])

    def _release(self, one: Entry, amount: int) -> None:
        self._back(one, amount)
        one.left -= amount
        self.system["escrow"] -= amount

    def _pay_off(self, member: int, gained: int) -> None:
        account = self.people[member]
        paid = min(account.debt, gained, max(account.balance, 0))
        account.take(paid)
        account.debt -= paid
        self.system["debt"] += paid

    def _covered(self, member: int) -> None:
        if self.people[member].balance < 0:
            raise Refused("insufficient")

    def _spendable(self, member: int) -> None:
        if self.people[member].debt:
            raise Refused("in_debt")
        self._covered(member)

    def _open(self, handle: Hashable) -> Entry:
        one = self.entries[handle]
        if one.state != "open":
            raise Refused("hold_ended")
        return one

    def seen(self) -> dict[str, Any]:
        """What an observer of the ledger sees."""
        held: Counter[int] = Counter()
        for one in self.entries.values():
            if one.kind == "hold" and one.state == "open":
                held[one.member] += one.left
        return {
            "members": [(a.balance, a.debt, held[n]) for n, a in enumerate(self.people)],
            "lots": [dict(Counter(day for day in a.points if day != NEVER)) for a in self.people],
            "system": {name: amount for name, amount in self.system.items() if amount},
        }


def either(model: Model, ops: Sequence[Op], outcomes: Sequence[str]) -> list[Model]:
    """The models after two things that were done at once and of which this came: in one order, the other, or both."""
    out = []
    for order in ((0, 1), (1, 0)):
        tried = model.copy()
        if all(tried.apply(ops[n]) == outcomes[n] for n in order):
            out.append(tried)
    return out
