"""What rules and recomputes have to do, written a second time beside the ledger's model: each activity has the lines
that were posted for it, and other rules post what its lines lack or have too much."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import NamedTuple
from uuid import UUID

from tests.rewards.ledger.model import ACCEPTED, Entry, Model, Op

Rules = Mapping[str, int]
"""What `talk` gives for everything that is written, and `long` for what has at least so many letters."""
LONG = 5


@dataclass(frozen=True)
class Act(Op):
    """Something written at a time, `amount` letters of it. One with a key may be told again."""

    at: datetime = datetime(2026, 11, 23, 9, tzinfo=UTC)

    @property
    def name(self) -> Hashable:
        return self.key or self.handle


class Line(NamedTuple):
    """The handle of what was posted for an activity by a rule: the first time, the second."""

    act: Hashable
    rule: str
    number: int


class Written(NamedTuple):
    member: int
    letters: int
    day: date


class Due(NamedTuple):
    """What a recompute does about an activity and a rule: of which lines how much goes back, and what comes besides."""

    act: Hashable
    rule: str
    back: list[tuple[Entry, int]]
    more: int


@dataclass
class ScoredModel(Model):
    rules: Rules = field(default_factory=dict)
    written: dict[Hashable, Written] = field(default_factory=dict)
    by_hand: Counter[Line] = field(default_factory=Counter)

    def do_score(self, op: Op) -> str:
        gained: Counter[int] = Counter()
        for one in op.batch:
            assert isinstance(one, Act)
            if one.name in self.written:
                continue
            self.written[one.name] = Written(one.member, one.amount, one.at.date())
            if not self.people[one.member].closed:
                for rule in sorted(self.rules):
                    if worth := self._worth(one.name, rule, self.rules):
                        self._post(one.name, rule, worth)
                        gained[one.member] += max(worth, 0)
        for member, amount in gained.items():
            self._pay_off(member, amount)
        return ACCEPTED

    def do_reverse(self, op: Op) -> str:
        before = self.entries[op.about].left
        outcome = super().do_reverse(op)
        if isinstance(op.about, Line):
            self.by_hand[op.about] += before - self.entries[op.about].left
        return outcome

    def recompute(self, rules: Rules, order: Mapping[Hashable, UUID], among: Collection[Hashable]) -> Counter[str]:
        """Post what these activities lack or have too much by these rules, all at once; how much that was."""
        dues = [
            due
            for act in sorted(among, key=lambda act: order[act])
            if not self.people[self.written[act].member].closed
            for rule in ("long", "talk")
            for due in [self._due(act, rule, rules)]
            if not (self.clawback == "refuse" and any(one.amount > 0 for one, _ in due.back))
        ]
        expired = self._all_expired(dues)
        out, gained, taken = Counter[str](), Counter[int](), Counter[int]()
        for due in dues:
            member = self.written[due.act].member
            for one, part in due.back:
                one.left -= part
                out["entries"] += 1
                if one.amount > 0:
                    gone = expired.pop(0)
                    self.people[member].take(part - gone, one.first)
                    self.system["mint"] += part
                    self.system["expired"] -= gone
                    taken[member] += part
                    out["taken"] += part
                else:
                    self._back(one, part)
                    self.system["mint"] -= part
                    gained[member] += part
                    out["added"] += part
            if due.more:
                self._post(due.act, due.rule, due.more)
                gained[member] += max(due.more, 0)
                out["entries"] += 1
                out["added" if due.more > 0 else "taken"] += abs(due.more)
        for member in sorted({*gained, *taken}):
            self._settle(member, gained[member], taken[member])
        return out

    def _worth(self, act: Hashable, rule: str, rules: Rules) -> int:
        return rules.get(rule, 0) if rule == "talk" or self.written[act].letters >= LONG else 0

    def _lines(self, act: Hashable, rule: str) -> Iterator[Line]:
        for number in count():
            if (line := Line(act, rule, number)) not in self.entries:
                return
            yield line

    def _post(self, act: Hashable, rule: str, amount: int) -> None:
        what = self.written[act]
        line = Line(act, rule, len(list(self._lines(act, rule))))
        ago = (self.now.date() - what.day).days
        self._move(Op("grant", line, what.member, amount, ago=ago), "grant", "mint")

    def _due(self, act: Hashable, rule: str, rules: Rules) -> Due:
        """What a person took back counts as given: it is neither taken a second time nor given again."""
        worth, back, more = self._worth(act, rule, rules), [], 0
        for sign in (-1, 1):
            lines = [line for line in self._lines(act, rule) if self.entries[line].amount * sign > 0]
            given = sum(self.entries[line].left + self.by_hand[line] for line in lines)
            excess = given - max(worth * sign, 0)
            more += sign * max(-excess, 0)
            for line in reversed(lines):
                part = min(max(excess, 0), self.entries[line].left)
                excess -= part
                if part:
                    back.append((self.entries[line], part))
        return Due(act, rule, back, more)

    def _all_expired(self, dues: list[Due]) -> list[int]:
        """Of each part that is taken, how much expired before. What is there is taken once, whoever brought it."""
        out: list[int] = []
        spoken: Counter[tuple[int, date]] = Counter()
        for due in dues:
            for one, part in due.back:
                if one.amount < 0:
                    continue
                account, gone = self.people[one.member], 0
                if one.first < self.now.date():
                    there = account.points.count(one.first) - spoken[one.member, one.first]
                    there = min(part, one.made, there)
                    spoken[one.member, one.first] += there
                    gone = min(part - there, one.made - there, account.gone[one.first])
                    account.gone[one.first] -= gone
                    one.made -= gone
                out.append(gone)
        return out

    def _settle(self, member: int, gained: int, taken: int) -> None:
        account = self.people[member]
        missing = min(-account.balance, taken) if self.clawback == "to_zero_and_record_debt" else 0
        if missing > 0:
            account.below -= missing
            account.debt += missing
            self.system["debt"] -= missing
        else:
            self._pay_off(member, gained)
