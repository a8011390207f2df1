"""SQL of who is being erased, of accounts that are closed, and of what the chain is to hold of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update

from kit.database import Tx, add_up, insert_many, insert_new, select_among, update_among, upsert
from services.rewards.domain.chain import Transaction
from services.rewards.domain.erasing import ERASED, Erased
from services.rewards.store.ledger import ACCOUNT_KEY
from services.rewards.tables.erasures import closed_owners, erased_transactions, erasures
from services.rewards.tables.ledger import accounts, entries, transactions

WORKING, AGAIN, DONE = "working", "again", "done"
_e = erased_transactions.c


async def ask(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Who was asked for before stays as they are."""
    await insert_new(tx, erasures, rows, key=("community_id", "member_id"))


async def open_ones(tx: Tx) -> list[Row[Any]]:
    """Those that are not done, the oldest first."""
    return await tx.all(select(erasures).where(erasures.c.state != DONE).order_by(erasures.c.asked_at))


async def under_way(tx: Tx, community_id: UUID) -> bool:
    where = erasures.c.community_id == community_id, erasures.c.state != DONE
    return await tx.first(select(erasures.c.member_id).where(*where).limit(1)) is not None


async def hold(tx: Tx, community_id: UUID, member_id: UUID) -> Row[Any] | None:
    """Held until the transaction ends."""
    where = erasures.c.community_id == community_id, erasures.c.member_id == member_id
    return await tx.first(select(erasures).where(*where).with_for_update())


async def change(tx: Tx, community_id: UUID, member_id: UUID, **values: Any) -> None:
    where = erasures.c.community_id == community_id, erasures.c.member_id == member_id
    await tx.execute(update(erasures).where(*where).values(**values))


async def oldest(tx: Tx) -> datetime | None:
    """Since when the one that waits for longest does."""
    first = func.min(erasures.c.asked_at, type_=erasures.c.asked_at.type)
    found: datetime | None = await tx.scalar(select(first).where(erasures.c.state != DONE))
    return found


# Closed accounts


async def close(tx: Tx, community_id: UUID, pseudonym: UUID) -> None:
    key = ("community_id", "member_id")
    await insert_new(tx, closed_owners, [{"community_id": community_id, "member_id": pseudonym}], key=key)


async def closed(tx: Tx, community_id: UUID, member_ids: Iterable[UUID]) -> set[UUID]:
    """Those of them to whom and from whom nothing goes any more: pseudonyms, and who is being or was erased."""
    wanted, known = [(community_id, id) for id in sorted(set(member_ids))], tx.database.table("known_members").c
    t = closed_owners.c
    rows = await select_among(tx, closed_owners, (t.community_id, t.member_id), wanted)
    gone = await select_among(tx, (known.member_id, known.state), (known.community_id, known.member_id), wanted)
    return {row.member_id for row in rows} | {row.member_id for row in gone if row.state == ERASED}


# Entries


async def transactions_of(tx: Tx, community_id: UUID, owner_id: UUID, most: int) -> list[UUID]:
    """Some of an owner's, in the order in which they were posted: what a part of them sums to was a balance once, and
    so fits into an account."""
    where = entries.c.owner_id == owner_id, entries.c.community_id == community_id
    order = entries.c.transaction_id
    return [row.transaction_id for row in await tx.all(select(order).where(*where).order_by(order).limit(most))]


async def hold_lines(tx: Tx, transaction_ids: Sequence[UUID]) -> None:
    """As `ledger.lock_grants` does: before accounts."""
    by = entries.c.transaction_id, entries.c.line
    await select_among(tx, (by[0],), by, [(id, line) for id in transaction_ids for line in (0, 1)], lock=True)


async def put_transactions(tx: Tx, changed: Sequence[Transaction]) -> None:
    rows = [{k: v for k, v in t._asdict().items() if k != "lines"} for t in changed]
    await upsert(
        tx, transactions, rows, key=("community_id", "id"), update=("idem_key", "payload_hash", "actor", "approver")
    )


async def give_lines(tx: Tx, transaction_ids: Sequence[UUID], owner_id: UUID, to: UUID) -> None:
    by, keys = (entries.c.transaction_id, entries.c.owner_id), [(id, owner_id) for id in transaction_ids]
    await update_among(tx, entries, by, keys, {"owner_id": to})


async def move(tx: Tx, community_id: UUID, changes: dict[tuple[UUID, str], tuple[int, int]]) -> None:
    """Change members' accounts (owner, unit) by so much balance and debt."""
    rows = [
        {"system": 0, "community_id": community_id, "owner_id": owner_id, "unit": unit, "name": "",
         "balance": balance, "debt": debt, "followers": 0}
        for (owner_id, unit), (balance, debt) in changes.items()
    ]  # fmt: skip
    await add_up(tx, accounts, rows, key=ACCOUNT_KEY, add=("balance", "debt"))


async def remove_accounts(tx: Tx, community_id: UUID, owner_id: UUID) -> None:
    """Accounts that nothing is in and no entry is of."""
    empty = accounts.c.balance == 0, accounts.c.debt == 0, accounts.c.system == 0
    mine = accounts.c.community_id == community_id, accounts.c.owner_id == owner_id
    some = select(entries.c.line).where(entries.c.owner_id == owner_id, entries.c.community_id == community_id)
    await tx.execute(delete(accounts).where(*mine, *empty, ~some.exists()))


async def add_record(tx: Tx, row: dict[str, Any]) -> None:
    await insert_many(tx, transactions, [row])


# What the chain holds of them


def _erased(row: Any) -> Erased:
    return Erased(row.transaction_id, row.number, row.record_id, bytes(row.original), bytes(row.digest))


async def add_erased(tx: Tx, community_id: UUID, touched: Sequence[Erased]) -> None:
    await insert_many(tx, erased_transactions, [{"community_id": community_id, **one._asdict()} for one in touched])


async def erased_among(tx: Tx, community_id: UUID, transaction_ids: Sequence[UUID]) -> dict[UUID, list[Erased]]:
    """Those of the transactions that were made others, each time in turn."""
    keys = [(community_id, id) for id in transaction_ids]
    out: dict[UUID, list[Erased]] = {}
    for one in sorted(
        map(_erased, await select_among(tx, erased_transactions, (_e.community_id, _e.transaction_id), keys))
    ):
        out.setdefault(one.transaction_id, []).append(one)
    return out


async def of_record(tx: Tx, community_id: UUID, record_id: UUID) -> list[Erased]:
    where = _e.record_id == record_id, _e.community_id == community_id
    return [_erased(row) for row in await tx.all(select(erased_transactions).where(*where))]
