"""Rules of the ledger: what a posting is, how much may be taken, what may be taken back. Amounts are whole minor units.

Every transaction has two lines, the member's and the one of a system account, and sums to zero by construction.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from kit.errors import BadRequest, Conflict, FieldError, Unprocessable
from kit.ids import uuid5
from services.rewards.domain.groups import PREFIX, is_group, marked

MOST = 2**62 - 1
"""The largest amount and balance: half of int64, so that no sum of two of them can overflow a column."""

MINT, BURN, ADJUST, ESCROW, DEBT, EXPIRED = "mint", "burn", "adjust", "escrow", "debt", "expired"
SYSTEM_ACCOUNTS = (MINT, BURN, ADJUST, ESCROW)
"""There from the beginning for every unit; `debt` when the unit's clawback first says so, `expired` when its points
first expire."""

GRANT, ADJUSTMENT, SPEND, REVERSAL = "grant", "adjustment", "spend", "reversal"
OWED, REPAYMENT = "owed", "repayment"
HOLD, RELEASE, CAPTURE, EXPIRY = "hold", "release", "capture", "expiry"
ERASURE, ERASURE_RECORD = "erasure", "erasure_record"
"""What closes an account, and what commits to the entries that were made others for it (`domain.erasing`)."""

ALLOW_NEGATIVE, REFUSE, RECORD_DEBT = "allow_negative", "refuse", "to_zero_and_record_debt"


@dataclass(frozen=True, slots=True)
class Unit:
    """`minimum` is what a balance may not fall below by spending; `clawback` what a reversal does that would: go on
    (`allow_negative`), be refused (`refuse`), or take what there is down to 0 and record the rest as owed
    (`to_zero_and_record_debt`). An adjustment of more than `approval_above` waits for a second person. What comes in
    can be spent until `expires_after_days` after the community's day that it counts for; None: for ever."""

    id: str
    name: str
    spendable: bool
    minimum: int = 0
    clawback: str = ALLOW_NEGATIVE
    approval_above: int | None = None
    expires_after_days: int | None = None
    version: int = 1


DEFAULT_UNITS = (
    Unit("points", "Points", spendable=True),
    Unit("xp", "Experience", spendable=False),
    Unit("contribution", "Contribution", spendable=False),
    Unit("fund", "Community fund", spendable=True, clawback=REFUSE),
)

FREEZES = Unit("freezes", "Streak freezes", spendable=False)
"""Freezes held, over all series of a community; there from the first one on. Its entries follow from check-ins
(`domain.streaks`): what anybody else posted there would be in no streak."""
FOLLOWS = "freezes follow from check-ins: POST /v1/checkins/{series}/members/{member}/freezes buys one"

BOOKKEEPING = frozenset({"fund"})
"""Units that stand for money elsewhere: people post them, with a reason, and no rule gives them."""


class Posting(NamedTuple):
    """One transaction to be: `amount` (never 0) to the member's account, minus as much from the `counter` account.

    `day` is the community's day it counts for. `scored` says whether boards count the member's line. With `instead` the
    system account of that name stands where the member's would, and `member_id` is only whom it concerns. As
    `member_id` the id of a group's account, which is there, is that account.
    """

    id: UUID
    community_id: UUID
    idem_key: bytes
    payload_hash: bytes
    kind: str
    member_id: UUID
    counter: str
    unit: str
    amount: int
    effective_at: datetime
    day: date
    scored: bool
    rule_id: str | None = None
    rule_version: int | None = None
    source_event_id: UUID | None = None
    reverses: UUID | None = None
    reason: str = ""
    actor: str = ""
    approver: str | None = None
    instead: str | None = None

    @property
    def of_member(self) -> bool:
        """Whether the account is a member's: only those owe, expire, rise in level and stand on boards."""
        return self.instead is None and not is_group(self.member_id)

    @property
    def own(self) -> tuple[int, UUID]:
        """Whether the account is one of the system's (1), and whose."""
        if self.instead is not None:
            return 1, system_account_id(self.community_id, self.instead)
        return int(is_group(self.member_id)), self.member_id


@lru_cache(maxsize=4096)
def system_account_id(community_id: UUID, name: str) -> UUID:
    """The owner id of a system account. Its namespace is its own: no identity of a member can compute to it."""
    computed = uuid5(uuid5(community_id, "accounts"), name)
    return marked(computed) if name.startswith(PREFIX) else computed


def digest(*parts: object) -> bytes:
    """32 bytes that stand for these values in this order; None and "" differ, and so do ("ab", "c") and ("a", "bc")."""
    return sha256(repr(tuple(None if p is None else str(p) for p in parts)).encode()).digest()


def check_amount(amount: int, pointer: str = "/amount") -> None:
    """BadRequest for what no account can hold; Unprocessable for nothing at all."""
    if not -MOST <= amount <= MOST:
        raise BadRequest(
            f"an amount lies between -{MOST} and {MOST}",
            code="amount_out_of_range",
            errors=[FieldError(pointer, "amount_out_of_range", f"at most {MOST}")],
        )
    if amount == 0:
        raise Unprocessable(
            "an entry of 0 says nothing", code="amount_zero", errors=[FieldError(pointer, "amount_zero", "not 0")]
        )


def check_balance(balance_after: int, amount: int, unit: Unit) -> None:
    """Unprocessable when taking `-amount` leaves less than the unit's minimum. Giving is never refused."""
    if amount < 0 and balance_after < unit.minimum:
        available = max(balance_after - amount - unit.minimum, 0)
        raise Unprocessable(
            f"{-amount} {unit.id} is more than there is to take ({available})",
            code="insufficient",
            available=available,
            unit=unit.id,
        )


def check_debt(debt: int, unit: Unit) -> None:
    """Unprocessable for who owes: what comes in pays that off before anything is spent."""
    if debt > 0:
        raise Unprocessable(
            f"{debt} {unit.id} are owed; what comes in pays them off first", code="in_debt", debt=debt, unit=unit.id
        )


def needs_approval(amount: int, unit: Unit) -> bool:
    """Whether an adjustment of this size waits for a second person."""
    return unit.approval_above is not None and abs(amount) > unit.approval_above


def amount_to_reverse(kind: str, amount: int, already: int, asked: int | None) -> int:
    """How much of an entry of `amount` goes back now (its sign is the entry's), of which `already` (unsigned) went.

    Conflict when nothing is left; Unprocessable when `asked` (unsigned; None: all that is left) is more than that.
    """
    if kind == REVERSAL:
        raise Unprocessable("a reversal is not reversed; post the entry again", code="not_reversible")
    if kind in (OWED, REPAYMENT):
        raise Unprocessable("a debt is not reversed; an adjustment pays it off", code="not_reversible")
    if kind in (HOLD, RELEASE):
        raise Unprocessable("a hold is not reversed; release it, or reverse its capture", code="not_reversible")
    if kind == EXPIRY:
        raise Unprocessable("what expired is not reversed; an adjustment gives it anew", code="not_reversible")
    if kind == ERASURE:
        raise Unprocessable("an account that was closed stays closed", code="not_reversible")
    left = abs(amount) - already
    if left == 0:
        raise Conflict("this entry was reversed in full already", code="already_reversed")
    if asked is not None and not 0 < asked <= left:
        raise Unprocessable(f"between 1 and {left} can be reversed", code="reversal_too_large", left=left)
    part = left if asked is None else asked
    return part if amount > 0 else -part
