"""SQL that reads the ledger: entries with their transactions, accounts, and whether the books agree."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, case, func, select

from kit.database import Tx
from services.rewards.domain.ledger import OWED, REPAYMENT
from services.rewards.tables.ledger import accounts, entries, transactions

_other = entries.alias("other")
_counter = accounts.alias("counter")
_own = accounts.alias("own")


def entry_select() -> Any:
    """One line with its transaction, and the name of its own and its counter account ("" for a member's)."""
    own = and_(
        _own.c.community_id == entries.c.community_id,
        _own.c.owner_id == entries.c.owner_id,
        _own.c.unit == entries.c.unit,
    )
    counter = and_(
        _counter.c.community_id == entries.c.community_id,
        _counter.c.owner_id == _other.c.owner_id,
        _counter.c.unit == entries.c.unit,
    )
    sides = and_(_other.c.transaction_id == entries.c.transaction_id, _other.c.line == 1 - entries.c.line)
    same = and_(transactions.c.community_id == entries.c.community_id, transactions.c.id == entries.c.transaction_id)
    return select(
        entries,
        _own.c.name.label("own_name"),
        _other.c.owner_id.label("counter_id"),
        _counter.c.name.label("counter_name"),
        *(c for c in transactions.c if c.name not in ("community_id", "id", "idem_key", "payload_hash")),
    ).select_from(entries.join(transactions, same).join(_other, sides).join(_own, own).join(_counter, counter))


async def entry(tx: Tx, community_id: UUID, transaction_id: UUID) -> Row[Any] | None:
    """The member's line of a transaction."""
    where = entries.c.transaction_id == transaction_id, entries.c.community_id == community_id, entries.c.line == 0
    return await tx.first(entry_select().where(*where))


async def entries_among(tx: Tx, community_id: UUID, transaction_ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """The members' lines of several transactions, by transaction."""
    where = entries.c.community_id == community_id, entries.c.line == 0, entries.c.transaction_id.in_(transaction_ids)
    return {row.transaction_id: row for row in await tx.all(entry_select().where(*where))}


async def lock_entry(tx: Tx, community_id: UUID, transaction_id: UUID) -> Row[Any] | None:
    """The same, held against other reversals until the transaction ends."""
    where = entries.c.transaction_id == transaction_id, entries.c.community_id == community_id, entries.c.line == 0
    held = await tx.first(select(entries.c.line).where(*where).with_for_update())
    return None if held is None else await entry(tx, community_id, transaction_id)


async def scored_between(tx: Tx, community_id: UUID, owner_id: UUID, first: date, last: date) -> dict[str, int]:
    """Unit → the sum of an owner's lines of these days (both inclusive) that boards count. Reads all of the owner's."""
    t = entries.c
    whose = t.owner_id == owner_id, t.community_id == community_id
    stmt = select(t.unit, func.sum(t.amount).label("sum")).where(*whose, t.scored == 1, t.day.between(first, last))
    return {row.unit: int(row.sum) for row in await tx.all(stmt.group_by(t.unit))}


async def accounts_of(tx: Tx, community_id: UUID, owner_id: UUID) -> list[Row[Any]]:
    """All accounts of an owner, by unit."""
    where = accounts.c.community_id == community_id, accounts.c.owner_id == owner_id
    return await tx.all(select(accounts).where(*where).order_by(accounts.c.unit))


async def system_balances(tx: Tx, community_id: UUID) -> list[Row[Any]]:
    """(unit, name, balance) of the community's system accounts."""
    where = accounts.c.community_id == community_id, accounts.c.system == 1
    return await tx.all(select(accounts.c.unit, accounts.c.name, accounts.c.balance).where(*where))


async def books(tx: Tx) -> dict[str, tuple[int, int]]:
    """Unit → (how far the communities' sums are from 0, added up without sign; what members have). Every first one
    must be 0. Reads every account once."""
    by = accounts.c.community_id, accounts.c.unit
    members = case((accounts.c.system == 0, accounts.c.balance), else_=0)
    sums = select(accounts.c.unit, func.sum(accounts.c.balance).label("sum"), func.sum(members).label("held"))
    each = sums.group_by(*by).subquery()
    off, held = func.sum(func.abs(each.c.sum)).label("off"), func.sum(each.c.held).label("held")
    rows = await tx.all(select(each.c.unit, off, held).group_by(each.c.unit))
    return {row.unit: (int(row.off), int(row.held)) for row in rows}


async def unbalanced_transactions(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(transaction_id, unit, sum) of transactions that do not sum to zero in a unit; there must be none."""
    total = func.sum(entries.c.amount)
    by = entries.c.transaction_id, entries.c.unit
    return await tx.all(select(*by, total.label("sum")).group_by(*by).having(total != 0).limit(most))


async def wrong_balances(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(owner_id, unit, balance, sum) of accounts whose balance is not the sum of their entries; must be none."""
    by = entries.c.community_id, entries.c.owner_id, entries.c.unit
    sums = select(*by, func.sum(entries.c.amount).label("sum")).group_by(*by).subquery()
    same = and_(
        sums.c.community_id == accounts.c.community_id,
        sums.c.owner_id == accounts.c.owner_id,
        sums.c.unit == accounts.c.unit,
    )
    found = func.coalesce(sums.c.sum, 0)
    columns = accounts.c.owner_id, accounts.c.unit, accounts.c.balance, found.label("sum")
    joined = accounts.outerjoin(sums, same)
    return await tx.all(select(*columns).select_from(joined).where(found != accounts.c.balance).limit(most))


async def wrong_reversals(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(transaction_id, reversed, sum) where what was noted as taken back is not what the reversals took."""
    # The reversals first: what is joined to every entry would have each look through its community's transactions.
    of_reversals = and_(
        entries.c.transaction_id == transactions.c.id,
        entries.c.community_id == transactions.c.community_id,
        entries.c.line == 0,
    )
    by, total = (transactions.c.community_id, transactions.c.reverses), func.sum(entries.c.amount).label("sum")
    taken = select(*by, total).select_from(transactions.join(entries, of_reversals))
    back = taken.where(transactions.c.reverses.is_not(None)).group_by(*by).subquery("back")
    same = and_(back.c.community_id == entries.c.community_id, back.c.reverses == entries.c.transaction_id)
    found = func.abs(func.coalesce(back.c.sum, 0))
    columns = entries.c.transaction_id, entries.c.reversed, found.label("sum")
    stmt = select(*columns).select_from(entries.outerjoin(back, same)).where(entries.c.line == 0)
    return await tx.all(stmt.where(found != entries.c.reversed).limit(most))


async def wrong_debts(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(owner_id, unit, debt, sum) of members' accounts whose debt is not the sum of what they owe and paid off."""
    of_debts = transactions.c.kind.in_((OWED, REPAYMENT))
    lines = and_(entries.c.transaction_id == transactions.c.id, entries.c.line == 0)
    by = entries.c.community_id, entries.c.owner_id, entries.c.unit
    total = func.sum(entries.c.amount).label("sum")
    sums = select(*by, total).select_from(transactions.join(entries, lines)).where(of_debts).group_by(*by).subquery()
    same = and_(
        sums.c.community_id == accounts.c.community_id,
        sums.c.owner_id == accounts.c.owner_id,
        sums.c.unit == accounts.c.unit,
    )
    found = func.coalesce(sums.c.sum, 0)
    columns = accounts.c.owner_id, accounts.c.unit, accounts.c.debt, found.label("sum")
    return await tx.all(
        select(*columns).select_from(accounts.outerjoin(sums, same)).where(found != accounts.c.debt).limit(most)
    )
