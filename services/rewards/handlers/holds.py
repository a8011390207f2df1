"""Points held ready for something: taken from what a member can spend first, given away or back later (R39).

A hold ends once: captured (what is not is released with it), released, or by itself when its time is over. Its row is
held before anything is posted for it, and several in the order of their keys. What it took from lots goes back there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from kit.clock import uuid7
from kit.copies import known_communities
from kit.database import Database, Tx
from kit.days import local_day
from kit.errors import Conflict, FieldError, NotFound, Unavailable, Unprocessable
from services.rewards.domain import adjusting as domain
from services.rewards.domain.adjusting import Wish
from services.rewards.domain.ledger import (
    BURN,
    CAPTURE,
    ESCROW,
    HOLD,
    RELEASE,
    SPEND,
    Posting,
    check_balance,
    check_debt,
    digest,
    needs_approval,
)
from services.rewards.handlers.adjusting import key_reused, place_of, posting_of
from services.rewards.handlers.apart import together_or_apart
from services.rewards.handlers.ledger import begin, finish
from services.rewards.store import holds as store
from services.rewards.store import ledger as ledger_store

MOST = 500
"""Holds of a community that one transaction ends because their time is over."""

MOST_SECONDS = 400 * 86400


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hold somebody wants: `amount` (more than 0) for so many seconds. The rest is as in a wish."""

    member_id: UUID
    unit: str
    amount: int
    reason: str
    timeout_seconds: int
    idempotency_key: str | None = None
    computed: bool = False


async def hold(tx: Tx, community_id: UUID, wanted: Wanted, actor: str) -> tuple[Any, bool]:
    """The hold, and whether it is new: the same idempotency key with the same content is the first one's.

    Unprocessable for what an account does not have (`insufficient`) and for who owes (`in_debt`): as a spend.
    """
    wish = Wish(
        kind=SPEND,
        member_id=wanted.member_id,
        unit=wanted.unit,
        amount=-wanted.amount,
        reason=wanted.reason,
        idempotency_key=wanted.idempotency_key,
        computed=wanted.computed,
    )
    place = await place_of(tx, community_id, [wish])
    domain.check(wish, place.units, place.members, place.erased, tx.now)
    if needs_approval(wish.amount, place.units[wanted.unit]):
        raise Unprocessable(
            "so much leaves an account only when a second person approves it, and a hold waits for nobody: post it as a"
            " spend, or hold less",
            code="approval_needed",
            approval_above=place.units[wanted.unit].approval_above,
        )
    spend = posting_of(tx, community_id, wish, actor, place)
    payload = digest(wish.payload_hash, wanted.timeout_seconds)
    posting = spend._replace(kind=HOLD, counter=ESCROW, payload_hash=payload)
    if not await begin(tx, [posting]):
        ((id, there),) = (await ledger_store.posted(tx, community_id, [posting.idem_key])).values()
        if there != payload:
            raise key_reused()
        return await store.one(tx, community_id, id), False
    row = {
        "community_id": community_id,
        "id": posting.id,
        "member_id": wanted.member_id,
        "unit": wanted.unit,
        "amount": wanted.amount,
        "reason": wanted.reason,
        "actor": actor,
        "expires_at": tx.now + timedelta(seconds=wanted.timeout_seconds),
        "created_at": tx.now,
    }
    await store.add(tx, row)
    done = await finish(tx, [posting])
    after = done.accounts[community_id, wanted.member_id, wanted.unit]
    # Raising undoes the transaction, and the hold with it.
    check_debt(after.debt, place.units[wanted.unit])
    check_balance(after.balance, posting.amount, place.units[wanted.unit])
    return await store.one(tx, community_id, posting.id), True


async def capture(tx: Tx, community_id: UUID, hold_id: UUID, *, amount: int | None, actor: str) -> Any:
    """Burn what is held, or `amount` of it, as what is spent is; the rest goes back to the member.

    Conflict (`hold_ended`) when it ended before, by itself too; Unprocessable for more than is held.
    """
    row = await _open(tx, community_id, hold_id)
    if row.expires_at <= tx.now:
        raise Conflict("the time of this hold is over; it goes back by itself", code="hold_ended", state=store.EXPIRED)
    taken = row.amount if amount is None else amount
    if not 0 < taken <= row.amount:
        raise Unprocessable(
            f"between 1 and {row.amount} can be captured",
            code="capture_too_large",
            errors=[FieldError("/amount", "capture_too_large", f"at most {row.amount}")],
            held=row.amount,
        )
    day, captured = await _today(tx, community_id), uuid7(tx.now)
    postings = []
    if taken < row.amount:
        postings.append(_release(tx, row, day, row.amount - taken, actor))
    posting = _posting(
        tx, row, day, id=captured, kind=CAPTURE, counter=BURN, amount=-taken, instead=ESCROW, actor=actor
    )
    await _post(tx, [*postings, posting])
    if postings:
        await ledger_store.note_reversed(tx, hold_id, row.amount - taken)
    await store.take_over_parts(tx, hold_id, captured)
    ended = {"state": store.CAPTURED, "captured": taken, "capture_id": captured, "ended_by": actor}
    await store.end(tx, community_id, hold_id, ended)
    return await store.one(tx, community_id, hold_id)


async def release(tx: Tx, community_id: UUID, hold_id: UUID, *, actor: str) -> Any:
    """Give all of it back. Conflict (`hold_ended`) when it ended before."""
    row = await _open(tx, community_id, hold_id)
    await _post(tx, [_release(tx, row, await _today(tx, community_id), row.amount, actor)])
    await ledger_store.note_reversed(tx, hold_id, row.amount)
    await store.end(tx, community_id, hold_id, {"state": store.RELEASED, "ended_by": actor})
    return await store.one(tx, community_id, hold_id)


async def release_some(db: Database) -> int:
    """Give back some of what is held for longer than it was to be; how many holds. What one community cannot be given
    back keeps none of another's."""
    async with db.read() as tx:
        communities = await store.communities_over(tx)
    released = 0
    for community_id in communities:
        async with db.read() as tx:
            due = await store.over(tx, community_id, MOST)
        released += await together_or_apart(due, partial(_release_over, db, community_id))
    return released


async def _release_over(db: Database, community_id: UUID, ids: Sequence[UUID]) -> int:
    async with db.begin() as tx:
        rows = await store.lock(tx, [(community_id, id) for id in sorted(ids)])
        day = await _today(tx, community_id)
        await _post(tx, [_release(tx, row, day, row.amount, "") for row in rows])
        await ledger_store.note_rest_reversed(tx, [row.id for row in rows])
        await store.expire(tx, [(row.community_id, row.id) for row in rows])
    return len(rows)


async def _open(tx: Tx, community_id: UUID, hold_id: UUID) -> Any:
    row = await store.one(tx, community_id, hold_id, lock=True)
    if row is None:
        raise NotFound("no such hold", code="hold_unknown")
    if row.state != store.OPEN:
        raise Conflict(f"this hold was {row.state} already", code="hold_ended", state=row.state)
    return row


async def _today(tx: Tx, community_id: UUID) -> date:
    place = (await known_communities(tx, [community_id])).get(community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    return local_day(tx.now, place.zone, place.day_start)


async def _post(tx: Tx, postings: list[Posting]) -> None:
    await finish(tx, await begin(tx, postings))


def _release(tx: Tx, row: Any, day: date, amount: int, actor: str) -> Posting:
    return _posting(
        tx, row, day, id=uuid7(tx.now), kind=RELEASE, counter=ESCROW, amount=amount, reverses=row.id, actor=actor
    )


def _posting(tx: Tx, row: Any, day: date, *, kind: str, **more: Any) -> Posting:
    return Posting(
        community_id=row.community_id,
        # A hold ends once: so does what ends it.
        idem_key=digest(kind, row.id),
        payload_hash=digest(kind, row.id, more["amount"]),
        kind=kind,
        member_id=row.member_id,
        unit=row.unit,
        effective_at=tx.now,
        day=day,
        scored=False,
        reason=row.reason,
        **more,
    )
