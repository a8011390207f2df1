"""SQL of lots. They belong to the account's row: who changes them holds it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, exists, func, select

from kit.database import Tx, add_up, delete_among, given, insert_many, select_among, upsert
from services.rewards.domain.ledger import EXPIRY
from services.rewards.domain.lots import Part
from services.rewards.tables.ledger import accounts, entries, transactions
from services.rewards.tables.lots import lot_parts, lots

ONE_DAY = timedelta(days=1)
LOT_KEY = ("community_id", "owner_id", "unit", "last_day")
Key = tuple[UUID, UUID, str]
"""(community, owner, unit)"""


async def of_accounts(tx: Tx, keys: Iterable[Key]) -> dict[Key, dict[date, int]]:
    """The lots of accounts, by the day they last until."""
    by = lots.c.community_id, lots.c.owner_id, lots.c.unit
    out: dict[Key, dict[date, int]] = {}
    for row in await select_among(tx, lots, by, sorted(keys)):
        out.setdefault((row.community_id, row.owner_id, row.unit), {})[row.last_day] = row.amount
    return out


async def change(tx: Tx, changes: Mapping[tuple[UUID, UUID, str, date], int], gone: Iterable[Any]) -> None:
    """Add to lots, and remove those that nothing is left of."""
    rows = [{**dict(zip(LOT_KEY, key, strict=True)), "amount": amount} for key, amount in changes.items()]
    await add_up(tx, lots, rows, key=LOT_KEY, add=("amount",))
    await delete_among(tx, lots, [lots.c[name] for name in LOT_KEY], sorted(gone))


async def parts(tx: Tx, transaction_ids: Iterable[UUID]) -> dict[UUID, list[Part]]:
    """What is noted of transactions."""
    out: dict[UUID, list[Part]] = {}
    for row in await select_among(tx, lot_parts, lot_parts.c.transaction_id, sorted(transaction_ids)):
        out.setdefault(row.transaction_id, []).append(Part(row.last_day, row.amount))
    return out


async def add_parts(tx: Tx, new: Sequence[tuple[UUID, Part]]) -> None:
    rows = [{"transaction_id": id, "last_day": part.last_day, "amount": part.amount} for id, part in new]
    await insert_many(tx, lot_parts, rows)


async def set_parts(tx: Tx, left: Mapping[tuple[UUID, date], int]) -> None:
    """What is left of parts; of those that nothing is left of (0) nothing stays."""
    key = "transaction_id", "last_day"
    rows = [{"transaction_id": id, "last_day": day, "amount": amount} for (id, day), amount in left.items() if amount]
    await upsert(tx, lot_parts, rows, key=key, update=("amount",))
    gone = sorted(key for key, amount in left.items() if not amount)
    await delete_among(tx, lot_parts, [lot_parts.c[name] for name in key], gone)


async def expired(tx: Tx, keys: Iterable[Key]) -> dict[Key, dict[date, int]]:
    """What expired of accounts, by the last day it had, less what was brought back for reversals since."""
    by = entries.c.community_id, entries.c.owner_id, entries.c.unit
    of = transactions.c.id == entries.c.transaction_id, transactions.c.community_id == entries.c.community_id
    line = entries.c.line == 0, transactions.c.kind == EXPIRY
    wanted = given(tx, "wanted", {column.name: column.type for column in by}, sorted(keys))
    joined = entries.join(transactions, and_(*of)).join(wanted, and_(*(c == wanted.c[c.name] for c in by)))
    stmt = select(*by, entries.c.day, func.sum(-entries.c.amount).label("amount")).select_from(joined)
    stmt = stmt.where(*line).group_by(*by, entries.c.day)
    out: dict[Key, dict[date, int]] = {}
    for row in await tx.all(stmt):
        out.setdefault((row.community_id, row.owner_id, row.unit), {})[row.day - ONE_DAY] = int(row.amount)
    return out


# What is over


async def communities_with(tx: Tx, through: date) -> list[Row[Any]]:
    """(community_id, zone, day_start) of communities with lots that last until that day or less."""
    known = tx.database.table("known_communities")
    there = exists().where(lots.c.community_id == known.c.community_id, lots.c.last_day <= through)
    return await tx.all(select(known.c.community_id, known.c.zone, known.c.day_start).where(there))


async def over(tx: Tx, community_id: UUID, before: date, most: int) -> list[Row[Any]]:
    """Lots that lasted until a day before this one, the oldest first."""
    where = lots.c.community_id == community_id, lots.c.last_day < before
    order = lots.c.last_day, lots.c.owner_id, lots.c.unit
    return await tx.all(select(lots).where(*where).order_by(*order).limit(most))


async def still(tx: Tx, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """These lots as they are now; the caller holds their accounts."""
    by = [lots.c[name] for name in LOT_KEY]
    return await select_among(tx, lots, by, [tuple(getattr(row, name) for name in LOT_KEY) for row in rows])


async def wrong_lots(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(owner_id, unit, balance, sum) of accounts whose lots sum to more than the balance, or with a lot of nothing."""
    by = lots.c.community_id, lots.c.owner_id, lots.c.unit
    sums = select(*by, func.sum(lots.c.amount).label("sum"), func.min(lots.c.amount).label("least"))
    each = sums.group_by(*by).subquery()
    same = (
        (accounts.c.community_id == each.c.community_id)
        & (accounts.c.owner_id == each.c.owner_id)
        & (accounts.c.unit == each.c.unit)
    )
    balance = func.coalesce(accounts.c.balance, 0)
    columns = each.c.owner_id, each.c.unit, balance.label("balance"), each.c.sum
    wrong = (each.c.sum > balance) | (each.c.least <= 0)
    return await tx.all(select(*columns).select_from(each.outerjoin(accounts, same)).where(wrong).limit(most))
