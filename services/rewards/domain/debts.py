"""What members owe: what a reversal could not take because it was spent, and what new points pay off (R7).

A member's debt is the sum of their lines against the system account `debt`: `owed` lifts the balance back to where
there was nothing to take, `repayment` takes from what comes in. Every transaction sums to zero as always.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from services.rewards.domain.ledger import DEBT, OWED, REPAYMENT, REVERSAL, Posting, digest

Key = tuple[UUID, UUID, str]
"""(community, member, unit)"""


class Standing(NamedTuple):
    """A member's account: `debt` is never below 0."""

    balance: int
    debt: int


class Moved(NamedTuple):
    """The postings of one account taken together: what came in, what reversals took (both unsigned), the last one."""

    gained: int
    taken: int
    last: Posting


def paid_off(standing: Standing, gained: int) -> int:
    """How much of what came in (it is in the balance already) goes to the debt: no more than leaves nothing."""
    return min(standing.debt, gained, max(standing.balance, 0))


def consequences(
    postings: Sequence[Posting], after: Mapping[Key, Standing], owing: Collection[tuple[UUID, str]]
) -> list[tuple[Key, str, int, Posting]]:
    """What follows from postings that left these standings: (account, kind, amount, the posting it comes with).

    `owing` are the units (with their communities) in which what reversals cannot take is owed.
    """
    moved: dict[Key, Moved] = {}
    for p in postings:
        if not p.of_member:
            continue
        key = p.community_id, p.member_id, p.unit
        was = moved.get(key, Moved(0, 0, p))
        taken = -p.amount if p.kind == REVERSAL and p.amount < 0 else 0
        moved[key] = Moved(was.gained + max(p.amount, 0), was.taken + taken, p)
    out = []
    for key, (gained, taken, last) in moved.items():
        standing = after[key]
        missing = min(-standing.balance, taken) if (key[0], key[2]) in owing else 0
        if missing > 0:
            out.append((key, OWED, missing, last))
        elif (amount := paid_off(standing, gained)) > 0:
            out.append((key, REPAYMENT, -amount, last))
    return out


def posting(id: UUID, kind: str, amount: int, cause: Posting) -> Posting:
    """One of the consequences as a transaction; it stands beside the one that it comes with."""
    return Posting(
        id=id,
        community_id=cause.community_id,
        idem_key=digest(kind, cause.id),
        payload_hash=digest(kind, cause.id, amount),
        kind=kind,
        member_id=cause.member_id,
        counter=DEBT,
        unit=cause.unit,
        amount=amount,
        effective_at=cause.effective_at,
        day=cause.day,
        scored=False,
        source_event_id=cause.source_event_id,
        reason="Could not be taken back and is owed" if kind == OWED else "Pays off what is owed",
    )
