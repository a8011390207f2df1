"""SQL of what members hold ready for something."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, update

from kit.database import Tx, insert_many, select_among, update_among
from services.rewards.tables.ledger import accounts
from services.rewards.tables.lots import holds, lot_parts

OPEN, CAPTURED, RELEASED, EXPIRED = "open", "captured", "released", "expired"


async def add(tx: Tx, row: dict[str, Any]) -> None:
    ended = {"captured": 0, "state": OPEN, "ended_at": None, "ended_by": None, "capture_id": None}
    await insert_many(tx, holds, [{**row, **ended}])


async def one(tx: Tx, community_id: UUID, hold_id: UUID, *, lock: bool = False) -> Row[Any] | None:
    """One of them, with `lock` held until the transaction ends."""
    stmt = select(holds).where(holds.c.community_id == community_id, holds.c.id == hold_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def captured_by(tx: Tx, capture_id: UUID) -> UUID:
    """Whose points a capture took."""
    member: UUID = await tx.scalar(select(holds.c.member_id).where(holds.c.capture_id == capture_id))
    return member


async def end(tx: Tx, community_id: UUID, hold_id: UUID, values: dict[str, Any]) -> None:
    where = holds.c.community_id == community_id, holds.c.id == hold_id
    await tx.execute(update(holds).where(*where).values(**values, ended_at=tx.now))


async def communities_over(tx: Tx) -> list[UUID]:
    """Communities with open ones whose time is over."""
    where = holds.c.state == OPEN, holds.c.expires_at <= tx.now
    return [row.community_id for row in await tx.all(select(holds.c.community_id).where(*where).distinct())]


async def over(tx: Tx, community_id: UUID, most: int) -> list[UUID]:
    """A community's open ones whose time is over, those first that ended first."""
    where = holds.c.community_id == community_id, holds.c.state == OPEN, holds.c.expires_at <= tx.now
    stmt = select(holds.c.id).where(*where).order_by(holds.c.expires_at, holds.c.id).limit(most)
    return [row.id for row in await tx.all(stmt)]


async def lock(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> list[Row[Any]]:
    """Those of them that are open, held until the transaction ends."""
    return await select_among(
        tx, holds, (holds.c.community_id, holds.c.id), keys, where=holds.c.state == OPEN, lock=True
    )


async def expire(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> None:
    values = {"state": EXPIRED, "ended_at": tx.now}
    await update_among(tx, holds, (holds.c.community_id, holds.c.id), keys, values)


async def take_over_parts(tx: Tx, hold_id: UUID, capture_id: UUID) -> None:
    """What the hold took from lots is the capture's from now on, to go back there with it."""
    same = lot_parts.c.transaction_id == hold_id
    await tx.execute(update(lot_parts).where(same).values(transaction_id=capture_id))


async def page(
    tx: Tx,
    community_id: UUID,
    *,
    member_id: UUID | None,
    state: str | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Row[Any]]:
    """Latest first; `before` gives the ones just before that id, earliest first."""
    stmt = select(holds).where(holds.c.community_id == community_id)
    if member_id is not None:
        stmt = stmt.where(holds.c.member_id == member_id)
    if state is not None:
        stmt = stmt.where(holds.c.state == state)
    if before is not None:
        stmt = stmt.where(holds.c.id > before).order_by(holds.c.id)
    else:
        stmt = stmt.order_by(holds.c.id.desc())
        if after is not None:
            stmt = stmt.where(holds.c.id < after)
    return await tx.all(stmt.limit(limit))


async def wrong_escrows(tx: Tx, most: int = 100) -> list[Row[Any]]:
    """(community_id, unit, balance, held) where the account `escrow` is not what open holds sum to."""
    by = holds.c.community_id, holds.c.unit
    sums = select(*by, func.sum(holds.c.amount).label("held")).where(holds.c.state == OPEN).group_by(*by).subquery()
    same = (sums.c.community_id == accounts.c.community_id) & (sums.c.unit == accounts.c.unit)
    held = func.coalesce(sums.c.held, 0)
    columns = accounts.c.community_id, accounts.c.unit, accounts.c.balance, held.label("held")
    wrong = (accounts.c.system == 1) & (accounts.c.name == "escrow") & (accounts.c.balance != held)
    return await tx.all(select(*columns).select_from(accounts.outerjoin(sums, same)).where(wrong).limit(most))
