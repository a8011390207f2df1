"""SQL that reads groups' accounts."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, literal_column, or_, select

from kit.database import Tx, select_among
from services.rewards.domain.groups import PREFIX
from services.rewards.tables.ledger import accounts


async def names(tx: Tx, community_id: UUID, owner_ids: Collection[UUID]) -> dict[UUID, str]:
    """Owner → the name of their accounts, of those system accounts that there are."""
    a = accounts.c
    keys = [(community_id, owner_id) for owner_id in sorted(owner_ids)]
    rows = await select_among(tx, (a.owner_id, a.name), (a.community_id, a.owner_id), keys, where=a.system == 1)
    return {row.owner_id: row.name for row in rows}


async def page(
    tx: Tx,
    community_id: UUID,
    unit: str,
    *,
    limit: int,
    after: tuple[int, UUID] | None,
    before: tuple[int, UUID] | None,
) -> Sequence[Row[Any]]:
    """(owner_id, name, balance) of groups in a unit: the highest balance first, among equals by the id; what comes
    before a place with the nearest first."""
    a = accounts.c
    # Written into the statement: only then can a plan that is made once use the index of these.
    of_groups = a.system == literal_column("1"), a.name.startswith(PREFIX)
    stmt = select(a.owner_id, a.name, a.balance).where(a.community_id == community_id, a.unit == unit, *of_groups)
    if after is not None:
        balance, owner_id = after
        stmt = stmt.where(or_(a.balance < balance, and_(a.balance == balance, a.owner_id > owner_id)))
    if before is not None:
        balance, owner_id = before
        above = or_(a.balance > balance, and_(a.balance == balance, a.owner_id < owner_id))
        return await tx.all(stmt.where(above).order_by(a.balance, a.owner_id.desc()).limit(limit))
    return await tx.all(stmt.order_by(a.balance.desc(), a.owner_id).limit(limit))
