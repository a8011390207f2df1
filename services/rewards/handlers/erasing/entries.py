"""Entries under the pseudonym, piece by piece; after each of them balances are what their entries sum to, and the chain
holds."""

import asyncio
from collections.abc import Sequence
from typing import Any

from kit.clock import uuid7
from kit.database import Database, Tx
from services.rewards.domain.chain import Transaction, digest, written
from services.rewards.domain.erasing import Erased, commitment, pseudonymised, sums_of
from services.rewards.domain.ledger import ERASURE_RECORD, OWED, REPAYMENT
from services.rewards.domain.ledger import digest as key_of
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.store import chain as chain_store
from services.rewards.store import erased as erased_store
from services.rewards.store import erasures as store

PIECE = 200
"""Transactions in one database transaction."""


async def replace(db: Database, one: Any, stopping: asyncio.Event) -> None:
    while await _piece(db, one):
        if stopping.is_set():
            raise Waiting("stopping")
        await asyncio.sleep(0)
    async with held(db, one) as tx:
        await store.remove_accounts(tx, one.community_id, one.member_id)


async def _piece(db: Database, one: Any) -> bool:
    """False when there is nothing (more) of the member's."""
    async with held(db, one) as tx:
        # Nobody seals meanwhile: what is in no block yet goes into one as it was posted, too.
        await chain_store.hold(tx, one.community_id)
        ids = await store.transactions_of(tx, one.community_id, one.member_id, PIECE)
        if not ids:
            return False
        await store.hold_lines(tx, ids)
        before = await chain_store.read(tx, one.community_id, ids)
        after = [pseudonymised(t, one.member_id, one.pseudonym) for t in before]
        await store.put_transactions(tx, after)
        await store.give_lines(tx, ids, one.member_id, one.pseudonym)
        await store.move(tx, one.community_id, _changes(one, before))
        # Nothing takes these back any more, whatever is undone: they are nobody's.
        await erased_store.remove_undoable(tx, ids)
        await _commit(tx, one, before, after)
    return True


def _changes(one: Any, before: Sequence[Transaction]) -> dict[Any, tuple[int, int]]:
    """What goes from the member's accounts to the pseudonym's."""
    sums: dict[str, tuple[int, int]] = {}
    for t in before:
        for unit, amount in sums_of(t.lines, one.member_id).items():
            balance, debt = sums.get(unit, (0, 0))
            sums[unit] = balance + amount, debt + (amount if t.kind in (OWED, REPAYMENT) else 0)
    out: dict[Any, tuple[int, int]] = {}
    for unit, (balance, debt) in sums.items():
        out[one.member_id, unit] = -balance, -debt
        out[one.pseudonym, unit] = balance, debt
    return out


async def _commit(tx: Tx, one: Any, before: Sequence[Transaction], after: Sequence[Transaction]) -> None:
    """A transaction without lines, sealed like any other, stands for what these were and are."""
    record_id = uuid7(tx.now)
    known = await store.erased_among(tx, one.community_id, [t.id for t in before])
    touched = []
    for was, now in zip(before, after, strict=True):
        times = known.get(was.id, ())
        original = times[0].original if times else digest(written(was))
        touched.append(Erased(was.id, len(times) + 1, record_id, original, digest(written(now))))
    await store.add_erased(tx, one.community_id, touched)
    row = {
        "community_id": one.community_id,
        "id": record_id,
        "idem_key": key_of(ERASURE_RECORD, record_id),
        "payload_hash": commitment(touched),
        "kind": ERASURE_RECORD,
        "reason": "",
        "actor": "guildhall",
        "created_at": tx.now,
        **dict.fromkeys(("rule_id", "rule_version", "source_event_id", "reverses", "approver")),
    }
    await store.add_record(tx, row)
