"""Entries by hand: adjustments and spends, singly and in batches, approvals, reversals. Each says who and why.

Everything here is a new entry; nothing posted is ever edited.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kit import outbox
from kit.auth import Principal
from kit.clock import uuid7
from kit.contracts.rewards import PointsAdjusted
from kit.database import Tx
from kit.days import local_day
from kit.errors import Conflict, Forbidden, GuildhallError, NotFound, Unavailable, Unprocessable
from services.rewards.domain.adjusting import (
    ACCEPTED,
    COUNTERS,
    DUPLICATE,
    REFUSED,
    WAITING,
    Outcome,
    Wish,
    check,
    member_erased,
    unit_follows,
)
from services.rewards.domain.debts import Standing, paid_off
from services.rewards.domain.groups import is_group
from services.rewards.domain.ledger import (
    ADJUSTMENT,
    CAPTURE,
    FREEZES,
    RECORD_DEBT,
    REFUSE,
    REVERSAL,
    SPEND,
    Posting,
    Unit,
    amount_to_reverse,
    check_amount,
    check_balance,
    check_debt,
    digest,
    needs_approval,
)
from services.rewards.handlers.ledger import begin, ensure_defaults, finish
from services.rewards.store import adjustments, erasures, holds
from services.rewards.store import entries as reading
from services.rewards.store import ledger as store


async def post_one(tx: Tx, community_id: UUID, wish: Wish, actor: str) -> Outcome:
    """One wish; raises what it is refused for."""
    (outcome,) = await post_many(tx, community_id, [wish], actor, alone=True)
    if outcome.error is not None:
        raise outcome.error
    return outcome


async def post_many(
    tx: Tx, community_id: UUID, wishes: Sequence[Wish], actor: str, *, alone: bool = False
) -> list[Outcome]:
    """What became of each, in their order; those that are refused keep none of the others back.

    `alone` says that there is one and that the caller raises its error: it saves the statement that looks ahead.

    The same idempotency key with the same content, in the batch or before it, is a duplicate of the first; with
    other content it is refused. Within a batch a debit may spend what an earlier item brought.
    """
    place = await place_of(tx, community_id, wishes)
    outcomes: list[Outcome | None] = [None] * len(wishes)
    first: dict[bytes, int] = {}
    followers: list[tuple[int, int]] = []
    postings: dict[int, Posting] = {}
    waiting: dict[int, Wish] = {}
    for number, wish in enumerate(wishes):
        try:
            check(wish, place.units, place.members, place.erased, tx.now)
        except GuildhallError as error:
            outcomes[number] = Outcome(REFUSED, error=error)
            continue
        posting = posting_of(tx, community_id, wish, actor, place)
        leader = first.setdefault(posting.idem_key, number)
        if leader != number:
            if wishes[leader].payload_hash == posting.payload_hash:
                followers.append((number, leader))
            else:
                outcomes[number] = Outcome(REFUSED, error=key_reused())
        elif needs_approval(wish.amount, place.units[wish.unit]):
            waiting[number] = wish
        else:
            postings[number] = posting
    accepted = [wishes[number] for number in (*waiting, *postings)]
    named = {(community_id, w.group_account, w.unit) for w in accepted if w.group_account is not None}
    await store.open_system_accounts(tx, named)
    if waiting:
        await _let_wait(tx, community_id, waiting, actor, outcomes)
    await _post(tx, community_id, postings, wishes, place.units, outcomes, alone=alone)
    for number, leader in followers:
        led = outcomes[leader]
        assert led is not None
        outcomes[number] = led if led.status != ACCEPTED else Outcome(DUPLICATE, led.id)
    return [outcome for outcome in outcomes if outcome is not None]


async def place_of(tx: Tx, community_id: UUID, wishes: Sequence[Wish]) -> store.Place:
    asked = {w.unit for w in wishes}, {w.member_id for w in wishes}
    place = await store.place_of(tx, community_id, *asked)
    if place is not None and not place.units:
        await ensure_defaults(tx, [community_id])
        place = await store.place_of(tx, community_id, *asked)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    return place


def posting_of(tx: Tx, community_id: UUID, wish: Wish, actor: str, where: store.Place) -> Posting:
    effective_at = wish.effective_at or tx.now
    new_id = uuid7(tx.now)
    return Posting(
        id=new_id,
        community_id=community_id,
        # Without a key of the caller's the posting is one of a kind, and its own id says so.
        idem_key=digest("by-hand", wish.idempotency_key if wish.idempotency_key is not None else new_id),
        payload_hash=wish.payload_hash,
        kind=wish.kind,
        member_id=wish.member_id,
        counter=COUNTERS[wish.kind],
        unit=wish.unit,
        amount=wish.amount,
        effective_at=effective_at,
        day=local_day(effective_at, where.zone, where.day_start),
        scored=wish.kind == ADJUSTMENT and not is_group(wish.member_id),
        reason=wish.reason,
        actor=actor,
    )


async def _post(
    tx: Tx,
    community_id: UUID,
    postings: dict[int, Posting],
    wishes: Sequence[Wish],
    units: dict[str, Unit],
    outcomes: list[Outcome | None],
    *,
    alone: bool,
) -> None:
    """Post what is new and covered; fills `outcomes` in for every number of `postings`."""
    fresh = {p.idem_key: p for p in await begin(tx, list(postings.values()))} if postings else {}
    await _recall(tx, community_id, {n: p for n, p in postings.items() if p.idem_key not in fresh}, outcomes)
    new = {n: p for n, p in postings.items() if p.idem_key in fresh}
    guarded = {n for n in new if new[n].amount < 0 and not wishes[n].allow_negative}
    look_ahead = guarded and not alone
    accepted = await _covered(tx, community_id, new, guarded, units, outcomes) if look_ahead else list(new)
    done = await finish(tx, [new[n] for n in accepted])
    for posting in [new[n] for n in guarded] if alone else []:
        after = done.accounts[community_id, posting.member_id, posting.unit]
        # Raising undoes the transaction, and the entry with it.
        _check(after, posting, units[posting.unit])
    for number in accepted:
        outcomes[number] = Outcome(ACCEPTED, new[number].id, posting=new[number])
        _announce(tx, new[number])


async def _covered(
    tx: Tx,
    community_id: UUID,
    new: dict[int, Posting],
    guarded: set[int],
    units: dict[str, Unit],
    outcomes: list[Outcome | None],
) -> list[int]:
    """Go through the items in order against the balances as they would become; the refused ones are taken back."""
    held = await store.lock_of(tx, new.values())
    accounts = {key: Standing(account.balance, account.debt) for key, account in held.items()}
    accepted, refused = [], []
    for number, posting in new.items():
        key = community_id, posting.member_id, posting.unit
        after = accounts[key]._replace(balance=accounts[key].balance + posting.amount)
        try:
            if number in guarded:
                _check(after, posting, units[posting.unit])
        except Unprocessable as error:
            outcomes[number] = Outcome(REFUSED, error=error)
            refused.append(posting.id)
        else:
            paid = paid_off(after, max(posting.amount, 0))
            accounts[key] = Standing(after.balance - paid, after.debt - paid)
            accepted.append(number)
    if refused:
        await store.remove_transactions(tx, community_id, refused)
    return accepted


def _check(after: Standing, posting: Posting, unit: Unit) -> None:
    """Unprocessable for what an account does not have, and for spending what is owed."""
    if posting.kind == SPEND:
        check_debt(after.debt, unit)
    check_balance(after.balance, posting.amount, unit)


async def _recall(tx: Tx, community_id: UUID, old: dict[int, Posting], outcomes: list[Outcome | None]) -> None:
    """Answer for the keys that were there before."""
    there = await store.posted(tx, community_id, [p.idem_key for p in old.values()])
    for number, posting in old.items():
        found, payload_hash = there[posting.idem_key]
        same = payload_hash == posting.payload_hash
        outcomes[number] = Outcome(DUPLICATE, found) if same else Outcome(REFUSED, error=key_reused())


def key_reused() -> Unprocessable:
    return Unprocessable("this idempotency_key was used for another entry", code="idempotency_key_reused")


def _announce(tx: Tx, posting: Posting) -> None:
    """A group is nobody to be told."""
    if posting.of_member:
        event = PointsAdjusted(
            community_id=posting.community_id,
            member_id=posting.member_id,
            transaction_id=posting.id,
            unit=posting.unit,
            amount=posting.amount,
            reason=posting.reason,
            cause_id=posting.source_event_id,
        )
        outbox.add(tx, event)


# A second person


async def _let_wait(
    tx: Tx, community_id: UUID, waiting: dict[int, Wish], actor: str, outcomes: list[Outcome | None]
) -> None:
    """Record wishes that need a second person; fills `outcomes` in for every number of `waiting`."""
    rows: dict[int, dict[str, Any]] = {}
    for number, wish in waiting.items():
        new_id = uuid7(tx.now)
        rows[number] = {
            "community_id": community_id,
            "id": new_id,
            "idem_key": digest("by-hand", wish.idempotency_key if wish.idempotency_key is not None else new_id),
            "payload_hash": wish.payload_hash,
            "kind": wish.kind,
            "member_id": wish.member_id,
            "unit": wish.unit,
            "amount": wish.amount,
            "effective_at": wish.effective_at,
            "allow_negative": wish.allow_negative,
            "reason": wish.reason,
            "actor": actor,
            "state": adjustments.WAITING,
            "decided_by": None,
            "decided_at": None,
            "created_at": tx.now,
        }
    keys = [row["idem_key"] for row in rows.values()]
    # One that was posted under a higher limit before, or approved, is the transaction it became.
    there = await store.posted(tx, community_id, keys)
    await adjustments.add(tx, [row for row in rows.values() if row["idem_key"] not in there])
    kept = await adjustments.among(tx, community_id, keys)
    for number, row in rows.items():
        key = row["idem_key"]
        found, payload_hash = there[key] if key in there else (kept[key].id, bytes(kept[key].payload_hash))
        if payload_hash != row["payload_hash"]:
            outcomes[number] = Outcome(REFUSED, error=key_reused())
        else:
            outcomes[number] = Outcome(DUPLICATE if key in there else WAITING, found)


async def decide(tx: Tx, principal: Principal, adjustment_id: UUID, *, approve: bool) -> Outcome:
    """Approve (it is posted now) or refuse an adjustment that waits. Forbidden for whoever asked for it."""
    row = await adjustments.lock(tx, principal.community_id, adjustment_id)
    if row is None:
        raise NotFound("no such adjustment", code="adjustment_unknown")
    if row.state != adjustments.WAITING:
        raise Conflict(f"this adjustment was {row.state} by {row.decided_by}", code="adjustment_decided")
    if approve and row.actor == principal.actor:
        raise Forbidden("somebody else has to approve what you asked for", code="same_person")
    state = adjustments.APPROVED if approve else adjustments.REFUSED
    await adjustments.decide(tx, principal.community_id, adjustment_id, state, principal.actor)
    if not approve:
        return Outcome(REFUSED, adjustment_id)
    return await _post_approved(tx, row, principal.actor)


async def _post_approved(tx: Tx, row: Any, approver: str) -> Outcome:
    wish = Wish(
        kind=row.kind,
        member_id=row.member_id,
        unit=row.unit,
        amount=row.amount,
        reason=row.reason,
        effective_at=row.effective_at or row.created_at,
        allow_negative=row.allow_negative,
    )
    place = await place_of(tx, row.community_id, [wish])
    if row.member_id in place.erased:
        raise member_erased()
    posting = posting_of(tx, row.community_id, wish, row.actor, place)._replace(
        idem_key=bytes(row.idem_key),
        payload_hash=bytes(row.payload_hash),
        approver=approver,
    )
    outcomes: list[Outcome | None] = [None]
    await _post(tx, row.community_id, {0: posting}, [wish], place.units, outcomes, alone=True)
    (outcome,) = outcomes
    assert outcome is not None
    return outcome


# Reversals


async def reverse(
    tx: Tx, community_id: UUID, transaction_id: UUID, *, amount: int | None, reason: str, actor: str
) -> UUID:
    """Take a transaction back, or `amount` (unsigned) of it; returns the reversal's id.

    It counts on the boards of the original's day. A second full reversal is a Conflict (`already_reversed`), more
    than is left Unprocessable. What the member no longer has is, by the unit's clawback, taken nevertheless, refused,
    or owed; a spend that is given back never takes. What was captured goes back to whose it was. Conflict
    (`member_erased`) where that is nobody any more.
    """
    if amount is not None:
        check_amount(amount)
    original = await _lock(tx, community_id, transaction_id)
    if original.unit == FREEZES.id:
        raise unit_follows()
    part = amount_to_reverse(original.kind, original.amount, original.reversed, amount)
    unit = (await store.units_of(tx, community_id))[original.unit]
    captured = original.kind == CAPTURE
    member_id: UUID = await holds.captured_by(tx, transaction_id) if captured else original.owner_id
    if await erasures.closed(tx, community_id, [member_id]):
        raise member_erased()
    posting = Posting(
        id=uuid7(tx.now),
        community_id=community_id,
        idem_key=digest("reversal", transaction_id, original.reversed),
        payload_hash=digest(transaction_id, original.reversed, part),
        kind=REVERSAL,
        member_id=member_id,
        counter=original.counter_name,
        unit=original.unit,
        amount=-part,
        effective_at=original.effective_at,
        day=original.day,
        scored=original.scored == 1,
        source_event_id=original.source_event_id,
        rule_id=original.rule_id,
        rule_version=original.rule_version,
        reverses=transaction_id,
        reason=reason,
        actor=actor,
    )
    fresh = await begin(tx, [posting])
    await store.note_reversed(tx, transaction_id, abs(part))
    owing = {(community_id, unit.id)} if unit.clawback == RECORD_DEBT else set()
    done = await finish(tx, fresh, owing=owing)
    if unit.clawback == REFUSE and original.kind != SPEND:
        check_balance(done.accounts[community_id, member_id, unit.id].balance, -part, unit)
    _announce(tx, posting)
    return posting.id


async def _lock(tx: Tx, community_id: UUID, transaction_id: UUID) -> Any:
    row = await reading.lock_entry(tx, community_id, transaction_id)
    if row is None:
        raise NotFound("no such entry", code="entry_unknown")
    return row
