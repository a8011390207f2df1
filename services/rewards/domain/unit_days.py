"""What a unit's economy came to day by day (R83): issued, spent, expired, and what is about."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple

from services.rewards.domain.ledger import ADJUST, BURN, DEBT, ESCROW, EXPIRED, MINT

MOST_DAYS: Final = 366

GROUPS: Final = "groups"
"""All groups' accounts together: by themselves they would be a row each a day."""


class Flow(NamedTuple):
    """What came to a system account and went from it, both unsigned."""

    came: int = 0
    went: int = 0

    def and_then(self, amount: int) -> "Flow":
        """With a line of the account more."""
        return Flow(self.came + max(amount, 0), self.went + max(-amount, 0))

    @property
    def net(self) -> int:
        return self.came - self.went


class Day(NamedTuple):
    """`issued` is what rules gave, `taken_back` what of that was reversed, `by_hand` what operators gave, less what
    they took; `spent` and `expired` less what came back. At the end of the day members had `balances` all together
    (what is held not among it), `held` for something, and `owed`."""

    day: date
    issued: int
    taken_back: int
    by_hand: int
    spent: int
    expired: int
    balances: int
    held: int
    owed: int


def days_of(
    before: Mapping[str, Flow], flows: Mapping[date, Mapping[str, Flow]], since: date, until: date
) -> Iterator[Day]:
    """Every day from `since` to `until`, those on which nothing happened among them. `before` is what went through the
    accounts before the first."""
    nets = {name: flow.net for name, flow in before.items()}
    for n in range((until - since).days + 1):
        day = since + timedelta(days=n)
        some = flows.get(day, {})
        for name, flow in some.items():
            nets[name] = nets.get(name, 0) + flow.net
        yield Day(
            day,
            issued=some.get(MINT, Flow()).went,
            taken_back=some.get(MINT, Flow()).came,
            by_hand=-some.get(ADJUST, Flow()).net,
            spent=some.get(BURN, Flow()).net,
            expired=some.get(EXPIRED, Flow()).net,
            # Everything sums to zero: members have what the system's accounts lack.
            balances=-sum(nets.values()),
            held=nets.get(ESCROW, 0),
            owed=-nets.get(DEBT, 0),
        )


def inflation(before: Mapping[str, Flow], last: Day) -> float | None:
    """By how many per cent what is about (balances and what is held) grew in the days up to `last`, to two decimals;
    None where nothing was about before."""
    was = -sum(flow.net for name, flow in before.items() if name != ESCROW)
    if was <= 0:
        return None
    return round((last.balances + last.held - was) * 100 / was, 2)
